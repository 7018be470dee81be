//! Layers as a spec writes them, alone or made of others.

use super::{
    AdaptiveAvgPool, AvgPool, BatchNorm, Conv, ConvTranspose, Dropout, Elu, Embedding, Flatten,
    Gelu, GroupNorm, Hardtanh, Layer, LayerConfig, LayerError, LayerNorm, LeakyRelu, Linear,
    LogSigmoid, MaxPool, Relu, Selu, Sigmoid, Silu, Softplus, Tanh, ZeroPad,
};
use crate::problem::layer_input::Combine;
use crate::tagged::tagged;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

tagged! {
    /// A layer as a spec writes it: `{ kind = "linear", out = 20 }`, with torch.nn's defaults.
    pub enum LayerSpec: ModuleSpec, by "kind" {
        /// Adaptive average pooling of sequences.
        AdaptiveAvgPool1d(AdaptiveAvgPool<1>) = "adaptive_avg_pool1d",
        /// Adaptive average pooling of images.
        AdaptiveAvgPool2d(AdaptiveAvgPool<2>) = "adaptive_avg_pool2d",
        /// Adaptive average pooling of volumes.
        AdaptiveAvgPool3d(AdaptiveAvgPool<3>) = "adaptive_avg_pool3d",
        /// Average pooling of sequences.
        AvgPool1d(AvgPool<1>) = "avg_pool1d",
        /// Average pooling of images.
        AvgPool2d(AvgPool<2>) = "avg_pool2d",
        /// Average pooling of volumes.
        AvgPool3d(AvgPool<3>) = "avg_pool3d",
        /// Batch normalisation of vectors or sequences.
        BatchNorm1d(BatchNorm<1>) = "batch_norm1d",
        /// Batch normalisation of images.
        BatchNorm2d(BatchNorm<2>) = "batch_norm2d",
        /// Batch normalisation of volumes.
        BatchNorm3d(BatchNorm<3>) = "batch_norm3d",
        /// Convolution of sequences.
        Conv1d(Conv<1>) = "conv1d",
        /// Convolution of images.
        Conv2d(Conv<2>) = "conv2d",
        /// Convolution of volumes.
        Conv3d(Conv<3>) = "conv3d",
        /// Transposed convolution of sequences.
        ConvTranspose1d(ConvTranspose<1>) = "conv_transpose1d",
        /// Transposed convolution of images.
        ConvTranspose2d(ConvTranspose<2>) = "conv_transpose2d",
        /// Transposed convolution of volumes.
        ConvTranspose3d(ConvTranspose<3>) = "conv_transpose3d",
        /// Dropout, which does nothing in evaluation.
        Dropout(Dropout) = "dropout",
        /// Exponential linear unit: x, or `α(eˣ−1)` below zero.
        Elu(Elu) = "elu",
        /// A vector for each token.
        Embedding(Embedding) = "embedding",
        /// Flattens a sample.
        Flatten(Flatten) = "flatten",
        /// `x Φ(x)`.
        Gelu(Gelu) = "gelu",
        /// Standardisation over groups of channels.
        GroupNorm(GroupNorm) = "group_norm",
        /// Clamp: x between two bounds.
        Hardtanh(Hardtanh) = "hardtanh",
        /// Standardisation over the last axes.
        LayerNorm(LayerNorm) = "layer_norm",
        /// Leaky rectifier: x, or a small part of it below zero.
        LeakyRelu(LeakyRelu) = "leaky_relu",
        /// `x Wᵀ + b`.
        Linear(Linear) = "linear",
        /// `log 1/(1+e⁻ˣ)`.
        LogSigmoid(LogSigmoid) = "log_sigmoid",
        /// Max pooling of sequences.
        MaxPool1d(MaxPool<1>) = "max_pool1d",
        /// Max pooling of images.
        MaxPool2d(MaxPool<2>) = "max_pool2d",
        /// Max pooling of volumes.
        MaxPool3d(MaxPool<3>) = "max_pool3d",
        /// Branches whose outputs are added or stand side by side.
        Parallel(ParallelBlock) = "parallel",
        /// `max(x, 0)`.
        Relu(Relu) = "relu",
        /// Layers added to their input.
        Residual(ResidualBlock) = "residual",
        /// Scaled exponential linear unit.
        Selu(Selu) = "selu",
        /// `1/(1+e⁻ˣ)`.
        Sigmoid(Sigmoid) = "sigmoid",
        /// `x/(1+e⁻ˣ)`.
        Silu(Silu) = "silu",
        /// `log(1 + eˣ)`.
        Softplus(Softplus) = "softplus",
        /// `tanh x`.
        Tanh(Tanh) = "tanh",
        /// Zero padding of sequences.
        ZeroPad1d(ZeroPad<2>) = "zero_pad1d",
        /// Zero padding of images.
        ZeroPad2d(ZeroPad<4>) = "zero_pad2d",
        /// Zero padding of volumes.
        ZeroPad3d(ZeroPad<6>) = "zero_pad3d",
    }
}

/// An entry in a list of layers, as torch.nn.Sequential holds modules: a layer, or a block of others.
pub trait ModuleSpec {
    /// The module for inputs of shape `input` (without the batch axis).
    ///
    /// # Errors
    /// The shape that was expected, when `input` does not fit.
    fn module(&self, input: &[i64]) -> Result<Module<'_>, LayerError>;
}

/// An entry in a list of layers, for inputs of a known shape.
pub enum Module<'a> {
    /// A layer and the shape it puts out.
    Layer(Box<dyn Layer>, Vec<i64>),
    /// Lists of layers side by side.
    Branches(Branches<'a>),
}

impl<C: LayerConfig> ModuleSpec for C {
    fn module(&self, input: &[i64]) -> Result<Module<'_>, LayerError> {
        let (layer, output) = self.build(input)?;
        Ok(Module::Layer(layer, output))
    }
}

/// Lists of layers over one input, whose outputs are combined.
pub struct Branches<'a> {
    /// The lists, each with its key in the spec: `body`, `branches[0]`.
    pub lists: Vec<(String, &'a [LayerSpec])>,
    /// How the outputs are combined.
    pub combine: Combine,
}

/// `z = body(x) + shortcut(x)`; a shortcut without layers is x itself (He, Zhang, Ren, Sun,
/// CVPR 2016, arXiv:1512.03385).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualBlock {
    /// The layers from x to the first addend.
    pub body: Vec<LayerSpec>,
    /// The layers from x to the second addend; none: x itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<LayerSpec>,
}

/// `z = Σ_b branch_b(x)`, or the outputs side by side along the channels.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelBlock {
    /// Lists of layers over x; one without layers is x itself.
    pub branches: Vec<Vec<LayerSpec>>,
    /// How the outputs are combined.
    pub combine: Combine,
}

impl ModuleSpec for ResidualBlock {
    fn module(&self, _input: &[i64]) -> Result<Module<'_>, LayerError> {
        Ok(Module::Branches(Branches {
            lists: vec![
                ("body".into(), self.body.as_slice()),
                ("shortcut".into(), self.shortcut.as_slice()),
            ],
            combine: Combine::Add,
        }))
    }
}

impl ModuleSpec for ParallelBlock {
    fn module(&self, _input: &[i64]) -> Result<Module<'_>, LayerError> {
        if self.branches.is_empty() {
            return Err(LayerError {
                expected: "`branches` with at least one list of layers, found []".into(),
                remedy: "write for example branches = [[], [{ kind = \"tanh\" }]]".into(),
            });
        }
        let lists = self.branches.iter().enumerate();
        let lists = lists.map(|(b, layers)| (format!("branches[{b}]"), layers.as_slice()));
        Ok(Module::Branches(Branches {
            lists: lists.collect(),
            combine: self.combine,
        }))
    }
}
