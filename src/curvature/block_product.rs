//! The product with one diagonal block, by layer rules.

use crate::problem::{Added, Linearization, Vectors, sum_present};
use tch::Tensor;

/// The diagonal block of some parameters times K vectors, one `[K, *shape]` for each of them: the
/// tangents of one linearisation up, the adjoints down. [`Hmp`](super::Hmp) states the formula.
pub(super) fn block_product(at: &Linearization, block: &[usize], v: &[Vectors]) -> Vec<Tensor> {
    let mut inputs: Vec<Option<Tensor>> = at.layers().iter().map(|_| None).collect();
    let output = at.parameter_tangents(block, v, |l, _, dx| {
        inputs[l] = Some(dx.shallow_clone());
        None
    });
    let top = at.loss().hessian(&output);
    let mut product: Vec<Option<Tensor>> = block.iter().map(|_| None).collect();
    let uses = block.iter().flat_map(|&index| at.uses(index));
    let goals: Vec<usize> = uses.map(|(layer, _)| layer).collect();
    at.propagate_adjoints(at.top(), top, Some(&goals), |l, layer, hz| {
        let dx = inputs[l].as_ref();
        for (place, &index) in block.iter().enumerate() {
            if let Some(i) = layer.place(index) {
                let own = layer.parameter_product(i, hz, dx);
                product[place] = sum_present(product[place].take(), Some(own));
            }
        }
        Added {
            input: dx,
            parameters: Some((block, v)),
        }
    });
    product
        .into_iter()
        .map(|p| p.expect("every parameter's layer is visited"))
        .collect()
}
