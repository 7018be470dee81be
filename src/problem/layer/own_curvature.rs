//! The curvature that layers have of their own.

use crate::problem::tensors::{sum_entries, unit_vectors};
use tch::Tensor;

/// A symmetric matrix `H_n` over the input of every sample, of either sign.
pub trait Symmetric {
    /// `H_n dx_n`: `[K, N, *in] -> [K, N, *in]`.
    fn apply(&self, dx: &Tensor) -> Tensor;

    /// `H_n dx_n + J_nᵀ hz_n` with the layer's Jacobian J, without either by itself: `[K, N, *in]` and
    /// `[K, N, *out]` to `[K, N, *in]`; `None` where adding them is as fast.
    fn apply_with_adjoint(&self, _dx: &Tensor, _hz: &Tensor) -> Option<Tensor> {
        None
    }

    /// The signs `σ_n` of a root's columns: `[N, *w]`.
    fn signs(&self) -> Tensor;

    /// `R_n v_n` with `H_n = R_n diag(σ_n) R_nᵀ`: `[K, N, *w] -> [K, N, *in]`.
    fn root(&self, v: &Tensor) -> Tensor;

    /// Columns a and b from signs v, the symmetric part of whose outer products `a bᵀ` has `H_n` as its
    /// mean: `[K, N, *u] -> [K, N, *in]` each, which nothing else holds.
    fn pair(&self, v: &Tensor) -> [Tensor; 2] {
        [self.root(v), self.root(&(v * self.signs()))]
    }

    /// The shape `[N, *u]` of what a pair takes.
    fn pair_shape(&self) -> Vec<i64> {
        self.signs().size()
    }

    /// `dx_nᵀ H_n dx_n`: `[K, N, *in] -> [K, N]` in float64.
    fn quadratic(&self, dx: &Tensor) -> Tensor {
        sum_entries(&self.apply(dx).g_mul_(dx))
    }

    /// The form and the layer's tangents `J_n dx_n: [K, N, *out]`, these where both have steps in common.
    fn quadratic_with_tangent(&self, dx: &Tensor) -> (Tensor, Option<Tensor>) {
        (self.quadratic(dx), None)
    }

    /// The sum over features, where that is cheap and the input is of positions and features.
    fn partial_trace(&self) -> Option<PartialTrace> {
        None
    }

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

/// What is left of matrices `H_n` over `[T, features]` when features are summed over:
/// `b_n[t, t'] = Σ_a H_n[(t, a), (t', a)]`, in float64.
///
/// It is all that a parameter sees which every position multiplies with, and every feature has for
/// itself, as a linear layer's has: `tr Σ_n J_nᵀ H_n J_n = Σ_n ⟨b_n, x_n x_nᵀ⟩`.
#[derive(Debug)]
pub enum PartialTrace {
    /// Of matrices without entries between positions, the diagonals: `[N, T]`.
    At(Tensor),
    /// Of any others: `[N, T, T]`.
    Between(Tensor),
}

impl PartialTrace {
    /// The same tensors once more.
    pub fn shallow_clone(&self) -> Self {
        match self {
            Self::At(b) => Self::At(b.shallow_clone()),
            Self::Between(b) => Self::Between(b.shallow_clone()),
        }
    }

    /// T.
    pub fn positions(&self) -> i64 {
        match self {
            Self::At(b) | Self::Between(b) => b.size()[1],
        }
    }

    /// `b_n: [N]` where there is a single position.
    pub fn at_single_position(&self) -> Option<Tensor> {
        let (Self::At(b) | Self::Between(b)) = self;
        (self.positions() == 1).then(|| b.flatten(0, -1))
    }

    /// That of a sum of matrices; `None` if they have other positions.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let between = |b: &Tensor| b.diag_embed(0, 1, 2);
        if self.positions() != other.positions() {
            return None;
        }
        Some(match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a + b),
            (Self::Between(a), Self::Between(b)) => Self::Between(a + b),
            (Self::Between(a), Self::At(b)) | (Self::At(b), Self::Between(a)) => {
                Self::Between(a + between(b))
            }
        })
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
    /// As [`Symmetric::quadratic_with_tangent`]; `None` if zero.
    pub fn quadratic_with_tangent(&self, dx: &Tensor) -> Option<(Tensor, Option<Tensor>)> {
        match self {
            Self::General(h) => Some(h.quadratic_with_tangent(dx)),
            _ => self.quadratic(dx).map(|form| (form, None)),
        }
    }

    /// `⟨r ∘ dx, dx⟩` of every sample: `[K, N, *in] -> [K, N]` in float64; `None` if zero.
    pub fn quadratic(&self, dx: &Tensor) -> Option<Tensor> {
        match self {
            Self::Zero => None,
            Self::Diagonal(r) => Some(sum_entries(&(r * dx).g_mul_(dx))),
            Self::General(h) => Some(h.quadratic(dx)),
        }
    }
}
