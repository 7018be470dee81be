//! Maps of rows that subtract their mean and add multiples of given rows, in one pass over memory.

use super::channels::{inner, numbers_mut, numbers_of, sum};
use crate::problem::sign_products::Number;
use crate::problem::tensors::plus_product;
use tch::{Device, Kind, Tensor};

/// `y = a (x − mean x) + Σ_i (b_i ⟨e_i, x⟩ + c_i) e_i` for every row x of m entries, of which absent terms
/// are zero and an absent a is 1.
#[derive(Clone, Copy)]
pub(super) struct RowSum<'a> {
    /// Whether the mean is subtracted.
    pub centred: bool,
    /// `a: [N, G, 1]`.
    pub scale: Option<&'a Tensor>,
    pub along: &'a [Along<'a>],
}

/// One row that is added a multiple of.
#[derive(Clone, Copy)]
pub(super) struct Along<'a> {
    /// `e: [N, G, m]`, contiguous.
    pub row: &'a Tensor,
    /// `b: [N, G, 1]`.
    pub of_part: Option<&'a Tensor>,
    /// `c: [K, N, G, 1]`.
    pub own: Option<&'a Tensor>,
}

impl RowSum<'_> {
    /// `x: [K, N, G, m]` to y of the same shape.
    ///
    /// Of libtorch's operations every sum and every product would be a pass of its own.
    pub fn of(self, x: &Tensor) -> Tensor {
        let part = 1.0 / x.size()[3] as f64;
        match (x.device(), x.kind()) {
            (Device::Cpu, Kind::Float) => self.on_cpu::<f32>(x, part as f32),
            (Device::Cpu, Kind::Double) => self.on_cpu::<f64>(x, part),
            _ => self.by_tensors(x),
        }
    }

    fn on_cpu<F: Number>(self, x: &Tensor, part: F) -> Tensor {
        let x = x.contiguous();
        let y = x.empty_like();
        let m = x.size()[3] as usize;
        let whole = |t: Option<&Tensor>| t.map(Tensor::contiguous);
        let scale = whole(self.scale);
        let scale = scale.as_ref().map(numbers_of::<F>);
        let along = self
            .along
            .iter()
            .map(|along| [Some(along.row), along.of_part, along.own].map(whole));
        let along: Vec<[Option<Tensor>; 3]> = along.collect();
        let along = along
            .iter()
            .map(|all| all.each_ref().map(|t| t.as_ref().map(numbers_of::<F>)));
        let along: Vec<[Option<&[F]>; 3]> = along.collect();
        let rows = x.size()[1..3].iter().product::<i64>() as usize;
        let each = numbers_of::<F>(&x).chunks_exact(m);
        for (k, (y, x)) in numbers_mut::<F>(&y)
            .chunks_exact_mut(m)
            .zip(each)
            .enumerate()
        {
            let row = k % rows;
            let mean = if self.centred {
                sum(x) * part
            } else {
                F::default()
            };
            match scale.map(|scale| scale[row]) {
                Some(a) => y.iter_mut().zip(x).for_each(|(y, x)| *y = (*x - mean) * a),
                None => y.iter_mut().zip(x).for_each(|(y, x)| *y = *x - mean),
            }
            for [e, b, c] in &along {
                let e = &e.expect("a row")[row * m..][..m];
                let mut factor = c.map_or(F::default(), |c| c[k]);
                if let Some(b) = b {
                    factor += b[row] * inner(x, e);
                }
                y.iter_mut().zip(e).for_each(|(y, e)| *y += *e * factor);
            }
        }
        y
    }

    fn by_tensors(self, x: &Tensor) -> Tensor {
        let mut y = match self.centred {
            true => x - x.mean_dim(-1, true, None::<Kind>),
            false => x.copy(),
        };
        if let Some(scale) = self.scale {
            y *= scale;
        }
        for along in self.along {
            let part = along.of_part.map(|b| {
                let part = (x * along.row).sum_dim_intlist(-1, true, None::<Kind>);
                part * b
            });
            let factor = match (part, along.own) {
                (Some(part), Some(own)) => part + own,
                (Some(part), None) => part,
                (None, Some(own)) => own.shallow_clone(),
                (None, None) => continue,
            };
            y = plus_product(y, along.row, &factor);
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Double, Device::Cpu))
    }

    #[test]
    fn one_pass_is_what_libtorch_s_operations_give() {
        tch::manual_seed(3);
        let (e, f) = (numbers(&[5, 2, 7]), numbers(&[5, 2, 7]));
        let (a, b, c) = (
            numbers(&[5, 2, 1]),
            numbers(&[5, 2, 1]),
            numbers(&[4, 5, 2, 1]),
        );
        let along = [
            Along {
                row: &e,
                of_part: Some(&b),
                own: Some(&c),
            },
            Along {
                row: &f,
                of_part: None,
                own: Some(&c),
            },
            Along {
                row: &f,
                of_part: Some(&a),
                own: None,
            },
        ];
        let x = numbers(&[4, 5, 2, 9]).narrow(3, 1, 7);
        for (centred, scale) in [
            (true, Some(&a)),
            (true, None),
            (false, Some(&b)),
            (false, None),
        ] {
            for along in [&along[..], &[]] {
                let sum = RowSum {
                    centred,
                    scale,
                    along,
                };
                let error = (sum.of(&x) - sum.by_tensors(&x)).abs().max();
                assert!(
                    error.double_value(&[]) < 1e-12,
                    "{centred}, {}",
                    along.len()
                );
            }
        }
    }
}
