//! The network: layers with their shapes, in an order in which each comes after what it takes in.

use super::assembly::Assembly;
use super::join::Inputs;
use super::layer::{Init, Layer, LayerSpec};
use super::script::{Script, ScriptFile};
use crate::error::UserError;
use std::ops::Range;
use tch::Tensor;

/// A network as a spec lists it: one layer after another as torch.nn.Sequential, some of them made
/// of branches that meet again. Holds shapes, no tensors.
#[derive(Debug)]
pub struct Network {
    pub(super) nodes: Vec<Node>,
    parameters: Vec<ParameterInfo>,
    buffers: Vec<ParameterInfo>,
    tokens: Option<i64>,
    output: Vec<i64>,
    script: Option<Script>,
}

/// A layer with its place in the network; where branches meet there is one that only hands on.
#[derive(Debug)]
pub(super) struct Node {
    pub layer: Box<dyn Layer>,
    pub inputs: Inputs,
    /// Which of the network's parameters are its own.
    pub parameters: Range<usize>,
    /// And which of its buffers.
    pub buffers: Range<usize>,
    /// Where a spec has it: "layers[3].body[1]".
    pub key: String,
    /// What a spec calls it.
    pub kind: &'static str,
    /// Entries that it puts out per sample.
    pub features: i64,
}

impl Node {
    /// The layer's own of the network's tensors: its parameters, then its buffers.
    pub fn tensors(&self, w: Tensors<'_>) -> Vec<Tensor> {
        let parameters = &w.parameters[self.parameters.clone()];
        let buffers = &w.buffers[self.buffers.clone()];
        let own = parameters.iter().chain(buffers);
        own.map(Tensor::shallow_clone).collect()
    }
}

/// What a network is evaluated with, each in the network's order.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a> {
    /// The parameters.
    pub parameters: &'a [Tensor],
    /// The buffers.
    pub buffers: &'a [Tensor],
}

/// How many numbers a layer takes.
#[derive(Clone, Debug)]
pub struct LayerSize<'a> {
    /// Where a spec has the layer, from `[model]` on.
    pub key: &'a str,
    /// What a spec calls it.
    pub kind: &'a str,
    /// In its parameters.
    pub parameters: u64,
    /// In its output for one sample.
    pub outputs: u64,
    /// Multiplications of one sample with its parameters: every entry once at each place where
    /// they are used.
    pub multiplications: f64,
}

/// A parameter of the network: its state_dict name, shape and first value.
#[derive(Clone, Debug)]
pub struct ParameterInfo {
    /// Its state_dict name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
    /// Its first value.
    pub init: Init,
}

impl ParameterInfo {
    /// How many numbers it holds.
    pub fn numel(&self) -> i64 {
        self.shape.iter().product()
    }
}

impl Network {
    /// The network for samples of shape `input` (without the batch axis).
    ///
    /// # Errors
    /// The first layer that does not fit, at `layers[index]`.
    pub fn new(layers: &[LayerSpec], input: &[i64]) -> Result<Self, UserError> {
        let (assembly, output) = Assembly::of(layers, input)?;
        Ok(Self {
            nodes: assembly.nodes,
            parameters: assembly.parameters,
            buffers: assembly.buffers,
            tokens: assembly.tokens,
            output,
            script: None,
        })
    }

    /// The network of a TorchScript file for samples of shape `input`: nothing is known of its
    /// layers.
    ///
    /// # Errors
    /// A file that is none, or that does not take such samples.
    pub fn of_script(file: &ScriptFile, input: &[i64]) -> Result<Self, UserError> {
        let (script, output) = file.shape(input)?;
        let info = |(name, p): (String, Tensor)| ParameterInfo {
            name,
            shape: p.size(),
            init: Init::Constant { value: 0.0 },
        };
        Ok(Self {
            nodes: Vec::new(),
            parameters: script.parameters().into_iter().map(info).collect(),
            buffers: Vec::new(),
            tokens: None,
            output,
            script: Some(script),
        })
    }

    /// The same network with its module elsewhere or in another precision.
    pub(crate) fn with_script(&self, script: Script) -> Self {
        Self {
            nodes: Vec::new(),
            parameters: self.parameters.clone(),
            buffers: Vec::new(),
            tokens: None,
            output: self.output.clone(),
            script: Some(script),
        }
    }

    /// The module, where the network is one of TorchScript, which has no layer rules.
    pub fn script(&self) -> Option<&Script> {
        self.script.as_ref()
    }

    /// The parameters in the order of `torch.nn.Module.parameters()`.
    pub fn parameters(&self) -> &[ParameterInfo] {
        &self.parameters
    }

    /// What else a trained network holds, in the order of the layers: running statistics.
    pub fn buffers(&self) -> &[ParameterInfo] {
        &self.buffers
    }

    /// For a network that takes whole numbers from 0 on: how many there are.
    pub fn tokens(&self) -> Option<i64> {
        self.tokens
    }

    /// Which parameters every layer that has any has: those whose names differ in the last part.
    pub fn layers(&self) -> impl Iterator<Item = Range<usize>> {
        let layer = |p: &ParameterInfo| p.name.rsplit_once('.').map(|(layer, _)| layer.to_owned());
        let mut first = 0;
        self.parameters
            .chunk_by(move |a, b| layer(a) == layer(b))
            .map(move |own| {
                first += own.len();
                first - own.len()..first
            })
    }

    /// Entries that all layers together put out per sample.
    pub fn features(&self) -> i64 {
        self.nodes.iter().map(|node| node.features).sum()
    }

    /// The most entries per sample that a layer puts out, from the first one with parameters on.
    pub fn widest(&self) -> i64 {
        let first = |node: &&Node| node.parameters.is_empty();
        let nodes = self.nodes.iter().skip_while(first);
        nodes.map(|node| node.features).max().unwrap_or(0)
    }

    /// For a node that picks some outputs of an activation that nothing else takes in: that
    /// activation, which may as well act on what is picked.
    pub(super) fn exchanged(&self, index: usize) -> Option<usize> {
        let node = self
            .nodes
            .get(index)
            .filter(|node| node.layer.selects_inputs())?;
        let below = index.checked_sub(1)?;
        let takes = |node: &&Node| node.inputs.sources().any(|source| source == below);
        let alone = takes(&node) && self.nodes.iter().filter(takes).count() == 1;
        let activation = &self.nodes[below];
        let fewer = node.features < activation.features;
        (alone && fewer && activation.layer.is_entrywise()).then_some(below)
    }

    /// The shape of an output (without the batch axis).
    pub fn output(&self) -> &[i64] {
        &self.output
    }

    /// How large each layer is, from the input up.
    pub fn sizes(&self) -> impl Iterator<Item = LayerSize<'_>> {
        self.nodes.iter().map(|node| {
            let parameters = self.parameters[node.parameters.clone()].iter();
            // The first axis of a weight are outputs, which there are at every place.
            let places = |p: &ParameterInfo| {
                let outputs = p.shape.first().copied().unwrap_or(1).max(1);
                (node.features as f64 / outputs as f64).max(1.0)
            };
            let used = |p: &ParameterInfo| p.numel() as f64 * places(p);
            LayerSize {
                key: &node.key,
                kind: node.kind,
                multiplications: parameters.clone().map(used).sum(),
                parameters: parameters.fold(0, |sum, p| sum.saturating_add(p.numel() as u64)),
                outputs: node.features as u64,
            }
        })
    }

    /// `[N, *in] -> [N, *out]`, differentiable by libtorch's autograd. A module of TorchScript has
    /// its own parameters, whatever w.
    pub fn forward(&self, x: &Tensor, w: Tensors<'_>) -> Tensor {
        if let Some(script) = &self.script {
            return script.forward(x);
        }
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let x = node.inputs.value(x, &outputs);
            outputs.push(node.layer.forward(&x, &node.tensors(w)));
        }
        outputs.pop().unwrap_or_else(|| x.shallow_clone())
    }
}
