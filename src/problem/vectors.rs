//! Vectors in the shape of a parameter, as numbers or as signs.

use super::layer::LocalParameters;
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

impl Vectors<'_> {
    /// The tangents of a layer's output along these tangents of its parameter `i`: `[K, N, *out]`.
    pub fn tangent(self, parameters: &dyn LocalParameters, i: usize) -> Tensor {
        match self {
            Self::Numbers(v) => parameters.tangent(i, v),
            Self::Signs(v) => parameters.tangent_of_signs(i, v),
        }
    }

    /// The vectors as one tensor `[K, *shape]`.
    pub fn numbers(self) -> Tensor {
        match self {
            Self::Numbers(v) => v.shallow_clone(),
            Self::Signs(v) => v.dense(),
        }
    }
}
