//! Adjoints on their way down a network.

use super::linearized_layer::{Added, LinearizedLayer};
use super::tensors::sum_present;
use tch::Tensor;

/// Adjoints on their way down, layer by layer from the top: at every output the sum of what the
/// layers above have handed down so far.
pub struct Adjoints<'a> {
    layers: &'a [LinearizedLayer],
    /// At the output of every layer.
    sums: Vec<Option<Tensor>>,
    needed: Vec<bool>,
}

impl<'a> Adjoints<'a> {
    /// No adjoints yet; those that reach layers that are not `needed` are dropped.
    pub(super) fn new(layers: &'a [LinearizedLayer], needed: Vec<bool>) -> Self {
        Self {
            layers,
            sums: needed.iter().map(|_| None).collect(),
            needed,
        }
    }

    /// The same adjoints once more.
    pub fn shallow_clone(&self) -> Self {
        let own = |sum: &Option<Tensor>| sum.as_ref().map(Tensor::shallow_clone);
        Self {
            layers: self.layers,
            sums: self.sums.iter().map(own).collect(),
            needed: self.needed.clone(),
        }
    }

    /// Adds `h: [K, N, *out]` at the output of layer `index`.
    pub fn add(&mut self, index: usize, h: Tensor) {
        self.sums[index] = sum_present(self.sums[index].take(), Some(h));
    }

    /// Takes out the adjoint at the output of layer `index`, which is complete once all layers that
    /// take this output in have been propagated through.
    pub fn take(&mut self, index: usize) -> Option<Tensor> {
        self.sums[index].take()
    }

    /// Hands the adjoint `hz` at the output of layer `index` down to the layers below it, with what is
    /// added at the layer's input.
    pub fn propagate(&mut self, index: usize, hz: &Tensor, added: Added<'_>) {
        let layer = &self.layers[index];
        if !layer.input.sources().any(|source| self.needed[source]) {
            return;
        }
        let hx = layer.adjoint(hz, added);
        for (source, h) in layer.input.split(&hx, 2) {
            if self.needed[source] {
                self.add(source, h);
            }
        }
    }
}
