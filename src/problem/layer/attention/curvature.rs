//! The own curvature of attention.

use super::core::{Core, row_sum};
use super::heads::Heads;
use super::root::Root;
use crate::problem::layer::Symmetric;
use std::sync::OnceLock;
use tch::Tensor;

/// `2⟨gS, dq dkᵀ⟩ scale + Σ_ij p_ij (c_ij x_ij² + 2 x_ij e_ij)` at fixed `g = ∂ℓ/∂o`, with
/// `c = gP − Σ_j p gP` for `gP = g vᵀ`, `gS = p ∘ c`, and along a tangent `x = ds − Σ_j p ds`,
/// `e = g dvᵀ`.
///
/// Work for a vector: `O(heads R T d)`. Memory: five numbers for every weight `p_ij`, for all vectors.
#[derive(Debug)]
pub(super) struct AttentionCurvature {
    core: Core,
    heads: Heads,
    /// `[N, heads, R, d]`.
    g: Tensor,
    /// `[N, heads, R, T]`.
    c: Tensor,
    /// Made when the first column is asked for.
    root: OnceLock<Root>,
}

impl AttentionCurvature {
    pub fn new(core: Core, heads: Heads, g: Tensor) -> Self {
        Self {
            c: core.centred(&g.matmul(&core.v.mt())),
            core,
            heads,
            g,
            root: OnceLock::new(),
        }
    }

    /// `gS`.
    fn gradient_of_scores(&self) -> Tensor {
        &self.core.p * &self.c
    }

    fn root_parts(&self) -> &Root {
        self.root
            .get_or_init(|| Root::new(&self.core, &self.g, &self.c))
    }
}

impl Symmetric for AttentionCurvature {
    /// With `dp` as in the tangent and `dgS = dp ∘ c + p ∘ (e − Σ_j (dp ∘ c + p ∘ e))`:
    /// `((dgS k + gS dk) scale, (dgSᵀ q + gSᵀ dq) scale, dpᵀ g)`.
    fn apply(&self, dx: &Tensor) -> Tensor {
        let core = &self.core;
        let [dq, dk, dv] = self.heads.split(dx);
        let dp = core.tangent_of_weights(&dq, &dk);
        let e = self.g.matmul(&dv.mt());
        let bent = &dp * &self.c;
        let mean = row_sum(&(&bent + &core.p * &e));
        let (hq, hk) = core.adjoint_of_scores(&(bent + &core.p * (e - mean)));
        let gs = self.gradient_of_scores() * core.scale;
        let hq = hq + gs.matmul(&dk);
        let hk = hk + gs.mt().matmul(&dq);
        self.heads.join([&hq, &hk, &dp.mt().matmul(&self.g)])
    }

    fn signs(&self) -> Tensor {
        self.root_parts().signs()
    }

    fn root(&self, v: &Tensor) -> Tensor {
        let [hq, hk, hv] = self.root_parts().columns(&self.core, &self.g, v);
        self.heads.join([&hq, &hk, &hv])
    }
}
