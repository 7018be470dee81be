//! Fisher matrices: outer products of gradients in place of a loss's output Hessian.

use super::{Likelihood, LocalLoss, numbered};
use crate::problem::tensors::sum_entries;
use tch::{Kind, Tensor};

/// `Σ_m s_m s_mᵀ` for every term of a loss, `s: [M, N, *out]`.
pub(super) struct Fisher {
    loss: Box<dyn Likelihood>,
    s: Tensor,
}

impl Fisher {
    pub fn new(loss: Box<dyn Likelihood>, s: Tensor) -> Self {
        Self { loss, s }
    }

    fn columns_of(&self) -> impl Iterator<Item = Tensor> {
        (0..self.s.size()[0]).map(|m| self.s.get(m))
    }
}

impl LocalLoss for Fisher {
    fn gradient(&self) -> Tensor {
        self.loss.gradient()
    }

    fn hessian(&self, df: &Tensor) -> Tensor {
        self.columns_of()
            .map(|s| self.loss.inner(&s, df) * &s)
            .reduce(|a, b| a + b)
            .expect("at least one column")
    }

    fn quadratic(&self, df: &Tensor) -> Tensor {
        self.columns_of()
            .map(|s| sum_entries(&self.loss.inner(&s, df).to_kind(Kind::Double).square()))
            .reduce(|a, b| a + b)
            .expect("at least one column")
    }

    /// `Σ_m s_m²`: terms share no output.
    fn hessian_diagonal(&self) -> Tensor {
        self.s.square().sum_dim_intlist(0, false, None::<Kind>)
    }

    /// One for every term that the outer products are of.
    fn terms(&self) -> Tensor {
        let s = self.s.get(0);
        let terms = self.loss.inner(&s, &s.unsqueeze(0));
        numbered(&terms.size()[2..], s.device()).expand(&s.size()[1..], false)
    }

    /// M numbers for every term.
    fn root_shape(&self) -> Vec<i64> {
        let s = self.s.get(0);
        let mut shape = self.loss.inner(&s, &s.unsqueeze(0)).size();
        shape.remove(0);
        shape[1] = self.s.size()[0];
        shape
    }

    /// `Σ_m v_m s_m`.
    fn root(&self, v: &Tensor) -> Tensor {
        self.columns_of()
            .enumerate()
            .map(|(m, s)| v.narrow(2, m as i64, 1) * s)
            .reduce(|a, b| a + b)
            .expect("at least one column")
    }
}
