//! The network: layers with their shapes, in an order in which each comes after what it takes in.

use super::assembly::Assembly;
use super::layer::{Init, LayerSpec};
use super::names::Names;
use super::node::{Node, ParameterInfo, Tensors, Tie};
use super::one_place::OnePlace;
use super::script::{Script, ScriptFile};
use crate::error::UserError;
use std::ops::Range;
use tch::Tensor;

/// A network as a spec lists it: one module after another as in torch.nn.Sequential, some of them
/// made of branches whose outputs are combined. Holds shapes, no tensors.
#[derive(Debug)]
pub struct Network {
    pub(super) nodes: Vec<Node>,
    pub(super) one_place: Option<OnePlace>,
    parameters: Vec<ParameterInfo>,
    buffers: Vec<ParameterInfo>,
    ties: Vec<Tie>,
    tokens: Option<i64>,
    output: Vec<i64>,
    script: Option<Script>,
}

/// How many numbers a layer takes.
#[derive(Clone, Debug)]
pub struct LayerSize<'a> {
    /// Where a spec has the layer, from `[model]` on.
    pub key: &'a str,
    /// The kind of the layer in a spec.
    pub kind: &'a str,
    /// Numbers in its own parameters.
    pub parameters: u64,
    /// Numbers in its output for one sample.
    pub outputs: u64,
    /// Multiplications of one sample with its parameters: every entry once at each place where
    /// they are used.
    pub multiplications: f64,
    /// Whether it may have curvature of its own.
    pub is_curved: bool,
}

impl Network {
    /// The network for samples of shape `input` (without the batch axis).
    ///
    /// # Errors
    /// The first layer that does not fit, at `layers[index]`.
    pub fn new(layers: &[LayerSpec], input: &[i64]) -> Result<Self, UserError> {
        let (assembly, output) = Assembly::of(layers, input)?;
        Ok(Self {
            one_place: OnePlace::of(&assembly.nodes),
            nodes: assembly.nodes,
            parameters: assembly.parameters,
            buffers: assembly.buffers,
            ties: assembly.ties,
            tokens: assembly.tokens,
            output,
            script: None,
        })
    }

    /// The same network with `names` in place of positions.
    ///
    /// # Errors
    /// A position that there is not, or a name that two tensors would have.
    pub fn with_names(mut self, names: &Names) -> Result<Self, UserError> {
        let ties = self.ties.iter_mut().map(|tie| &mut tie.info);
        names.give(&mut self.parameters, self.buffers.iter_mut().chain(ties))?;
        Ok(self)
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
            one_place: None,
            parameters: script.parameters().into_iter().map(info).collect(),
            buffers: Vec::new(),
            ties: Vec::new(),
            tokens: None,
            output,
            script: Some(script),
        })
    }

    /// This network with `script` in place of its module: that on another device or in another
    /// precision.
    pub(crate) fn with_script(&self, script: Script) -> Self {
        Self {
            nodes: Vec::new(),
            one_place: None,
            parameters: self.parameters.clone(),
            buffers: Vec::new(),
            ties: Vec::new(),
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

    /// The parameters that a further layer takes, one entry for each such layer.
    pub fn ties(&self) -> &[Tie] {
        &self.ties
    }

    /// The name of the first parameter that several layers share.
    pub fn shared_parameter(&self) -> Option<&str> {
        let tie = self.ties.first()?;
        Some(&self.parameters[tie.parameter].name)
    }

    /// For a network that takes whole numbers from 0 on: how many there are.
    pub fn tokens(&self) -> Option<i64> {
        self.tokens
    }

    /// Which parameters every layer that has any has: those whose names differ in the last part.
    pub fn layers(&self) -> impl Iterator<Item = Range<usize>> {
        // A name without a dot stands for itself.
        let layer = |p: &ParameterInfo| {
            let (layer, _) = p.name.rsplit_once('.').unwrap_or((&p.name, ""));
            layer.to_owned()
        };
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

    /// The most numbers per sample that a layer makes on the way and drops again.
    pub fn inner(&self) -> i64 {
        let inner = self.nodes.iter().map(|node| node.layer.inner_features());
        inner.max().unwrap_or(0)
    }

    /// Over how many positions every layer looks that looks through the data's mask, by the layer's
    /// key.
    pub fn masked_positions(&self) -> impl Iterator<Item = (&str, i64)> {
        let layers = self.nodes.iter();
        layers.filter_map(|node| Some((node.key.as_str(), node.layer.masked_positions()?)))
    }

    /// The most entries per sample that a layer puts out or makes on the way, from the first one with
    /// parameters on.
    pub fn widest(&self) -> i64 {
        let first = |node: &&Node| node.parameters.is_empty();
        let nodes = self.nodes.iter().skip_while(first);
        let most = |node: &Node| node.features.max(node.layer.inner_features());
        nodes.map(most).max().unwrap_or(0)
    }

    /// For a node that selects some of its inputs (max pooling), all of them outputs of an
    /// activation that nothing else takes in: that activation, which may as well act on what is
    /// selected.
    pub(super) fn postponed_activation(&self, index: usize) -> Option<usize> {
        let node = self
            .nodes
            .get(index)
            .filter(|node| node.layer.selects_inputs())?;
        let below = index.checked_sub(1)?;
        let takes_in = |node: &&Node| node.input.sources().any(|source| source == below);
        let alone = takes_in(&node) && self.nodes.iter().filter(takes_in).count() == 1;
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
        let mut known = 0;
        self.nodes.iter().map(move |node| {
            // A parameter belongs to the first layer that takes it.
            let before = known;
            known = node
                .parameters
                .iter()
                .fold(known, |most, &i| most.max(i + 1));
            let all = node.parameters.iter().map(|&i| (i, &self.parameters[i]));
            // The first axis of a weight are outputs, which there are at every place.
            let places = |p: &ParameterInfo| {
                let outputs = p.shape.first().copied().unwrap_or(1).max(1);
                (node.features as f64 / outputs as f64).max(1.0)
            };
            let used = |p: &ParameterInfo| p.numel() as f64 * places(p);
            LayerSize {
                key: &node.key,
                kind: node.kind,
                multiplications: all.clone().map(|(_, p)| used(p)).sum(),
                parameters: (all.filter(|&(i, _)| i >= before))
                    .fold(0, |sum, (_, p)| sum.saturating_add(p.numel() as u64)),
                outputs: node.features as u64,
                is_curved: node.layer.is_curved(),
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
            let x = node.input.value(x, &outputs);
            outputs.push(node.layer.forward(&x, &node.tensors(w)));
        }
        outputs.pop().unwrap_or_else(|| x.shallow_clone())
    }
}
