//! The linear layer at every position of a sample, all of which share its weight.

use super::convolution::{BIAS, Convolution, WEIGHT};
use super::correlation::Correlation;
use super::window::Window;
use super::{Layer, Local, LocalParameters, ParameterShape};
use tch::Tensor;

/// `z = x Wᵀ + b` on the last axis of `x: [N, *positions, in]`: a convolution whose kernel is a
/// single entry, with the channels last.
#[derive(Clone, Debug)]
pub(super) struct AtPositions {
    convolution: Convolution,
    axes: Axes,
}

impl AtPositions {
    /// For inputs `[*positions, in]`, and the shape that it puts out.
    pub fn new(positions: &[i64], inputs: i64, out: i64, bias: bool) -> (Self, Vec<i64>) {
        let all = positions.iter().product();
        let map = Correlation {
            window: Window {
                kernel: vec![1],
                stride: vec![1],
                padding: vec![0],
                dilation: vec![1],
            },
            groups: 1,
            a: vec![inputs, all],
            b: vec![out, all],
            transposed: false,
        };
        let layer = Self {
            convolution: Convolution { map, bias },
            axes: Axes(positions.to_vec()),
        };
        (layer, [positions, &[out]].concat())
    }
}

impl Layer for AtPositions {
    fn parameters(&self) -> Vec<ParameterShape> {
        let mut parameters = self.convolution.parameters();
        parameters[WEIGHT].shape.pop();
        parameters
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        x.linear(&w[WEIGHT], w.get(BIAS))
    }

    fn at(&self, x: &Tensor, w: &[Tensor], z: &Tensor) -> Box<dyn Local> {
        let mut w: Vec<Tensor> = w.iter().map(Tensor::shallow_clone).collect();
        w[WEIGHT] = with_kernel(WEIGHT, &w[WEIGHT]);
        Box::new(LocalAtPositions {
            inner: self.convolution.at(&first(x, 1), &w, z),
            axes: self.axes.clone(),
        })
    }
}

/// The positions between samples and features.
#[derive(Clone, Debug)]
struct Axes(Vec<i64>);

impl Axes {
    /// `[.., features, T] -> [.., *positions, features]`, after `leading` axes.
    fn last(&self, t: &Tensor, leading: usize) -> Tensor {
        let size = t.size();
        let shape = [&size[..leading], &self.0, &[size[leading]]].concat();
        t.transpose(-1, -2).reshape(shape)
    }
}

/// `[.., *positions, features] -> [.., features, T]`, after `leading` axes.
fn first(t: &Tensor, leading: i64) -> Tensor {
    t.flatten(leading, -2).transpose(-1, -2)
}

/// A parameter, or vectors in its shape, as the convolution has it.
fn with_kernel(i: usize, w: &Tensor) -> Tensor {
    match i {
        WEIGHT => w.unsqueeze(-1),
        _ => w.shallow_clone(),
    }
}

/// A parameter of the convolution, or vectors in its shape, as the linear layer has it.
fn without_kernel(i: usize, w: Tensor) -> Tensor {
    match i {
        WEIGHT => w.squeeze_dim(-1),
        _ => w,
    }
}

struct LocalAtPositions {
    inner: Box<dyn Local>,
    axes: Axes,
}

impl LocalAtPositions {
    fn maps(&self) -> &dyn LocalParameters {
        let maps = self.inner.parameters();
        maps.expect("a convolution has a weight")
    }
}

impl Local for LocalAtPositions {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        self.axes.last(&self.inner.tangent(&first(dx, 2)), 2)
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        self.axes.last(&self.inner.adjoint(&first(gz, 2)), 2)
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        Some(self)
    }
}

impl LocalParameters for LocalAtPositions {
    fn shape(&self, i: usize) -> Vec<i64> {
        let mut shape = self.maps().shape(i);
        if i == WEIGHT {
            shape.pop();
        }
        shape
    }

    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        self.axes
            .last(&self.maps().tangent(i, &with_kernel(i, dw)), 2)
    }

    fn adjoint(&self, i: usize, gz: &Tensor) -> Tensor {
        without_kernel(i, self.maps().adjoint(i, &first(gz, 2)))
    }

    fn mixed_input(&self, i: usize, g: &Tensor, dw: &Tensor) -> Option<Tensor> {
        let dw = with_kernel(i, dw);
        let mixed = self.maps().mixed_input(i, &first(g, 1), &dw)?;
        Some(self.axes.last(&mixed, 2))
    }

    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        let mixed = self.maps().mixed_parameter(i, &first(g, 1), &first(dx, 2));
        mixed.map(|mixed| without_kernel(i, mixed))
    }

    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        without_kernel(i, self.maps().diagonal_of_columns(i, &first(s, 2), sign))
    }

    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        without_kernel(i, self.maps().diagonal_of_diagonal(i, &first(d, 1)))
    }

    fn trace_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        self.maps().trace_of_diagonal(i, &first(d, 1))
    }

    fn trace_factor(&self, i: usize) -> Option<Tensor> {
        self.maps().trace_factor(i)
    }

    fn trace_of_columns(&self, i: usize, s: &Tensor) -> Tensor {
        self.maps().trace_of_columns(i, &first(s, 2))
    }

    fn expect_columns(&self, count: u64) {
        self.maps().expect_columns(count);
    }

    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        let z = self.maps().sample_tangent(i, &with_kernel(i, dw));
        self.axes.last(&z, 2)
    }
}
