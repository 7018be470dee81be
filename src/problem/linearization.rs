//! A network linearised at a point, and the two walks that know the order of its layers.

use super::Curvature;
use super::adjoints::Adjoints;
use super::batch::Batch;
use super::join::Inputs;
use super::layer::{Local, LocalParameters, OwnCurvature, Symmetric};
use super::local_layers::local_layers;
use super::loss::{LocalLoss, Loss, output_matrix};
use super::network::{Network, Tensors};
use super::signs::Vectors;
use std::ops::Range;
use tch::Tensor;

/// A network and its loss linearised at one batch: one forward and one backward pass, kept.
///
/// Every product and one-pass estimator is written over this. What depends on no parameter only
/// prepares the data and is left out. Layers are numbered so that each comes after those whose
/// outputs it takes in; several may take in the same output, where their adjoints add up. They are
/// those of the network in its order, but for activations under a layer that only picks some of
/// their outputs: these are linearised after it, at what it picks. Memory:
/// the activations and their gradients, `O(N · Σ features)`.
pub struct Linearization {
    layers: Vec<LinearizedLayer>,
    loss: Box<dyn LocalLoss>,
    parameter_count: usize,
}

/// One layer: its local maps, the gradient at its output, and its own curvature under it.
pub struct LinearizedLayer {
    /// Its local maps.
    pub local: Box<dyn Local>,
    /// The shape of its output z for the whole batch, `[N, *out]`.
    pub output: Vec<i64>,
    /// `∂ℓ/∂z: [N, *out]`; absent for matrices to which the layers' own curvature means nothing.
    pub gradient: Option<Tensor>,
    /// Its own curvature at its input.
    pub own_curvature: OwnCurvature,
    /// Which of the network's parameters are this layer's.
    pub indices: Range<usize>,
    pub(super) inputs: Inputs,
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

    /// Entries of its parameter i.
    pub fn numel(&self, i: usize) -> i64 {
        self.parameters().shape(i).iter().product()
    }

    /// Entries that it puts out per sample.
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
        self.inputs.sources().next().is_some()
    }

    /// `d ↦ J d Jᵀ` on diagonals `[N, *]`, down to the outputs that the layer takes in; `None`
    /// where that is no diagonal.
    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        match self.inputs.keep_diagonals() {
            true => self.local.diagonal_adjoint(d),
            false => None,
        }
    }
}

/// Tangents of one upward pass: `inputs[l]: [K, N, *in]` of layer l (absent: zero), and the output.
pub struct Tangents {
    /// Tangents at the layers' inputs.
    pub inputs: Vec<Option<Tensor>>,
    /// The tangent at the network's output.
    pub output: Tensor,
}

/// What a diagonal meets on its way down.
pub struct Diagonal<'a> {
    /// The number of the layer at whose output it stands.
    pub index: usize,
    /// That layer.
    pub layer: &'a LinearizedLayer,
    /// `[N, *out]`.
    pub entries: Tensor,
    /// Whether it goes on below the layer as a matrix that is no diagonal.
    pub ends: bool,
}

/// The curvature of one layer that is no diagonal.
pub struct NonDiagonalCurvature<'a> {
    /// The number of that layer.
    pub layer: usize,
    /// The number of the layer below it, at whose output the curvature stands.
    pub below: usize,
    /// `H_n` over that output.
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
        let mut at = Self {
            layers,
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
            let residual = match layer.has_input() {
                true => layer.local.own_curvature(&g),
                false => OwnCurvature::Zero,
            };
            own.push((index, g, residual));
            None
        });
        for (index, gradient, residual) in own {
            self.layers[index].gradient = Some(gradient);
            self.layers[index].own_curvature = residual;
        }
    }

    /// The layers, from the input up.
    pub fn layers(&self) -> &[LinearizedLayer] {
        &self.layers
    }

    /// The number of the layer that puts the network's output out.
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

    /// The layer of parameter `index`, and its number within that layer.
    ///
    /// # Panics
    /// If there is no such parameter.
    pub fn locate(&self, index: usize) -> (usize, usize) {
        let layer = self
            .layers
            .iter()
            .position(|layer| layer.indices.contains(&index))
            .expect("a parameter of the network");
        (layer, index - self.layers[layer].indices.start)
    }

    /// Tangents upward from layer `start`; `inject(l)` is what layer l adds to its own output.
    ///
    /// # Panics
    /// If nothing is injected anywhere.
    pub fn propagate_tangents(
        &self,
        start: usize,
        mut inject: impl FnMut(usize, &LinearizedLayer) -> Option<Tensor>,
    ) -> Tangents {
        let (mut inputs, mut outputs) = (self.nothing(), self.nothing());
        for (index, layer) in self.layers.iter().enumerate().skip(start) {
            inputs[index] = layer.inputs.tangent(&outputs);
            let passed = inputs[index].as_ref().map(|dx| layer.local.tangent(dx));
            outputs[index] = sum(passed, inject(index, layer));
        }
        Tangents {
            inputs,
            output: outputs
                .pop()
                .flatten()
                .expect("every layer leads to the output"),
        }
    }

    /// Tangents of some parameters moved along K vectors, one `[K, *shape]` for each of them.
    ///
    /// # Panics
    /// If there are none.
    pub fn parameter_tangents(&self, parameters: &[usize], v: &[Vectors]) -> Tangents {
        let start = parameters.iter().map(|&index| self.locate(index).0).min();
        self.propagate_tangents(start.expect("a block has parameters"), |_, layer| {
            let own = parameters.iter().zip(v);
            let own = own.filter(|(index, _)| layer.indices.contains(index));
            own.map(|(index, v)| v.tangent(layer.parameters(), index - layer.indices.start))
                .reduce(|a, b| a + b)
        })
    }

    /// Adjoints downward from `h` at the output of layer `from`: all the way, or only to the layers
    /// `goals`. `visit(l, hz)` sees what arrives at the output of layer l and returns what is added
    /// at its input.
    pub fn propagate_adjoints(
        &self,
        from: usize,
        h: Tensor,
        goals: Option<&[usize]>,
        mut visit: impl FnMut(usize, &LinearizedLayer, &Tensor) -> Option<Tensor>,
    ) {
        let mut adjoints = self.adjoints(goals);
        adjoints.add(from, h);
        for index in (0..=from).rev() {
            if let Some(hz) = adjoints.take(index) {
                let own = visit(index, &self.layers[index], &hz);
                adjoints.pass(index, &hz, own);
            }
        }
    }

    /// Adjoints that nothing has been added to yet: for every layer, or for `goals` and those alone
    /// that lie between them and the output.
    pub fn adjoints(&self, goals: Option<&[usize]>) -> Adjoints<'_> {
        let wanted = match goals {
            None => vec![true; self.layers.len()],
            Some(goals) => self.above(goals),
        };
        Adjoints::new(self, wanted)
    }

    /// Which layers are among some, or take in, directly or not, what those put out.
    pub fn above(&self, layers: &[usize]) -> Vec<bool> {
        let mut above = vec![false; self.layers.len()];
        for (index, layer) in self.layers.iter().enumerate() {
            let takes_in = layer.inputs.sources().any(|source| above[source]);
            above[index] = takes_in || layers.contains(&index);
        }
        above
    }

    /// The curvatures of layers that are no diagonals, from the input up.
    pub fn non_diagonal_curvatures(&self) -> impl Iterator<Item = NonDiagonalCurvature<'_>> {
        let layers = self.layers.iter().enumerate();
        layers.filter_map(|(layer, at)| match &at.own_curvature {
            OwnCurvature::General(matrix) => Some(NonDiagonalCurvature {
                layer,
                below: at.inputs.sources().next()?,
                matrix: matrix.as_ref(),
            }),
            _ => None,
        })
    }

    /// Carries every layer's curvature down while it stays a diagonal; `meet` sees it at the
    /// output of every layer that it comes to.
    pub fn propagate_diagonals(&self, mut meet: impl FnMut(Diagonal<'_>)) {
        let mut carried = self.nothing();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let mut below = match &layer.own_curvature {
                OwnCurvature::Zero | OwnCurvature::General(_) => None,
                OwnCurvature::Diagonal(r) => Some(r.shallow_clone()),
            };
            if let Some(entries) = carried[index].take() {
                let passed = match layer.has_input() {
                    true => layer.diagonal_adjoint(&entries),
                    false => None,
                };
                meet(Diagonal {
                    index,
                    layer,
                    entries,
                    ends: layer.has_input() && passed.is_none(),
                });
                below = sum(below, passed);
            }
            if let Some(d) = below {
                for (source, d) in layer.inputs.split(&d, 1) {
                    carried[source] = sum(carried[source].take(), Some(d));
                }
            }
        }
    }

    fn nothing(&self) -> Vec<Option<Tensor>> {
        self.layers.iter().map(|_| None).collect()
    }
}

/// The sum of what is there.
pub(crate) fn sum(a: Option<Tensor>, b: Option<Tensor>) -> Option<Tensor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}
