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
        /// Means over a given number of parts, of sequences.
        AdaptiveAvgPool1d(AdaptiveAvgPool<1>) = "adaptive_avg_pool1d",
        /// Of images.
        AdaptiveAvgPool2d(AdaptiveAvgPool<2>) = "adaptive_avg_pool2d",
        /// Of volumes.
        AdaptiveAvgPool3d(AdaptiveAvgPool<3>) = "adaptive_avg_pool3d",
        /// Means under a window, of sequences.
        AvgPool1d(AvgPool<1>) = "avg_pool1d",
        /// Of images.
        AvgPool2d(AvgPool<2>) = "avg_pool2d",
        /// Of volumes.
        AvgPool3d(AvgPool<3>) = "avg_pool3d",
        /// Scale and shift per channel, of vectors or sequences.
        BatchNorm1d(BatchNorm<1>) = "batch_norm1d",
        /// Of images.
        BatchNorm2d(BatchNorm<2>) = "batch_norm2d",
        /// Of volumes.
        BatchNorm3d(BatchNorm<3>) = "batch_norm3d",
        /// Convolution of sequences.
        Conv1d(Conv<1>) = "conv1d",
        /// Of images.
        Conv2d(Conv<2>) = "conv2d",
        /// Of volumes.
        Conv3d(Conv<3>) = "conv3d",
        /// Transposed convolution of sequences.
        ConvTranspose1d(ConvTranspose<1>) = "conv_transpose1d",
        /// Of images.
        ConvTranspose2d(ConvTranspose<2>) = "conv_transpose2d",
        /// Of volumes.
        ConvTranspose3d(ConvTranspose<3>) = "conv_transpose3d",
        /// Nothing, in evaluation.
        Dropout(Dropout) = "dropout",
        /// x, or `α(eˣ−1)`.
        Elu(Elu) = "elu",
        /// A vector for each token.
        Embedding(Embedding) = "embedding",
        /// Flattens a sample.
        Flatten(Flatten) = "flatten",
        /// `x Φ(x)`.
        Gelu(Gelu) = "gelu",
        /// Standardised over groups of channels.
        GroupNorm(GroupNorm) = "group_norm",
        /// x between two bounds.
        Hardtanh(Hardtanh) = "hardtanh",
        /// Standardised over the last axes.
        LayerNorm(LayerNorm) = "layer_norm",
        /// x, or a small part of it.
        LeakyRelu(LeakyRelu) = "leaky_relu",
        /// `x Wᵀ + b`.
        Linear(Linear) = "linear",
        /// `log 1/(1+e⁻ˣ)`.
        LogSigmoid(LogSigmoid) = "log_sigmoid",
        /// The largest entry under a window, of sequences.
        MaxPool1d(MaxPool<1>) = "max_pool1d",
        /// Of images.
        MaxPool2d(MaxPool<2>) = "max_pool2d",
        /// Of volumes.
        MaxPool3d(MaxPool<3>) = "max_pool3d",
        /// Branches added or side by side.
        Parallel(ParallelBlock) = "parallel",
        /// `max(x, 0)`.
        Relu(Relu) = "relu",
        /// Layers added to their input.
        Residual(ResidualBlock) = "residual",
        /// Elu, scaled.
        Selu(Selu) = "selu",
        /// `1/(1+e⁻ˣ)`.
        Sigmoid(Sigmoid) = "sigmoid",
        /// `x/(1+e⁻ˣ)`.
        Silu(Silu) = "silu",
        /// `log(1 + eˣ)`.
        Softplus(Softplus) = "softplus",
        /// `tanh x`.
        Tanh(Tanh) = "tanh",
        /// Zeros around sequences.
        ZeroPad1d(ZeroPad<2>) = "zero_pad1d",
        /// Around images.
        ZeroPad2d(ZeroPad<4>) = "zero_pad2d",
        /// Around volumes.
        ZeroPad3d(ZeroPad<6>) = "zero_pad3d",
    }
}

/// What stands in a list of layers.
pub trait ModuleSpec {
    /// What it is for inputs of shape `input` (without the batch axis).
    ///
    /// # Errors
    /// The shape that was expected, when `input` does not fit.
    fn module(&self, input: &[i64]) -> Result<Module<'_>, LayerError>;
}

/// An element of a list of layers.
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

/// Lists of layers over one input, whose outputs meet.
pub struct Branches<'a> {
    /// Each with the key that it stands under: `body`, `branches[0]`.
    pub lists: Vec<(String, &'a [LayerSpec])>,
    /// How the outputs meet.
    pub combine: Combine,
}

/// `z = body(x) + shortcut(x)`; a shortcut without layers is x itself (He, Zhang, Ren, Sun,
/// CVPR 2016, arXiv:1512.03385).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualBlock {
    /// From x up.
    pub body: Vec<LayerSpec>,
    /// Also from x up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<LayerSpec>,
}

/// `z = Σ_b branch_b(x)`, or the outputs side by side along the channels.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelBlock {
    /// Each from x up; one without layers is x itself.
    pub branches: Vec<Vec<LayerSpec>>,
    /// How they meet.
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
