//! A symmetric matrix over the parameters: its products and its quadratic form.

use crate::problem::{Signs, dot};
use tch::Tensor;

/// A symmetric matrix over the parameters that multiplies several vectors at once.
pub trait Product {
    /// `H v_k` for K vectors: one `[K, *shape]` per parameter in, the same out.
    fn multiply(&self, v: &[Tensor]) -> Vec<Tensor>;
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

/// Rows of a weight are summed in the working precision, all else in float64.
impl<P: Product + ?Sized> Quadratic for P {
    fn quadratic(&self, v: &[Tensor]) -> Tensor {
        let hv = self.multiply(v);
        let dots: Vec<Tensor> = v.iter().zip(&hv).map(|(v, hv)| dot(v, hv)).collect();
        Tensor::stack(&dots, 0)
    }
}

/// The sum of two sets of vectors, parameter by parameter.
pub(super) fn add(a: Vec<Tensor>, b: Vec<Tensor>) -> Vec<Tensor> {
    a.into_iter().zip(b).map(|(a, b)| a + b).collect()
}
