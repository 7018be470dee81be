//! The network: a list of layers with their shapes, and its linearisation at a point.

use super::layer::{Init, Layer, LayerSpec, Local, LocalParameters, Residual};
use super::loss::{LocalLoss, Loss};
use crate::error::UserError;
use std::ops::Range;
use tch::Tensor;

/// Layers one after another, as torch.nn.Sequential; holds shapes, no tensors.
#[derive(Debug)]
pub struct Network {
    nodes: Vec<Node>,
    parameters: Vec<ParameterInfo>,
    output: Vec<i64>,
}

#[derive(Debug)]
struct Node {
    layer: Box<dyn Layer>,
    parameters: Range<usize>,
    /// Entries that the layer puts out per sample.
    features: i64,
}

/// How many numbers a layer takes.
#[derive(Clone, Copy, Debug)]
pub struct LayerSize {
    /// In its parameters.
    pub parameters: u64,
    /// In its output for one sample.
    pub outputs: u64,
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
        let mut shape = input.to_vec();
        let (mut nodes, mut parameters) = (Vec::new(), Vec::new());
        for (index, spec) in layers.iter().enumerate() {
            let at = |error: UserError| error.within(&format!("layers[{index}]"));
            let (layer, output) = spec
                .build(&shape)
                .map_err(|misfit| at(misfit.of(spec.kind(), &shape)))?;
            countable("output", &output).map_err(at)?;
            let first = parameters.len();
            for p in layer.parameters() {
                countable(p.name, &p.shape).map_err(at)?;
                parameters.push(ParameterInfo {
                    name: format!("{index}.{}", p.name),
                    shape: p.shape,
                    init: p.init,
                });
            }
            nodes.push(Node {
                layer,
                parameters: first..parameters.len(),
                features: output.iter().product(),
            });
            shape = output;
        }
        Ok(Self {
            nodes,
            parameters,
            output: shape,
        })
    }

    /// The parameters in the order of `torch.nn.Module.parameters()`.
    pub fn parameters(&self) -> &[ParameterInfo] {
        &self.parameters
    }

    /// Entries that all layers together put out per sample.
    pub fn features(&self) -> i64 {
        self.nodes.iter().map(|node| node.features).sum()
    }

    /// The shape of an output (without the batch axis).
    pub fn output(&self) -> &[i64] {
        &self.output
    }

    /// How large each layer is.
    pub fn sizes(&self) -> impl Iterator<Item = LayerSize> {
        self.nodes.iter().map(|node| {
            let parameters = self.parameters[node.parameters.clone()].iter();
            LayerSize {
                parameters: parameters.fold(0, |sum, p| sum.saturating_add(p.numel() as u64)),
                outputs: node.features as u64,
            }
        })
    }

    /// `[N, *in] -> [N, *out]`, differentiable by libtorch's autograd.
    pub fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        self.nodes.iter().fold(x.shallow_clone(), |x, node| {
            node.layer.forward(&x, &w[node.parameters.clone()])
        })
    }

    /// The layers from the lowest one with parameters up, linearised at `(x, w)`, and the output.
    fn at(&self, x: &Tensor, w: &[Tensor]) -> (Vec<LocalLayer>, Tensor) {
        let lowest = self
            .nodes
            .iter()
            .position(|node| !node.parameters.is_empty())
            .unwrap_or(self.nodes.len());
        let (fixed, curved) = self.nodes.split_at(lowest);
        let mut x = fixed
            .iter()
            .fold(x.shallow_clone(), |x, node| node.layer.forward(&x, &[]));
        let mut locals = Vec::with_capacity(curved.len());
        for node in curved {
            let w = &w[node.parameters.clone()];
            let z = samples_innermost(node.layer.forward(&x, w));
            locals.push((node.layer.at(&x, w, &z), node.parameters.clone()));
            x = z;
        }
        (locals, x)
    }
}

/// A layer's local maps, and which of the network's parameters are its own.
type LocalLayer = (Box<dyn Local>, Range<usize>);

/// The same values of a flat `[N, features]` with the samples along contiguous memory.
///
/// One matrix product over all probes puts tangents out that way; elementwise maps of both then run
/// along contiguous memory.
fn samples_innermost(z: Tensor) -> Tensor {
    match z.dim() {
        2 => z.tr().contiguous().tr(),
        _ => z,
    }
}

/// A network and its loss linearised at one batch: one forward and one backward pass, kept.
///
/// Every product and one-pass estimator is written over this. Layers below the lowest one with
/// parameters only prepare the data and are left out: layer 0 here has parameters. Memory: the
/// activations and their gradients, `O(N · Σ features)`.
pub struct Linearization {
    layers: Vec<LinearizedLayer>,
    loss: Box<dyn LocalLoss>,
}

/// One layer: its local maps, the gradient at its output, and its own curvature under it.
pub struct LinearizedLayer {
    /// Its local maps.
    pub local: Box<dyn Local>,
    /// `∂ℓ/∂z: [N, *out]`.
    pub gradient: Tensor,
    /// Its own curvature at its input.
    pub residual: Residual,
    /// Which of the network's parameters are this layer's.
    pub indices: Range<usize>,
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

    /// What the layer's own parameters add to its output, `v` holding a tensor per parameter of
    /// the network: `Σ_i (∂z/∂w_i) v_i`; `None` for a layer without parameters.
    pub fn parameter_tangent(&self, v: &[Tensor]) -> Option<Tensor> {
        self.indices
            .clone()
            .enumerate()
            .map(|(i, index)| self.parameters().tangent(i, &v[index]))
            .reduce(|a, b| a + b)
    }
}

/// Tangents of one upward pass: `inputs[l]: [K, N, *in]` of layer l (absent: zero), and the output.
pub struct Tangents {
    /// Tangents at the layers' inputs.
    pub inputs: Vec<Option<Tensor>>,
    /// The tangent at the network's output.
    pub output: Tensor,
}

impl Linearization {
    pub(super) fn new(
        network: &Network,
        loss: &dyn Loss,
        x: &Tensor,
        w: &[Tensor],
        y: &Tensor,
    ) -> Self {
        let (locals, output) = network.at(x, w);
        let loss = loss.at(&output, y);
        let mut gradient = loss.gradient();
        let mut layers = Vec::with_capacity(locals.len());
        for (index, (local, indices)) in locals.into_iter().enumerate().rev() {
            let residual = local.residual(&gradient);
            let below = match index {
                0 => Tensor::new(),
                _ => local.adjoint(&gradient.unsqueeze(0)).squeeze_dim(0),
            };
            layers.push(LinearizedLayer {
                local,
                gradient: std::mem::replace(&mut gradient, below),
                residual,
                indices,
            });
        }
        layers.reverse();
        Self { layers, loss }
    }

    /// The layers, from the input up.
    pub fn layers(&self) -> &[LinearizedLayer] {
        &self.layers
    }

    /// The loss at the output.
    pub fn loss(&self) -> &dyn LocalLoss {
        self.loss.as_ref()
    }

    /// How many parameters the network has.
    pub fn parameter_count(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.indices.end)
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
    /// If nothing is injected at `start`.
    pub fn push(
        &self,
        start: usize,
        mut inject: impl FnMut(usize, &LinearizedLayer) -> Option<Tensor>,
    ) -> Tangents {
        let mut inputs = Vec::with_capacity(self.layers.len());
        inputs.resize_with(start, || None);
        let mut dx: Option<Tensor> = None;
        for (index, layer) in self.layers.iter().enumerate().skip(start) {
            let passed = dx.as_ref().map(|dx| layer.local.tangent(dx));
            inputs.push(dx);
            dx = match (passed, inject(index, layer)) {
                (Some(passed), Some(own)) => Some(passed + own),
                (passed, own) => passed.or(own),
            };
        }
        Tangents {
            inputs,
            output: dx.expect("a tangent starts at layer `start`"),
        }
    }

    /// Adjoints downward from the output to layer `stop`; `visit(l, hz)` sees what arrives at the
    /// output of layer l and returns what is added at its input (not asked for at `stop`'s input).
    pub fn pull(
        &self,
        output: Tensor,
        stop: usize,
        mut visit: impl FnMut(usize, &LinearizedLayer, &Tensor) -> Option<Tensor>,
    ) {
        let mut hz = output;
        for (index, layer) in self.layers.iter().enumerate().skip(stop).rev() {
            let own = visit(index, layer, &hz);
            if index == stop {
                return;
            }
            let passed = layer.local.adjoint(&hz);
            hz = match own {
                Some(own) => passed + own,
                None => passed,
            };
        }
    }
}
