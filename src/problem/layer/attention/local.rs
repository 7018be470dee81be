//! The derivatives of an attention layer at one point.

use super::core::Core;
use super::curvature::AttentionCurvature;
use super::heads::Heads;
use crate::problem::layer::{Local, OwnCurvature};
use tch::Tensor;

/// An attention layer at one point.
#[derive(Debug)]
pub(super) struct LocalAttention {
    pub core: Core,
    pub heads: Heads,
}

impl Local for LocalAttention {
    fn inner_features(&self) -> i64 {
        self.core.p.size()[1..].iter().product()
    }

    /// `do = dp v + p dv`.
    fn tangent(&self, dx: &Tensor) -> Tensor {
        let [dq, dk, dv] = self.heads.split(dx);
        let dp = self.core.tangent_of_weights(&dq, &dk);
        let mut output = dp.matmul(&self.core.v);
        output += self.core.p.matmul(&dv);
        self.heads.merge(&output)
    }

    /// `(hS k scale, hSᵀ q scale, pᵀ h)` with `hS = p ∘ (hP − Σ_j p hP)`, `hP = h vᵀ`.
    fn adjoint(&self, gz: &Tensor) -> Tensor {
        let core = &self.core;
        let h = self.heads.rows(gz);
        let hs = core.through_softmax(h.matmul(&core.v.mt()));
        let (hq, hk) = core.adjoint_of_scores(&hs);
        self.heads.join([&hq, &hk, &core.p.mt().matmul(&h)])
    }

    fn own_curvature(&self, g: &Tensor) -> OwnCurvature {
        let g = self.heads.rows(g);
        let curvature = AttentionCurvature::new(self.core.shallow_clone(), self.heads.clone(), g);
        OwnCurvature::General(Box::new(curvature))
    }
}
