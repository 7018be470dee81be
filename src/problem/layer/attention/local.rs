//! The derivatives of an attention layer at one point.

use super::core::Core;
use super::curvature::AttentionCurvature;
use super::heads::Heads;
use super::products::{each_times, times_each};
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

    fn tangent(&self, dx: &Tensor) -> Tensor {
        let [dq, dk, dv] = self.heads.split_each(dx);
        let dp = self.core.tangent_of_weights(&dq, &dk);
        self.heads
            .merge_each(&self.core.tangent_of_output(&dp, &dv))
    }

    /// `(hS k scale, hSᵀ q scale, pᵀ h)` with `hS = p ∘ (hP − Σ_j p hP)`, `hP = h vᵀ`.
    fn adjoint(&self, gz: &Tensor) -> Tensor {
        let core = &self.core;
        let h = self.heads.rows_each(gz);
        let hs = core.through_softmax(each_times(&h, &core.v.mt()));
        let [hq, hk] = core.adjoint_of_scores(&hs);
        let hv = times_each(&core.p.mt(), &h);
        self.heads.join_each([&hq, &hk, &hv])
    }

    fn own_curvature(&self, g: &Tensor) -> OwnCurvature {
        let g = self.heads.rows(g);
        let curvature = AttentionCurvature::new(self.core.shallow_clone(), self.heads.clone(), g);
        OwnCurvature::General(Box::new(curvature))
    }
}
