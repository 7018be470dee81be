//! A symmetric matrix over the parameters: its products and its quadratic form.

use crate::problem::{Signs, Vectors};
use tch::Tensor;

/// A symmetric matrix over the parameters that multiplies several vectors at once.
pub trait Product {
    /// `H v_k` for K vectors: one `[K, *shape]` per parameter in, the same out.
    fn multiply(&self, v: &[Tensor]) -> Vec<Tensor>;

    /// `H v_k` for K sign vectors.
    fn multiply_signs(&self, v: &[Signs]) -> Vec<Tensor> {
        self.multiply(&v.iter().map(Signs::dense).collect::<Vec<_>>())
    }

    /// Whether signs are faster as signs than as numbers.
    fn takes_signs(&self) -> bool {
        false
    }
}

/// The quadratic form of a symmetric matrix over the parameters.
pub trait Quadratic {
    /// `v_kᵀ H v_k` for K vectors in float64: `[parameters, K]`, the terms `v_lᵀ (H v)_l` of every
    /// parameter, whose sum is `vᵀHv`; or `[1, K]`, where the form cannot be split.
    fn quadratic(&self, v: &[Tensor]) -> Tensor;

    /// The terms of [`quadratic`](Self::quadratic) for sign vectors.
    fn quadratic_of_signs(&self, v: &[Signs]) -> Tensor {
        let v: Vec<Tensor> = v.iter().map(Signs::dense).collect();
        self.quadratic(&v)
    }

    /// Whether signs are faster as signs than as numbers.
    fn prefers_signs(&self) -> bool {
        false
    }
}

/// Runs of some entries are summed in the working precision, all else in float64.
impl<P: Product + ?Sized> Quadratic for P {
    fn quadratic(&self, v: &[Tensor]) -> Tensor {
        dots(v.iter().map(Vectors::Numbers), &self.multiply(v))
    }

    fn quadratic_of_signs(&self, v: &[Signs]) -> Tensor {
        dots(v.iter().map(Vectors::Signs), &self.multiply_signs(v))
    }

    fn prefers_signs(&self) -> bool {
        self.takes_signs()
    }
}

/// `v_lᵀ u_l` of every parameter l: `[parameters, K]` in float64.
fn dots<'a>(v: impl Iterator<Item = Vectors<'a>>, u: &[Tensor]) -> Tensor {
    let dots: Vec<Tensor> = v.zip(u).map(|(v, u)| v.dot(u)).collect();
    Tensor::stack(&dots, 0)
}

/// The sum of two sets of vectors, parameter by parameter.
pub(super) fn add(a: Vec<Tensor>, b: Vec<Tensor>) -> Vec<Tensor> {
    a.into_iter().zip(b).map(|(a, b)| a + b).collect()
}
