//! The curvature that layers have of their own.

use crate::problem::tensors::{sum_entries, unit_vectors};
use tch::Tensor;

/// A symmetric matrix `H_n` over the input of every sample, of either sign.
pub trait Symmetric {
    /// `H_n dx_n`: `[K, N, *in] -> [K, N, *in]`.
    fn apply(&self, dx: &Tensor) -> Tensor;

    /// The signs `σ_n` of a root's columns: `[N, *w]`.
    fn signs(&self) -> Tensor;

    /// `R_n v_n` with `H_n = R_n diag(σ_n) R_nᵀ`: `[K, N, *w] -> [K, N, *in]`.
    fn root(&self, v: &Tensor) -> Tensor;

    /// Columns `first..first + count` of the root and their signs, so that all of them have
    /// `Σ_q sign_qn s_qn s_qnᵀ = H_n`: `[count, N, *in]` and `[count, N]`.
    fn columns(&self, first: i64, count: i64) -> (Tensor, Tensor) {
        let signs = self.signs();
        let unit = unit_vectors(first, count, &signs.size(), &signs);
        (
            self.root(&unit),
            signs.flatten(1, -1).narrow(1, first, count).tr(),
        )
    }
}

/// The curvature that a layer adds at its input, besides what passes through it.
pub enum OwnCurvature {
    /// The layer is linear, or piecewise linear, in its input.
    Zero,
    /// `diag(r)` for every sample, `r: [N, *in]`.
    Diagonal(Tensor),
    /// Any other symmetric matrix.
    General(Box<dyn Symmetric>),
}

impl OwnCurvature {
    /// The curvature times K tangents: `[K, N, *in] -> [K, N, *in]`; `None` if zero.
    pub fn apply(&self, dx: &Tensor) -> Option<Tensor> {
        match self {
            Self::Zero => None,
            Self::Diagonal(r) => Some(r * dx),
            Self::General(h) => Some(h.apply(dx)),
        }
    }

    /// `⟨r ∘ dx, dx⟩` of every sample: `[K, N, *in] -> [K, N]` in float64; `None` if zero.
    pub fn quadratic(&self, dx: &Tensor) -> Option<Tensor> {
        match self {
            Self::Zero => None,
            Self::Diagonal(r) => Some(sum_entries(&(r * dx * dx))),
            Self::General(h) => Some(sum_entries(&(h.apply(dx) * dx))),
        }
    }
}
