//! Pairs of columns whose outer products make up a symmetric matrix of either sign.

use tch::Tensor;

/// Columns a and b of every sample, which stand for the symmetric part of `a bᵀ`.
///
/// A matrix with eigenvalues of both signs is no mean of `a aᵀ`, but one of `a bᵀ`: with a root `R diag(σ) Rᵀ`
/// of it and signs v, `a = R v` and `b = R (σ ∘ v)`.
#[derive(Debug)]
pub struct ColumnPair {
    /// a.
    pub first: Tensor,
    /// b; absent where it is a.
    pub second: Option<Tensor>,
}

impl ColumnPair {
    /// `a bᵀ`.
    pub fn of(a: &Tensor, b: &Tensor) -> Self {
        Self {
            first: a.shallow_clone(),
            second: Some(b.shallow_clone()),
        }
    }

    /// `s sᵀ`.
    pub fn twice(s: &Tensor) -> Self {
        Self {
            first: s.shallow_clone(),
            second: None,
        }
    }

    /// The images of both under a linear map.
    pub fn map(&self, map: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            first: map(&self.first),
            second: self.second.as_ref().map(map),
        }
    }

    /// a and b.
    pub fn both(&self) -> [&Tensor; 2] {
        [&self.first, self.second.as_ref().unwrap_or(&self.first)]
    }

    /// `a ∘ b`.
    pub fn product(&self) -> Tensor {
        match &self.second {
            Some(second) => &self.first * second,
            None => self.first.square(),
        }
    }
}
