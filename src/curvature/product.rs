//! A symmetric matrix over the parameters: its products and its quadratic form.

use crate::problem::Signs;
use tch::{Kind, Tensor};

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

/// `Σ v_k ∘ u_k` over all but the first axis: `[K, *shape] -> [K]` in float64.
pub(super) fn dot(v: &Tensor, u: &Tensor) -> Tensor {
    let rows = (v * u).sum_dim_intlist(-1, false, None::<Kind>);
    let rows = rows.to_kind(Kind::Double);
    match rows.dim() {
        1 => rows,
        _ => rows.flatten(1, -1).sum_dim_intlist(1, false, None::<Kind>),
    }
}

/// The sum of two sets of vectors, parameter by parameter.
pub(super) fn add(a: Vec<Tensor>, b: Vec<Tensor>) -> Vec<Tensor> {
    a.into_iter().zip(b).map(|(a, b)| a + b).collect()
}
