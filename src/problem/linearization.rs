//! A network linearised at a point, and the passes that know the order of its layers.

use super::adjoints::Adjoints;
use super::batch::Batch;
use super::curvature::Curvature;
use super::layer::{OwnCurvature, Symmetric};
use super::linearized_layer::{Added, LinearizedLayer};
use super::local_layers::local_layers;
use super::loss::{LocalLoss, Loss, output_matrix};
use super::network::Network;
use super::node::Tensors;
use super::tensors::sum_present;
use super::vectors::Vectors;
use tch::Tensor;

/// A network and its loss linearised at one batch: one forward and one backward pass, kept.
///
/// Every product and one-pass estimator is written over this. What depends on no parameter only
/// prepares the data and is left out. Layers are numbered so that each comes after those whose
/// outputs it takes in; several may take in the same output, where their adjoints add up. They are
/// those of the network in its order, but for activations under a layer that only selects some of
/// their outputs (max pooling): these are linearised after it, at what it selects; and layers of which only
/// one place is used, as those over the last attention under a class token, are linearised there alone. Memory: the
/// activations and their gradients, `O(N · Σ features)`.
pub struct Linearization {
    layers: Vec<LinearizedLayer>,
    /// For every layer, the last one that takes in its output.
    last_uses: Vec<usize>,
    loss: Box<dyn LocalLoss>,
    parameter_count: usize,
}

/// The tangents of one upward pass.
pub struct Tangents {
    /// The tangent `[K, N, *in]` at the input of every layer; zero where it is absent.
    pub inputs: Vec<Option<Tensor>>,
    /// The tangent `[K, N, *out]` at the network's output.
    pub output: Tensor,
}

/// A diagonal part of the Hessian at the output of a layer, on its way down.
pub struct Diagonal<'a> {
    /// The number of that layer.
    pub index: usize,
    /// That layer.
    pub layer: &'a LinearizedLayer,
    /// The diagonal, `[N, *out]`.
    pub entries: Tensor,
    /// Whether there are layers below for which it is no diagonal any more, as the layer mixes
    /// entries.
    pub ends: bool,
}

/// The own curvature of a layer, where it is no diagonal.
pub struct NonDiagonalCurvature<'a> {
    /// The number of that layer.
    pub layer: usize,
    /// The number of the layer below it, at whose output the curvature stands.
    pub below: usize,
    /// The matrix `H_n` over that output.
    pub matrix: &'a dyn Symmetric,
}

impl Linearization {
    pub(super) fn new(
        network: &Network,
        loss: &dyn Loss,
        w: Tensors<'_>,
        batch: &Batch,
        curvature: Curvature,
    ) -> Self {
        let (layers, output) = local_layers(network, &batch.inputs.detach(), w);
        let loss = output_matrix(loss, &output, batch, curvature);
        let mut last_uses = vec![layers.len(); layers.len()];
        for (index, layer) in layers.iter().enumerate() {
            layer
                .input
                .sources()
                .for_each(|source| last_uses[source] = index);
        }
        let mut at = Self {
            layers,
            last_uses,
            loss,
            parameter_count: w.parameters.len(),
        };
        if curvature == Curvature::Hessian {
            at.take_gradients();
        }
        at
    }

    /// The backward pass: gradients at all outputs, and the layers' own curvature under them.
    fn take_gradients(&mut self) {
        let mut own = Vec::with_capacity(self.layers.len());
        let gradient = self.loss.gradient().unsqueeze(0);
        self.propagate_adjoints(self.top(), gradient, None, |index, layer, g| {
            let g = g.squeeze_dim(0);
            let own_curvature = match layer.has_input() {
                true => layer.local.own_curvature(&g),
                false => OwnCurvature::Zero,
            };
            own.push((index, g, own_curvature));
            Added::default()
        });
        for (index, gradient, own_curvature) in own {
            self.layers[index].gradient = Some(gradient);
            self.layers[index].own_curvature = own_curvature;
        }
    }

    /// The layers, from the input up.
    pub fn layers(&self) -> &[LinearizedLayer] {
        &self.layers
    }

    /// The number of the layer whose output is the network's.
    pub fn top(&self) -> usize {
        self.layers.len() - 1
    }

    /// The loss at the output.
    pub fn loss(&self) -> &dyn LocalLoss {
        self.loss.as_ref()
    }

    /// How many parameters the network has.
    pub fn parameter_count(&self) -> usize {
        self.parameter_count
    }

    /// The layers that take parameter `index`, from the input up, and its number within each.
    pub fn uses(&self, index: usize) -> impl Iterator<Item = (usize, usize)> {
        let layers = self.layers.iter().enumerate();
        layers.filter_map(move |(l, layer)| Some((l, layer.place(index)?)))
    }

    /// The lowest layer that takes parameter `index`, and its number within that layer.
    ///
    /// # Panics
    /// If there is no such parameter.
    pub fn locate(&self, index: usize) -> (usize, usize) {
        self.uses(index).next().expect("a parameter of the network")
    }

    /// Propagates tangents up from layer `start`; `inject(l)` is what is added at the output of layer l.
    ///
    /// # Panics
    /// If nothing is injected anywhere.
    pub fn propagate_tangents(
        &self,
        start: usize,
        mut inject: impl FnMut(usize, &LinearizedLayer) -> Option<Tensor>,
    ) -> Tangents {
        let mut inputs = self.none_each();
        let output = self.climb(start, |index, layer, dx| {
            inputs[index] = dx.map(Tensor::shallow_clone);
            let passed = dx.map(|dx| layer.local.tangent(dx));
            sum_present(passed, inject(index, layer))
        });
        Tangents { inputs, output }
    }

    /// Propagates the tangents of moving some parameters along K vectors, one `[K, *shape]` for each
    /// of them, up to the output: `[K, N, *out]`. `visit(l, dx)` sees the tangent at the input of
    /// every layer l that one reaches, and returns that at the output of a layer without parameters
    /// if it knows it; tangents are dropped as soon as no layer needs them any more.
    ///
    /// # Panics
    /// If there are none.
    pub fn parameter_tangents(
        &self,
        parameters: &[usize],
        v: &[Vectors],
        mut visit: impl FnMut(usize, &LinearizedLayer, &Tensor) -> Option<Tensor>,
    ) -> Tensor {
        let start = parameters.iter().map(|&index| self.locate(index).0).min();
        self.climb(
            start.expect("a block has parameters"),
            |index, layer, dx| {
                let known = dx.and_then(|dx| visit(index, layer, dx));
                known.or_else(|| layer.tangent_along(dx, parameters, v))
            },
        )
    }

    /// The tangents at the output of one layer after another, from number `start` up: `output(l, dx)`
    /// from that at the input of layer l. The last of them is returned.
    fn climb(
        &self,
        start: usize,
        mut output: impl FnMut(usize, &LinearizedLayer, Option<&Tensor>) -> Option<Tensor>,
    ) -> Tensor {
        let mut outputs = self.none_each();
        for (index, layer) in self.layers.iter().enumerate().skip(start) {
            let dx = layer.input.tangent(&outputs);
            for source in layer.input.sources() {
                if self.last_uses[source] == index {
                    outputs[source] = None;
                }
            }
            outputs[index] = output(index, layer, dx.as_ref());
        }
        let output = outputs.pop().flatten();
        output.expect("every layer leads to the output")
    }

    /// Propagates adjoints down from `h` at the output of layer `from`: all the way, or only to the
    /// layers `goals`. `visit(l, hz)` sees the adjoint at the output of layer l and returns what is
    /// added at its input.
    pub fn propagate_adjoints<'v>(
        &self,
        from: usize,
        h: Tensor,
        goals: Option<&[usize]>,
        mut visit: impl FnMut(usize, &LinearizedLayer, &Tensor) -> Added<'v>,
    ) {
        let mut adjoints = self.adjoints(goals);
        adjoints.add(from, h);
        for index in (0..=from).rev() {
            if let Some(hz) = adjoints.take(index) {
                let added = visit(index, &self.layers[index], &hz);
                adjoints.propagate(index, &hz, added);
            }
        }
    }

    /// Adjoints to be propagated by the caller, none of them added yet: for every layer, or for
    /// `goals` and those layers alone that lie between them and the output.
    pub fn adjoints(&self, goals: Option<&[usize]>) -> Adjoints<'_> {
        let needed = match goals {
            None => vec![true; self.layers.len()],
            Some(goals) => self.above(goals),
        };
        Adjoints::new(&self.layers, needed)
    }

    /// Which layers are among `layers`, or take in, directly or not, what those put out.
    pub fn above(&self, layers: &[usize]) -> Vec<bool> {
        let mut above = vec![false; self.layers.len()];
        for (index, layer) in self.layers.iter().enumerate() {
            let takes_in = layer.input.sources().any(|source| above[source]);
            above[index] = takes_in || layers.contains(&index);
        }
        above
    }

    /// Whether tangents that start at the outputs of `layers` meet no curvature of a layer's own on
    /// their way to the output.
    pub fn is_straight_above(&self, layers: &[usize]) -> bool {
        let above = self.above(layers);
        let met = |layer: &&LinearizedLayer| layer.input.sources().any(|source| above[source]);
        let mut met = self.layers.iter().filter(met);
        met.all(|layer| matches!(layer.own_curvature, OwnCurvature::Zero))
    }

    /// The own curvatures of layers that are no diagonals, from the input up.
    pub fn non_diagonal_curvatures(&self) -> impl Iterator<Item = NonDiagonalCurvature<'_>> {
        let layers = self.layers.iter().enumerate();
        layers.filter_map(|(layer, at)| match &at.own_curvature {
            OwnCurvature::General(matrix) => Some(NonDiagonalCurvature {
                layer,
                below: at.input.sources().next()?,
                matrix: matrix.as_ref(),
            }),
            _ => None,
        })
    }

    /// Propagates every layer's own curvature down while it stays a diagonal; `visit` sees it at the
    /// output of every layer that it reaches.
    pub fn propagate_diagonals(&self, mut visit: impl FnMut(Diagonal<'_>)) {
        let mut diagonals = self.none_each();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let mut below = match &layer.own_curvature {
                OwnCurvature::Zero | OwnCurvature::General(_) => None,
                OwnCurvature::Diagonal(r) => Some(r.shallow_clone()),
            };
            if let Some(entries) = diagonals[index].take() {
                let passed = match layer.has_input() {
                    true => layer.diagonal_adjoint(&entries),
                    false => None,
                };
                visit(Diagonal {
                    index,
                    layer,
                    entries,
                    ends: layer.has_input() && passed.is_none(),
                });
                below = sum_present(below, passed);
            }
            if let Some(d) = below {
                for (source, d) in layer.input.split(&d, 1) {
                    diagonals[source] = sum_present(diagonals[source].take(), Some(d));
                }
            }
        }
    }

    /// The curvature of every sample's loss along K tangents, parameters held: `[K, N]` in float64.
    ///
    /// `Σ_layers ⟨r ∘ dx, dx⟩ + dfᵀ H df`, that is `uᵀ H_n u` for tangents that start with u at the
    /// output of some layer.
    pub fn curvature_along(&self, tangents: &Tangents) -> Tensor {
        let top = self.loss.quadratic(&tangents.output);
        let layers = self.layers.iter().zip(&tangents.inputs);
        layers
            .filter_map(|(layer, dx)| layer.own_curvature.quadratic(dx.as_ref()?))
            .fold(top, |sum, term| sum + term)
    }

    /// An absent tensor for every layer.
    fn none_each(&self) -> Vec<Option<Tensor>> {
        self.layers.iter().map(|_| None).collect()
    }
}
