//! The network: layers with their shapes, in an order in which each comes after what it takes in.

use super::join::{Combine, Inputs};
use super::layer::{Branches, Init, Layer, LayerSpec, Misfit, ParameterShape, Part, identity};
use super::script::{Script, ScriptFile};
use crate::error::{UserError, join};
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
    buffers: Range<usize>,
    /// Where a spec has it: "layers[3].body[1]".
    key: String,
    kind: &'static str,
    /// Entries that it puts out per sample.
    features: i64,
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
        let mut builder = Builder::default();
        let data = (None, input.to_vec());
        let (_, output) = builder.list(layers, "layers", "", data)?;
        Ok(Self {
            nodes: builder.nodes,
            parameters: builder.parameters,
            buffers: builder.buffers,
            tokens: builder.tokens,
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

    /// The shape of an output (without the batch axis).
    pub fn output(&self) -> &[i64] {
        &self.output
    }

    /// How large each layer is, from the input up.
    pub fn sizes(&self) -> impl Iterator<Item = LayerSize<'_>> {
        self.nodes.iter().map(|node| {
            let parameters = self.parameters[node.parameters.clone()].iter();
            LayerSize {
                key: &node.key,
                kind: node.kind,
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

/// An output (by its layer's number; `None` is the data) and its shape.
type Place = (Option<usize>, Vec<i64>);

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    parameters: Vec<ParameterInfo>,
    buffers: Vec<ParameterInfo>,
    tokens: Option<i64>,
}

impl Builder {
    /// Layers one on another; `key` is where the list stands, `name` begins the names in it.
    fn list(
        &mut self,
        layers: &[LayerSpec],
        key: &str,
        name: &str,
        input: Place,
    ) -> Result<Place, UserError> {
        layers
            .iter()
            .enumerate()
            .try_fold(input, |input, (index, spec)| {
                let (key, name) = (format!("{key}[{index}]"), format!("{name}{index}."));
                self.element(spec, &key, &name, input)
            })
    }

    fn element(
        &mut self,
        spec: &LayerSpec,
        key: &str,
        name: &str,
        input: Place,
    ) -> Result<Place, UserError> {
        let (kind, shape) = (spec.kind(), input.1.clone());
        let wrong = |misfit: Misfit| misfit.of(kind, &shape).within(key);
        match spec.part(&shape).map_err(wrong)? {
            Part::Layer(layer, output) => {
                if let Some(tokens) = layer.tokens() {
                    self.take_tokens(tokens, input.0).map_err(wrong)?;
                }
                self.layer(layer, Inputs::one(input.0), output, (key, name, kind))
            }
            Part::Branches(branches) => {
                let parts = branches
                    .lists
                    .iter()
                    .map(|(place, layers)| {
                        let name = format!("{name}{}.", place.replace('[', ".").replace(']', ""));
                        self.list(layers, &join(key, place), &name, input.clone())
                    })
                    .collect::<Result<Vec<Place>, _>>()?;
                let (inputs, output) = Inputs::joined(&parts, branches.combine)
                    .ok_or_else(|| wrong(apart(&branches, &parts)))?;
                self.layer(identity(), inputs, output, (key, name, kind))
            }
        }
    }

    /// What takes tokens takes the data; the data must suit all that do.
    fn take_tokens(&mut self, tokens: i64, source: Option<usize>) -> Result<(), Misfit> {
        if source.is_some() {
            return Err(Misfit {
                expected: "the data themselves".into(),
                remedy: "put it first in the network, or first in branches that come first".into(),
            });
        }
        self.tokens = Some(self.tokens.map_or(tokens, |others| others.min(tokens)));
        Ok(())
    }

    fn layer(
        &mut self,
        layer: Box<dyn Layer>,
        inputs: Inputs,
        output: Vec<i64>,
        (key, name, kind): (&str, &str, &'static str),
    ) -> Result<Place, UserError> {
        let at = |error: UserError| error.within(key);
        countable("output", &output).map_err(at)?;
        let parameters = list(&mut self.parameters, layer.parameters(), name).map_err(at)?;
        let buffers = list(&mut self.buffers, layer.buffers(), name).map_err(at)?;
        self.nodes.push(Node {
            layer,
            inputs,
            parameters,
            buffers,
            key: key.into(),
            kind,
            features: output.iter().product(),
        });
        Ok((Some(self.nodes.len() - 1), output))
    }
}

/// Puts a layer's tensors at the end of the network's, names beginning with `name`.
fn list(
    all: &mut Vec<ParameterInfo>,
    own: Vec<ParameterShape>,
    name: &str,
) -> Result<Range<usize>, UserError> {
    let first = all.len();
    for p in own {
        countable(p.name, &p.shape)?;
        all.push(ParameterInfo {
            name: format!("{name}{}", p.name),
            shape: p.shape,
            init: p.init,
        });
    }
    Ok(first..all.len())
}

/// What is wrong with branches whose outputs do not meet.
fn apart(branches: &Branches<'_>, parts: &[Place]) -> Misfit {
    let found =
        |((place, _), (_, shape)): (&(String, &[LayerSpec]), &Place)| format!("{place} {shape:?}");
    let found: Vec<String> = branches.lists.iter().zip(parts).map(found).collect();
    let (same, remedy) = match branches.combine {
        Combine::Add => ("the same shape", "give them the same channels and strides"),
        Combine::Cat => (
            "the same shape but for the channels",
            "give them the same strides, and padding to match",
        ),
    };
    Misfit {
        expected: format!("branches that put out {same}, found {}", found.join(", ")),
        remedy: remedy.into(),
    }
}

/// Refuses a shape whose bytes cannot be counted in 63 bits.
fn countable(name: &str, shape: &[i64]) -> Result<(), UserError> {
    let bytes = shape
        .iter()
        .try_fold(8i64, |bytes, &n| bytes.checked_mul(n));
    match bytes {
        Some(_) => Ok(()),
        None => Err(UserError::new(
            "",
            format!("the {name} has shape {shape:?}, more than any memory holds"),
            "make the layer smaller",
        )),
    }
}
