//! Adjoints on their way down a network.

use super::linearization::{Linearization, sum};
use tch::Tensor;

/// Adjoints on their way down, layer by layer from the top: what has arrived at each output.
pub struct Adjoints<'a> {
    at: &'a Linearization,
    arrived: Vec<Option<Tensor>>,
    wanted: Vec<bool>,
}

impl<'a> Adjoints<'a> {
    /// Nothing yet; what reaches layers that are not `wanted` is dropped.
    pub(super) fn new(at: &'a Linearization, wanted: Vec<bool>) -> Self {
        Self {
            at,
            arrived: wanted.iter().map(|_| None).collect(),
            wanted,
        }
    }

    /// Adds `h: [K, N, *out]` at the output of layer `index`.
    pub fn add(&mut self, index: usize, h: Tensor) {
        self.arrived[index] = sum(self.arrived[index].take(), Some(h));
    }

    /// What has arrived at the output of layer `index`, from all layers that take it in.
    pub fn take(&mut self, index: usize) -> Option<Tensor> {
        self.arrived[index].take()
    }

    /// Hands `hz` at the output of layer `index` down to the layers below it, with `own` added at
    /// the layer's input.
    pub fn pass(&mut self, index: usize, hz: &Tensor, own: Option<Tensor>) {
        let layer = &self.at.layers()[index];
        if !layer.inputs.sources().any(|source| self.wanted[source]) {
            return;
        }
        let passed = layer.local.adjoint(hz);
        let below = match own {
            Some(own) => passed + own,
            None => passed,
        };
        for (source, h) in layer.inputs.split(&below, 2) {
            if self.wanted[source] {
                self.add(source, h);
            }
        }
    }
}
