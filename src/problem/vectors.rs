//! Vectors in the shape of a parameter, as numbers or as signs.

use super::inner_products::dot;
use super::signs::Signs;
use tch::Tensor;

/// K vectors in the shape of one parameter.
#[derive(Clone, Copy)]
pub enum Vectors<'a> {
    /// A tensor `[K, *shape]`.
    Numbers(&'a Tensor),
    /// Sign vectors as bits.
    Signs(&'a Signs),
}

/// The vectors of the parameter with number i among those of some parameters, as one tensor `[K, *shape]`.
pub fn numbers_of(i: usize, dw: &[(usize, Vectors)]) -> Option<Tensor> {
    let own = dw.iter().find(|own| own.0 == i)?;
    Some(own.1.numbers())
}

impl Vectors<'_> {
    /// The vectors as one tensor `[K, *shape]`.
    pub fn numbers(self) -> Tensor {
        match self {
            Self::Numbers(v) => v.shallow_clone(),
            Self::Signs(v) => v.dense(),
        }
    }

    /// `Σ v_k ∘ u_k` over all but the first axis, for `u: [K, *shape]`: `[K]` in float64. Runs of some
    /// entries are summed in the working precision.
    pub fn dot(self, u: &Tensor) -> Tensor {
        match self {
            Self::Numbers(v) => dot(v, u),
            Self::Signs(v) => v.dot(u),
        }
    }
}
