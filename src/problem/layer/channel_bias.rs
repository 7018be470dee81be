//! The rules of a bias per channel, which all positions share.

use super::ColumnPair;
use tch::{Kind, Tensor};

/// `z[n, c, t] = … + b[c]`: outputs `[N, C, *positions]`.
///
/// A scale `z = x̂ ∘ w + …` per channel has the same rules with `x̂ ∘ s` in place of columns s.
#[derive(Clone, Debug)]
pub(super) struct ChannelBias {
    /// The shape of an output of one sample, `[C, *positions]`.
    pub output: Vec<i64>,
}

impl ChannelBias {
    /// `[K, C] -> [K, N, C, *positions]`.
    pub fn tangent(&self, db: &Tensor, samples: i64) -> Tensor {
        self.sample_tangent(&db.unsqueeze(1).expand([-1, samples, -1], false))
    }

    /// `[K, N, C, *positions] -> [K, C]`.
    pub fn adjoint(&self, gz: &Tensor) -> Tensor {
        per_channel(gz).sum_dim_intlist(1, false, None::<Kind>)
    }

    /// `Σ_qn sign_qn (Σ_t s_qnct)²`: `[C]`.
    pub fn diagonal_of_columns(&self, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let squares = per_channel(s).square();
        let signed = match sign {
            Some(sign) => squares * sign.unsqueeze(-1),
            None => squares,
        };
        signed.sum_dim_intlist([0, 1].as_slice(), false, None::<Kind>)
    }

    /// `Σ_nt d_nct`: `[N, C, *positions] -> [C]`.
    pub fn diagonal_of_diagonal(&self, d: &Tensor) -> Tensor {
        self.adjoint(&d.unsqueeze(0)).squeeze_dim(0)
    }

    /// 1 where each entry of z has a bias of its own.
    pub fn trace_factor(&self, like: &Tensor) -> Option<Tensor> {
        let alone = self.output[1..].iter().product::<i64>() == 1;
        alone.then(|| Tensor::ones([like.size()[0]], (like.kind(), like.device())))
    }

    /// `Σ_nc (Σ_t a_knct) (Σ_t b_knct)`: `[K]` in float64.
    pub fn trace_of_columns(&self, s: &ColumnPair) -> Tensor {
        let sums = s.map(|s| per_channel(s).to_kind(Kind::Double));
        (sums.product()).sum_dim_intlist([1, 2].as_slice(), false, None::<Kind>)
    }

    /// `[K, N, C] -> [K, N, C, *positions]`.
    pub fn sample_tangent(&self, db: &Tensor) -> Tensor {
        let positions = &self.output[1..];
        let size = db.size();
        let ones = vec![1; positions.len()];
        db.reshape([size.as_slice(), &ones].concat())
            .expand([size.as_slice(), positions].concat(), false)
    }
}

/// Sums over positions: `[K, N, C, *] -> [K, N, C]`.
fn per_channel(s: &Tensor) -> Tensor {
    s.reshape([&s.size()[..3], &[-1]].concat())
        .sum_dim_intlist(-1, false, None::<Kind>)
}
