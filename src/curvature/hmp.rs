//! The batched Hessian-matrix product: K vectors at once by layer rules, without an autograd graph.

use super::{Blocks, Product};
use crate::problem::Linearization;
use tch::Tensor;

/// `H V` for K vectors at once: tangents pushed up, through the loss's Hessian, adjoints pulled down.
///
/// Block diagonal (`Blocks::Parameter`): the block of a parameter of layer l is
/// `J_lᵀ H_{z_l} J_l`, so its tangent starts at `z_l` and its adjoint ends there; the layer's own
/// gradient does not enter. That is what BackPACK's HMP multiplies with (Dangel, Kunstner, Hennig,
/// ICLR 2020, arXiv:1912.10985), one pass per parameter.
///
/// Full (`Blocks::Full`): one pass for all parameters, Pearlmutter's R-operator (Neural Computation
/// 6:1, 1994, doi:10.1162/neco.1994.6.1.147) written per layer:
/// `h_x ← Jᵀ h_z + r ∘ dx + (∂(Jᵀg)/∂w) dw` and `h_w = J_wᵀ h_z + (∂(Jᵀg)/∂w)ᵀ dx`.
///
/// Memory: `O(K (P + N Σ features))`; no graph is kept.
pub struct Hmp<'a> {
    at: &'a Linearization,
    blocks: Blocks,
}

impl<'a> Hmp<'a> {
    /// The product of the linearised problem.
    pub fn new(at: &'a Linearization, blocks: Blocks) -> Self {
        Self { at, blocks }
    }

    /// The diagonal block of parameter `index` times K vectors: `[K, *shape] -> [K, *shape]`.
    pub fn block(&self, index: usize, v: &Tensor) -> Tensor {
        let (l, i) = self.at.locate(index);
        let tangents = self.at.push(l, |at, layer| {
            (at == l).then(|| layer.parameters().tangent(i, v))
        });
        let mut product = None;
        let top = self.at.loss().hessian(&tangents.output);
        self.at.pull(self.at.top(), top, Some(l), |at, layer, hz| {
            if at == l {
                product = Some(layer.parameters().adjoint(i, hz));
                return None;
            }
            let dx = tangents.inputs[at].as_ref()?;
            layer.residual.apply(dx)
        });
        product.expect("the pull ends at the layer of the parameter")
    }

    fn full(&self, v: &[Tensor]) -> Vec<Tensor> {
        let tangents = self.at.push(0, |_, layer| layer.parameter_tangent(v));
        let mut product: Vec<Option<Tensor>> = v.iter().map(|_| None).collect();
        let top = self.at.loss().hessian(&tangents.output);
        self.at.pull(self.at.top(), top, None, |at, layer, hz| {
            let dx = tangents.inputs[at].as_ref();
            let mut below = dx.and_then(|dx| layer.residual.apply(dx));
            for (i, index) in layer.indices.clone().enumerate() {
                let own = layer.parameters().adjoint(i, hz);
                let mixed =
                    dx.and_then(|dx| layer.parameters().mixed_parameter(i, &layer.gradient, dx));
                product[index] = add(Some(own), mixed);
                if layer.has_input() {
                    let mixed = layer
                        .parameters()
                        .mixed_input(i, &layer.gradient, &v[index]);
                    below = add(below, mixed);
                }
            }
            below
        });
        product
            .into_iter()
            .map(|p| p.expect("every parameter's layer is visited"))
            .collect()
    }
}

fn add(a: Option<Tensor>, b: Option<Tensor>) -> Option<Tensor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

impl Product for Hmp<'_> {
    fn multiply(&self, v: &[Tensor]) -> Vec<Tensor> {
        match self.blocks {
            Blocks::Full => self.full(v),
            Blocks::Parameter => (0..v.len()).map(|i| self.block(i, &v[i])).collect(),
        }
    }
}
