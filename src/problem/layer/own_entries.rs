//! The rules of a parameter that stands in some entries of an output, or is added to them.

use super::{ColumnPair, Local, LocalParameters, PartialTrace};
use crate::problem::tensors::sum_entries;
use crate::problem::vectors::Vectors;
use tch::{Kind, Tensor};

/// `z = A x + E w`: A pads what was put before x with zeros, and E puts w, of as many entries as
/// `rows` rows of a sample, into the first ones.
pub(super) struct OwnEntries {
    /// The parameter.
    pub weight: Tensor,
    /// The shape of the output for the whole batch, `[N, T, *]`.
    pub output: Vec<i64>,
    /// How many of the T rows it stands in.
    pub rows: i64,
    /// How many rows of the output come before those of the input.
    pub before: i64,
}

impl OwnEntries {
    /// The rows of `[K, N, T, *]` that w stands in, in the parameter's shape: `[K, N, *shape]`.
    fn own(&self, z: &Tensor) -> Tensor {
        let shape = [&z.size()[..2], self.weight.size().as_slice()].concat();
        z.narrow(2, 0, self.rows).reshape(shape)
    }

    /// `[K, N, *shape] -> [K, N, T, *]`, zero in all other rows.
    fn in_place(&self, dw: &Tensor) -> Tensor {
        let output = &self.output;
        let rows = [&dw.size()[..2], &[self.rows], &output[2..]].concat();
        self.with_zeros(&dw.reshape(rows), 0, output[1] - self.rows)
    }

    /// Rows of zeros before and after those of `[K, N, T', *]`.
    fn with_zeros(&self, z: &Tensor, before: i64, after: i64) -> Tensor {
        let later_axes = vec![0; 2 * (self.output.len() - 2)];
        z.constant_pad_nd([later_axes.as_slice(), &[before, after]].concat())
    }
}

impl Local for OwnEntries {
    fn is_identity(&self) -> bool {
        self.before == 0
    }

    fn tangent(&self, dx: &Tensor) -> Tensor {
        self.with_zeros(dx, self.before, 0)
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        gz.narrow(2, self.before, self.output[1] - self.before)
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        Some(Local::adjoint(self, &d.unsqueeze(0)).squeeze_dim(0))
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        Some(self)
    }
}

impl LocalParameters for OwnEntries {
    fn shape(&self, _i: usize) -> Vec<i64> {
        self.weight.size()
    }

    fn tangent(&self, _i: usize, dw: &Tensor) -> Tensor {
        let shape = self.weight.size();
        let each = [&dw.size()[..1], &self.output[..1], &shape].concat();
        self.in_place(&dw.unsqueeze(1).expand(each, false))
    }

    fn adjoint(&self, _i: usize, gz: &Tensor) -> Tensor {
        self.own(gz).sum_dim_intlist(1, false, None::<Kind>)
    }

    fn mixed_input(&self, _i: usize, _g: &Tensor, _dw: Vectors) -> Option<Tensor> {
        None
    }

    fn mixed_parameter(&self, _i: usize, _g: &Tensor, _dx: &Tensor) -> Option<Tensor> {
        None
    }

    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let squares = s.square();
        let signed = match sign {
            Some(sign) => {
                let ones = vec![1; s.dim() - 2];
                squares * sign.reshape([sign.size(), ones].concat())
            }
            None => squares,
        };
        self.diagonal_of_diagonal(i, &signed.sum_dim_intlist(0, false, None::<Kind>))
    }

    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        LocalParameters::adjoint(self, i, &d.unsqueeze(0)).squeeze_dim(0)
    }

    fn trace_of_partial(&self, _i: usize, partial: &PartialTrace) -> Option<Tensor> {
        if partial.positions() != self.output[1] || self.output.len() != 3 {
            return None;
        }
        let at = match partial {
            PartialTrace::At(b) => b.shallow_clone(),
            PartialTrace::Between(b) => b.diagonal(0, 1, 2),
        };
        Some(at.narrow(1, 0, self.rows).sum(Kind::Double))
    }

    /// 1 where every row has entries of its own.
    fn trace_factor(&self, _i: usize) -> Option<Tensor> {
        let all = self.rows == self.output[1];
        let options = (self.weight.kind(), self.weight.device());
        all.then(|| Tensor::ones(&self.output[..1], options))
    }

    fn trace_of_columns(&self, _i: usize, s: &ColumnPair) -> Tensor {
        sum_entries(&s.map(|s| self.own(s)).product()).sum_dim_intlist(1, false, None::<Kind>)
    }

    fn sample_tangent(&self, _i: usize, dw: &Tensor) -> Tensor {
        self.in_place(dw)
    }
}
