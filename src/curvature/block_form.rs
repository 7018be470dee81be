//! The quadratic form of one diagonal block, by layer rules.

use crate::problem::{Linearization, Vectors, sum_present};
use tch::{Kind, Tensor};

/// `vᵀHv` of one linearisation for K vectors at the parameters of a block, zero elsewhere, from their
/// tangents alone: `[K]` in float64. [`Forward`](super::Forward) states the formula.
pub(super) fn block_form(at: &Linearization, block: &[usize], v: &[Vectors]) -> Tensor {
    let mut sum: Option<Tensor> = None;
    let output = at.parameter_tangents(block, v, |_, layer, dx| {
        let own = layer.own_curvature.quadratic_with_tangent(dx);
        let (own, tangent) = own.unzip();
        sum = sum_present(sum.take(), own.as_ref().map(over_samples));
        for (&index, &v) in block.iter().zip(v) {
            let Some(i) = layer.place(index) else {
                continue;
            };
            let g = layer.gradient.as_ref();
            let mixed = g.and_then(|g| layer.parameters().mixed_form(i, g, dx, v));
            sum = sum_present(sum.take(), mixed.map(|mixed| mixed * 2.0));
        }
        tangent.flatten()
    });
    let top = over_samples(&at.loss().quadratic(&output));
    sum.map_or_else(|| top.shallow_clone(), |sum| sum + &top)
}

/// Sums over samples: `[K, N] -> [K]`.
fn over_samples(curvature: &Tensor) -> Tensor {
    curvature.sum_dim_intlist(1, false, None::<Kind>)
}
