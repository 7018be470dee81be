//! One layer of a network linearised at a point.

use super::layer::{Local, LocalParameters, OwnCurvature};
use super::layer_input::LayerInput;
use super::tensors::plus_product;
use super::vectors::Vectors;
use tch::Tensor;

/// A layer's local maps, the gradient at its output, and its own curvature at its input.
pub struct LinearizedLayer {
    /// The derivatives of the layer's function.
    pub local: Box<dyn Local>,
    /// The shape of its output z for the whole batch, `[N, *out]`.
    pub output: Vec<i64>,
    /// `∂ℓ/∂z: [N, *out]`; absent for matrices to which the layers' own curvature means nothing.
    pub gradient: Option<Tensor>,
    /// The curvature at its input that the layer adds of its own, `Σ_a (∂ℓ/∂z_a) ∂²z_a/∂x²`.
    pub own_curvature: OwnCurvature,
    /// Which of the network's parameters this layer takes, in its own order.
    pub indices: Vec<usize>,
    pub(super) input: LayerInput,
}

/// What is added to an adjoint at a layer's input; nothing by default.
#[derive(Clone, Copy, Default)]
pub struct Added<'a> {
    /// The tangents of the input, `[K, N, *in]`, whose product with the layer's own curvature is added.
    pub input: Option<&'a Tensor>,
    /// Some of the network's parameters and K vectors for each, `[K, *shape]`: the mixed terms of those that
    /// are the layer's own are added.
    pub parameters: Option<(&'a [usize], &'a [Vectors<'a>])>,
}

impl LinearizedLayer {
    /// The maps of the layer's parameters.
    ///
    /// # Panics
    /// If it has none, that is if `indices` is empty.
    pub fn parameters(&self) -> &dyn LocalParameters {
        self.local
            .parameters()
            .expect("a layer with parameters has their maps")
    }

    /// The number within the layer of the network's parameter `index`, if it takes that.
    pub fn place(&self, index: usize) -> Option<usize> {
        self.indices.iter().position(|&own| own == index)
    }

    /// The tangents at its output along those at its input and along vectors of the network's
    /// `parameters`, of which others than its own do not matter: `[K, N, *out]`.
    pub fn tangent_along(
        &self,
        dx: Option<&Tensor>,
        parameters: &[usize],
        v: &[Vectors],
    ) -> Option<Tensor> {
        self.local.tangent_along(dx, &self.own(parameters, v))
    }

    /// The vectors of its own parameters, with their numbers within the layer.
    fn own<'v>(&self, parameters: &[usize], v: &[Vectors<'v>]) -> Vec<(usize, Vectors<'v>)> {
        let own = parameters.iter().zip(v);
        let own = own.filter_map(|(&index, &v)| Some((self.place(index)?, v)));
        own.collect()
    }

    /// The adjoint `Jᵀ hz` at its input, plus what is added there: its own curvature times tangents of the
    /// input, and the mixed terms of vectors of parameters: `[K, N, *out] -> [K, N, *in]`.
    pub fn adjoint(&self, hz: &Tensor, added: Added) -> Tensor {
        let own = added.parameters.map(|(block, v)| self.own(block, v));
        let mixed = self.gradient.as_ref().zip(own);
        let passed = || match &mixed {
            Some((g, dw)) => self.local.adjoint_along(hz, g, dw),
            None => self.local.adjoint(hz),
        };
        match (&self.own_curvature, added.input) {
            // Through a curved layer the adjoint is no view of `hz`.
            (OwnCurvature::Diagonal(r), Some(dx)) => plus_product(passed(), r, dx),
            (OwnCurvature::General(h), Some(dx)) => {
                // Both at once are without the mixed terms of a layer that has parameters.
                let at_once = match self.indices.is_empty() {
                    true => h.apply_with_adjoint(dx, hz),
                    false => None,
                };
                at_once.unwrap_or_else(|| {
                    let mut sum = h.apply(dx);
                    sum += passed();
                    sum
                })
            }
            _ => passed(),
        }
    }

    /// What a product with the Hessian is at parameter i, `[K, *shape]`: the adjoint of `hz: [K, N, *out]`,
    /// and the mixed term of the input's tangents `dx: [K, N, *in]`, where the input has any.
    pub fn parameter_product(&self, i: usize, hz: &Tensor, dx: Option<&Tensor>) -> Tensor {
        let maps = self.parameters();
        let mixed = self.gradient.as_ref().zip(dx);
        let at_once = mixed.and_then(|(g, dx)| maps.adjoint_with_mixed(i, hz, g, dx));
        at_once.unwrap_or_else(|| {
            let adjoint = maps.adjoint(i, hz);
            match mixed.and_then(|(g, dx)| maps.mixed_parameter(i, g, dx)) {
                Some(mixed) => adjoint + mixed,
                None => adjoint,
            }
        })
    }

    /// How many entries its parameter i has.
    pub fn numel(&self, i: usize) -> i64 {
        self.parameters().shape(i).iter().product()
    }

    /// The work of a tangent or an adjoint of one sample through it, in multiplications: for each
    /// output the entries of the weights that it depends on.
    pub fn work(&self) -> f64 {
        let each = |i: usize| {
            let shape = self.parameters().shape(i);
            shape[1..].iter().product::<i64>() as f64
        };
        let weights = (0..self.indices.len()).map(each);
        self.features() as f64 * (1.0 + weights.sum::<f64>())
    }

    /// How many entries it puts out per sample.
    pub fn features(&self) -> i64 {
        self.output[1..].iter().product()
    }

    /// Whether each of its outputs has parameters of its own, as every output of a linear layer has:
    /// of a matrix over the outputs, the diagonal in the parameters then depends on the diagonal
    /// alone. No if it has no parameters.
    pub fn sees_diagonals_only(&self) -> bool {
        let own = |i| self.parameters().trace_factor(i).is_some();
        !self.indices.is_empty() && (0..self.indices.len()).all(own)
    }

    /// Whether its input depends on parameters.
    pub fn has_input(&self) -> bool {
        self.input.sources().next().is_some()
    }

    /// Whether its output moves as the sum of the outputs that it takes in, as if it were not there.
    pub fn hands_on(&self) -> bool {
        self.local.is_identity() && self.input.is_sum() && self.has_input()
    }

    /// The layers whose outputs it takes in, by their numbers.
    pub fn sources(&self) -> impl Iterator<Item = usize> {
        self.input.sources()
    }

    /// `d ↦ J d Jᵀ` on diagonals `[N, *]`, down to the outputs that the layer takes in; `None`
    /// where that is no diagonal.
    pub(super) fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        match self.input.keeps_diagonals() {
            true => self.local.diagonal_adjoint(d),
            false => None,
        }
    }
}
