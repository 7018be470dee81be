//! What a network is made of: layers in their places, and the tensors that they take.

use super::layer::{Init, Layer};
use super::layer_input::LayerInput;
use std::ops::Range;
use tch::Tensor;

/// A layer with its place in the network. Where the outputs of branches are combined stands an
/// identity, whose input is their combination.
#[derive(Debug)]
pub(super) struct Node {
    pub layer: Box<dyn Layer>,
    pub input: LayerInput,
    /// Which of the network's parameters it takes, in its own order.
    pub parameters: Vec<usize>,
    /// Which of the network's buffers are its own.
    pub buffers: Range<usize>,
    /// Where a spec has it: "layers[3].body[1]".
    pub key: String,
    /// The kind of the layer in a spec; "multiply" where outputs of branches are multiplied.
    pub kind: &'static str,
    /// Entries that it puts out per sample.
    pub features: i64,
}

impl Node {
    /// The layer's among the network's tensors: its parameters, then its buffers, then
    /// the mask if it looks through one.
    pub fn tensors(&self, w: Tensors<'_>) -> Vec<Tensor> {
        let parameters = self.parameters.iter().map(|&index| &w.parameters[index]);
        let buffers = &w.buffers[self.buffers.clone()];
        let mask = w.mask.filter(|_| self.layer.masked_positions().is_some());
        let own = parameters.chain(buffers).chain(mask);
        own.map(Tensor::shallow_clone).collect()
    }
}

/// The tensors that a network is evaluated with besides its inputs, each list in the network's order.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a> {
    /// The parameters.
    pub parameters: &'a [Tensor],
    /// The buffers.
    pub buffers: &'a [Tensor],
    /// Which positions of every sample may be looked at, `[N, T]` in truth values; absent: all.
    pub mask: Option<&'a Tensor>,
}

/// A parameter or buffer of the network: its state_dict name, shape and first value.
#[derive(Clone, Debug)]
pub struct ParameterInfo {
    /// Its name in the state_dict.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
    /// Its first value.
    pub init: Init,
}

/// A parameter in another layer as well, where it goes by a name of its own.
#[derive(Clone, Debug)]
pub struct Tie {
    /// What it would be there.
    pub info: ParameterInfo,
    /// Which of the network's parameters it is.
    pub parameter: usize,
}

impl ParameterInfo {
    /// How many numbers it holds.
    pub fn numel(&self) -> i64 {
        self.shape.iter().product()
    }
}
