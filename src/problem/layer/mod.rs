//! Layers and their rules: a few local maps, from which every product and estimator is built.
//!
//! A layer `z = f(x, w)` acts on each sample of a batch `x: [N, *in]` alone. Tangents and adjoints
//! carry a leading probe axis: `[K, N, *in]` for K vectors at once. To add a layer, write its file
//! and name it in [`LayerSpec`].

mod adaptive_avg_pool;
mod affine;
mod attention;
mod avg_pool;
mod axis;
mod batch_norm;
mod batched_columns;
mod bias;
mod blocks;
mod channel_bias;
mod channels;
mod class_token;
mod column_pair;
mod config;
mod conv;
mod conv_transpose;
mod convolution;
mod convolution_squares;
mod correlation;
mod correlation_columns;
mod dropout;
mod elementwise;
mod elu;
mod embedding;
mod flatten;
mod gelu;
mod group_norm;
mod hardtanh;
mod layer_norm;
mod leaky_relu;
mod linear;
mod linear_map;
mod log_sigmoid;
mod max_pool;
mod mean;
mod normalisation;
mod own_curvature;
mod own_entries;
mod parameter;
mod per_dimension;
mod permute;
mod place;
mod position_products;
mod positional_embedding;
mod positions;
mod product;
mod relu;
mod rms_norm;
mod rules;
mod select;
mod selu;
mod sigmoid;
mod sign_correlation;
mod silu;
mod softplus;
mod standardise;
mod tanh;
mod weights;
mod window;
mod windows;
mod zero_pad;

pub use adaptive_avg_pool::AdaptiveAvgPool;
pub use attention::{Attention, Rotary};
pub use avg_pool::AvgPool;
pub use batch_norm::BatchNorm;
pub use bias::Bias;
pub use blocks::{Branches, Combine, ParallelBlock, ResidualBlock};
pub use class_token::ClassToken;
pub use column_pair::ColumnPair;
pub use config::{LayerConfig, LayerError};
pub use conv::Conv;
pub use conv_transpose::ConvTranspose;
pub use dropout::Dropout;
pub use elu::Elu;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use gelu::{Approximation, Gelu};
pub use group_norm::GroupNorm;
pub use hardtanh::Hardtanh;
pub use layer_norm::LayerNorm;
pub use leaky_relu::LeakyRelu;
pub use linear::Linear;
pub use log_sigmoid::LogSigmoid;
pub use max_pool::MaxPool;
pub use mean::Mean;
pub use own_curvature::{OwnCurvature, PartialTrace, Symmetric};
pub use parameter::{Init, ParameterShape};
pub use per_dimension::PerDimension;
pub use permute::Permute;
pub use place::Place;
pub use positional_embedding::PositionalEmbedding;
pub use relu::Relu;
pub use rms_norm::RmsNorm;
pub use rules::{Layer, Local, LocalParameters};
pub use select::Select;
pub(super) use select::{alone, kept};
pub use selu::Selu;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use softplus::Softplus;
pub use tanh::Tanh;
pub use zero_pad::ZeroPad;

pub(super) use linear_map::identity;
pub(super) use product::product;

use crate::tagged::tagged;

tagged! {
    /// A layer as a spec writes it: `{ kind = "linear", out = 20 }`, with torch.nn's defaults.
    pub enum LayerSpec: ModuleSpec, by "kind" {
        /// Adaptive average pooling of sequences.
        AdaptiveAvgPool1d(AdaptiveAvgPool<1>) = "adaptive_avg_pool1d",
        /// Adaptive average pooling of images.
        AdaptiveAvgPool2d(AdaptiveAvgPool<2>) = "adaptive_avg_pool2d",
        /// Adaptive average pooling of volumes.
        AdaptiveAvgPool3d(AdaptiveAvgPool<3>) = "adaptive_avg_pool3d",
        /// Attention between the positions of a sample.
        Attention(Attention) = "attention",
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
        /// A vector that is added at every position.
        Bias(Bias) = "bias",
        /// A vector before all positions.
        ClassToken(ClassToken) = "class_token",
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
        /// Flattens a sample, or some of its axes.
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
        /// The mean over an axis.
        Mean(Mean) = "mean",
        /// Branches whose outputs are added, multiplied or stand side by side.
        Parallel(ParallelBlock) = "parallel",
        /// The axes of a sample in another order.
        Permute(Permute) = "permute",
        /// A vector for every position.
        PositionalEmbedding(PositionalEmbedding) = "positional_embedding",
        /// `max(x, 0)`.
        Relu(Relu) = "relu",
        /// Layers added to their input.
        Residual(ResidualBlock) = "residual",
        /// Division by the root mean square over the last axes.
        RmsNorm(RmsNorm) = "rms_norm",
        /// One slice of a sample.
        Select(Select) = "select",
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
