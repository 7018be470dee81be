//! The layers of a network at a point, in the order in which they are linearised.

use super::layer::{Local, OwnCurvature};
use super::layer_input::LayerInput;
use super::linearized_layer::LinearizedLayer;
use super::network::Network;
use super::node::{Node, Tensors};
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

/// The layers linearised so far.
struct LocalLayers<'a> {
    network: &'a Network,
    data: &'a Tensor,
    w: Tensors<'a>,
    /// The output of every node so far.
    outputs: Vec<Tensor>,
    /// The number of the layer whose tangents give those of every node's output; `None` where the
    /// output depends on no parameter.
    numbers: Vec<Option<usize>>,
    layers: Vec<LinearizedLayer>,
}

impl LocalLayers<'_> {
    /// Evaluates a node, and linearises it if it depends on parameters and is not postponed.
    fn add(&mut self, index: usize, node: &Node) {
        let (x, w) = (self.input(node), node.tensors(self.w));
        let input = node.input.renumbered(|source| self.numbers[source]);
        let below = input.sources().next();
        let depends = !node.parameters.is_empty() || below.is_some();
        let postponed = self.network.postponed_activation(index + 1) == Some(index);
        let (z, number) = if !depends || postponed {
            (node.layer.forward(&x, &w), below)
        } else {
            let (z, local) = node.layer.linearize(&x, &w);
            let number = match self.network.postponed_activation(index) {
                Some(activation) => self.append_swapped(activation, local, input, &z),
                None => self.append(local, input, node.parameters.clone(), &z),
            };
            (z, Some(number))
        };
        self.outputs.push(z);
        self.numbers.push(number);
    }

    /// Appends a layer and gives its number.
    fn append(
        &mut self,
        local: Box<dyn Local>,
        input: LayerInput,
        parameters: Vec<usize>,
        z: &Tensor,
    ) -> usize {
        self.layers.push(LinearizedLayer {
            local,
            output: z.size(),
            gradient: None,
            own_curvature: OwnCurvature::Zero,
            indices: parameters,
            input,
        });
        self.layers.len() - 1
    }

    /// Appends `z = select(σ(y))` as `z = σ(select(y))`, so that what is not selected is not
    /// differentiated: the entries stay those that are selected from `σ(y)`, whether or not σ rises.
    fn append_swapped(
        &mut self,
        activation: usize,
        select: Box<dyn Local>,
        input: LayerInput,
        z: &Tensor,
    ) -> usize {
        let activation = &self.network.nodes[activation];
        let y = self.input(activation).unsqueeze(0);
        let selected = select.tangent(&y).squeeze_dim(0);
        let local = activation.layer.at(&selected, &[], z);
        let below = self.append(select, input, Vec::new(), z);
        self.append(local, LayerInput::one(Some(below)), Vec::new(), z)
    }

    /// The input of a node: `[N, *in]`.
    fn input(&self, node: &Node) -> Tensor {
        node.input.value(self.data, &self.outputs)
    }
}
