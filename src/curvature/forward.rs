//! Quadratic forms from one tangent pass, without a product.

use super::{Blocks, Quadratic};
use crate::problem::{Linearization, LinearizedLayer, Tangents};
use tch::{Kind, Tensor};

/// `vᵀHv` of K vectors at once from one tangent pass up and the gradients of the one stored
/// backward pass; no adjoint per probe.
///
/// With tangents `dx, dz` of the direction v, and `g, r` stored, the second derivative of the loss
/// along v is `Σ_n df_nᵀ H_n df_n + Σ_layers ⟨r ∘ dx, dx⟩ + 2 Σ_layers ⟨g, (∂²z/∂x∂w)[dx, dw]⟩`.
/// Full: one pass for all parameters; the sum cannot be split by parameter. Block diagonal: one
/// pass per parameter from its layer up, where the last term vanishes.
///
/// About half the cost of [`Hmp`](super::Hmp), and memory `O(K N Σ features)`. Sums over a sample's
/// features are taken in the working precision, all else in float64.
pub struct Forward<'a> {
    at: &'a Linearization,
    blocks: Blocks,
}

impl<'a> Forward<'a> {
    /// The quadratic form of the linearised problem.
    pub fn new(at: &'a Linearization, blocks: Blocks) -> Self {
        Self { at, blocks }
    }

    /// `[K]`: v at one parameter, zero elsewhere.
    fn block(&self, index: usize, v: &Tensor) -> Tensor {
        let (l, i) = self.at.locate(index);
        let tangents = self.at.push(l, |at, layer| {
            (at == l).then(|| layer.parameters().tangent(i, v))
        });
        over_samples(&self.at.curvature_along(&tangents))
    }

    fn full(&self, v: &[Tensor]) -> Tensor {
        let tangents = self.at.push(0, |_, layer| layer.parameter_tangent(v));
        let own = over_samples(&self.at.curvature_along(&tangents));
        let mixed = |(layer, dx): (&LinearizedLayer, &Option<Tensor>)| {
            let dx = dx.as_ref()?;
            layer
                .indices
                .clone()
                .enumerate()
                .filter_map(|(i, index)| {
                    let row = layer.parameters().mixed_parameter(i, &layer.gradient, dx)?;
                    Some(super::dot(&v[index], &row) * 2.0)
                })
                .reduce(|a, b| a + b)
        };
        let layers = self.at.layers().iter().zip(&tangents.inputs);
        layers.filter_map(mixed).fold(own, |sum, term| sum + term)
    }
}

impl Quadratic for Forward<'_> {
    fn quadratic(&self, v: &[Tensor]) -> Tensor {
        match self.blocks {
            Blocks::Full => self.full(v).unsqueeze(0),
            Blocks::Parameter => {
                let blocks: Vec<Tensor> = (0..v.len()).map(|i| self.block(i, &v[i])).collect();
                Tensor::stack(&blocks, 0)
            }
        }
    }
}

impl Linearization {
    /// The curvature of every sample's loss along K tangents, parameters held: `[K, N]` in float64.
    ///
    /// `Σ_layers ⟨r ∘ dx, dx⟩ + dfᵀ H df`, that is `uᵀ H_n u` for tangents that start with u at the
    /// output of some layer.
    pub fn curvature_along(&self, tangents: &Tangents) -> Tensor {
        let own = self.loss().quadratic(&tangents.output);
        let layers = self.layers().iter().zip(&tangents.inputs);
        layers
            .filter_map(|(layer, dx)| layer.residual.quadratic(dx.as_ref()?))
            .fold(own, |sum, term| sum + term)
    }
}

/// `[K, N] -> [K]`.
fn over_samples(curvature: &Tensor) -> Tensor {
    curvature.sum_dim_intlist(1, false, None::<Kind>)
}
