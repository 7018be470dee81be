//! The layers of a network at a point, in the order in which they are linearised.

use super::join::Inputs;
use super::layer::{Local, OwnCurvature};
use super::linearization::LinearizedLayer;
use super::network::{Network, Node, Tensors};
use std::ops::Range;
use tch::Tensor;

/// The layers that depend on parameters, linearised at `(x, w)`, and the network's output.
pub(super) fn local_layers(
    network: &Network,
    x: &Tensor,
    w: Tensors<'_>,
) -> (Vec<LinearizedLayer>, Tensor) {
    let mut layers = LocalLayers {
        network,
        data: x,
        w,
        outputs: Vec::with_capacity(network.nodes.len()),
        numbers: Vec::with_capacity(network.nodes.len()),
        layers: Vec::new(),
    };
    for (index, node) in network.nodes.iter().enumerate() {
        layers.add(index, node);
    }
    let output = layers.outputs.pop();
    (layers.layers, output.unwrap_or_else(|| x.shallow_clone()))
}

/// Layers on their way.
struct LocalLayers<'a> {
    network: &'a Network,
    data: &'a Tensor,
    w: Tensors<'a>,
    /// Of every node so far its output, and the layer by whose tangents its own are known.
    outputs: Vec<Tensor>,
    numbers: Vec<Option<usize>>,
    layers: Vec<LinearizedLayer>,
}

impl LocalLayers<'_> {
    fn add(&mut self, index: usize, node: &Node) {
        let (x, w) = (self.input(node), node.tensors(self.w));
        let inputs = node.inputs.renumbered(|source| self.numbers[source]);
        let below = inputs.sources().next();
        let depends = !node.parameters.is_empty() || below.is_some();
        let (z, number) = if !depends || self.network.exchanged(index + 1) == Some(index) {
            (node.layer.forward(&x, &w), below)
        } else {
            let (z, local) = node.layer.linearize(&x, &w);
            let number = match self.network.exchanged(index) {
                Some(activation) => self.exchange(activation, local, inputs, &z),
                None => self.put(local, inputs, node.parameters.clone(), &z),
            };
            (z, Some(number))
        };
        self.outputs.push(z);
        self.numbers.push(number);
    }

    fn put(
        &mut self,
        local: Box<dyn Local>,
        inputs: Inputs,
        parameters: Range<usize>,
        z: &Tensor,
    ) -> usize {
        self.layers.push(LinearizedLayer {
            local,
            output: z.size(),
            gradient: None,
            own_curvature: OwnCurvature::Zero,
            indices: parameters,
            inputs,
        });
        self.layers.len() - 1
    }

    /// `z = pick(σ(y))` as `z = σ(pick(y))`, so that what is not picked is not differentiated: the
    /// entries stay those that are picked from `σ(y)`, whether or not σ rises.
    fn exchange(
        &mut self,
        activation: usize,
        pick: Box<dyn Local>,
        inputs: Inputs,
        z: &Tensor,
    ) -> usize {
        let activation = &self.network.nodes[activation];
        let y = self.input(activation).unsqueeze(0);
        let picked = pick.tangent(&y).squeeze_dim(0);
        let local = activation.layer.at(&picked, &[], z);
        let pick = self.put(pick, inputs, 0..0, z);
        self.put(local, Inputs::one(Some(pick)), 0..0, z)
    }

    fn input(&self, node: &Node) -> Tensor {
        node.inputs.value(self.data, &self.outputs)
    }
}
