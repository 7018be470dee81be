//! A convolution as a product of matrices: what its window sees, laid out in columns.

use super::correlation::{Correlation, join};
use super::windows::Windows;
use crate::problem::sign_products::Number;
use tch::{Device, Kind, Tensor};

impl Correlation {
    /// a with its padding.
    pub fn padded(&self, a: &Tensor) -> Tensor {
        let padding = &self.window.padding;
        match padding.iter().all(|&p| p == 0) {
            true => a.shallow_clone(),
            false => {
                let ends: Vec<i64> = padding.iter().rev().flat_map(|&p| [p, p]).collect();
                a.constant_pad_nd(ends)
            }
        }
    }

    /// What the window sees of a: `[N, *a]`.
    pub fn windows<F: Number>(&self, a: &Tensor) -> Windows<F> {
        Windows::new(&self.padded(a), &self.window, &self.b[1..], self.groups)
    }

    /// What the window sees of a at every position: `[N, *a] -> [G, fan, N, T]`.
    pub fn columns(&self, a: &Tensor) -> Tensor {
        match (a.device(), a.kind()) {
            (Device::Cpu, Kind::Float) => self.windows::<f32>(a).columns(Kind::Float),
            (Device::Cpu, Kind::Double) => self.windows::<f64>(a).columns(Kind::Double),
            _ => self.columns_by_views(a),
        }
    }

    fn columns_by_views(&self, a: &Tensor) -> Tensor {
        let window = &self.window;
        let mut view = self.padded(a);
        for (i, &stride) in window.stride.iter().enumerate() {
            view = view
                .unfold(2 + i as i64, window.span(i), stride)
                .slice(-1, None, None, window.dilation[i])
                .narrow(2 + i as i64, 0, self.b[1 + i]);
        }
        let d = window.kernel.len() as i64;
        let (spatial, kernel) = (2..2 + d, 2 + d..2 + 2 * d);
        let axes: Vec<i64> = [1]
            .into_iter()
            .chain(kernel)
            .chain([0])
            .chain(spatial)
            .collect();
        view.permute(axes)
            .reshape([self.groups, self.fan_in(), a.size()[0], self.positions()])
    }

    /// b of every sample and group, K stacked: `[K, N, *b] -> [N G, K o, T]`.
    pub fn rows(&self, b: &Tensor) -> Tensor {
        let (k, n, g, [_, o]) = (b.size()[0], b.size()[1], self.groups, self.per_group());
        b.reshape([k, n, g, o, self.positions()])
            .permute([1, 2, 0, 3, 4])
            .reshape([n * g, k * o, self.positions()])
    }

    /// The columns likewise: `[G, fan, K N, T] -> [N G, K fan, T]`.
    pub fn column_rows(&self, columns: &Tensor, k: i64) -> Tensor {
        let (g, fan, t) = (self.groups, self.fan_in(), self.positions());
        columns
            .reshape([g, fan, k, -1, t])
            .permute([3, 0, 2, 1, 4])
            .reshape([-1, k * fan, t])
    }

    /// From the columns of `[N, *a]`: `[G, fan, N, T], [K, N, *b] -> [K, *weight]` as one product.
    pub fn weight_adjoint_of_columns(&self, columns: &Tensor, b: &Tensor) -> Tensor {
        let (k, n, g, [c, o]) = (b.size()[0], b.size()[1], self.groups, self.per_group());
        let b = b
            .reshape([k, n, g, o, self.positions()])
            .permute([2, 0, 3, 1, 4])
            .reshape([g, k * o, -1]);
        let w = b.bmm(&columns.flatten(2, 3).transpose(1, 2));
        let w = w.reshape([g, k, o, self.fan_in()]).transpose(0, 1);
        join(&w, &[k, g * o, c], &self.window.kernel)
    }

    /// The transpose of that, b of K weights: `[G, fan, N, T], [K, *weight] -> [K, N, *b]`.
    pub fn tangent_of_columns(&self, columns: &Tensor, w: &Tensor) -> Tensor {
        let (k, n, g, [_, o]) = (
            w.size()[0],
            columns.size()[2],
            self.groups,
            self.per_group(),
        );
        let w = w
            .reshape([k, g, o, self.fan_in()])
            .transpose(0, 1)
            .reshape([g, k * o, -1]);
        let b = w.bmm(&columns.flatten(2, 3));
        let b = b.reshape([g, k, o, n, -1]).permute([1, 3, 0, 2, 4]);
        join(&b, &[k, n, g * o], &self.b[1..])
    }
}
