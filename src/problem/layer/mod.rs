//! Layers and their rules: a few local maps, from which every product and estimator is built.
//!
//! A layer `z = f(x, w)` acts on each sample of a batch `x: [N, *in]` alone. Tangents and adjoints
//! carry a leading probe axis: `[K, N, *in]` for K vectors at once. To add a layer, write its file
//! and name it in [`LayerSpec`].

mod adaptive_avg_pool;
mod avg_pool;
mod batch_norm;
mod channel_bias;
mod config;
mod conv;
mod conv_transpose;
mod convolution;
mod correlation;
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
mod normalisation;
mod own_curvature;
mod parameter;
mod per_dimension;
mod positions;
mod relu;
mod rules;
mod selu;
mod sigmoid;
mod silu;
mod softplus;
mod spec;
mod standardise;
mod tanh;
mod window;
mod zero_pad;

pub use adaptive_avg_pool::AdaptiveAvgPool;
pub use avg_pool::AvgPool;
pub use batch_norm::BatchNorm;
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
pub use own_curvature::{OwnCurvature, Symmetric};
pub use parameter::{Init, ParameterShape};
pub use per_dimension::PerDimension;
pub use relu::Relu;
pub use rules::{Layer, Local, LocalParameters};
pub use selu::Selu;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use softplus::Softplus;
pub use spec::{Branches, LayerSpec, Module, ModuleSpec, ParallelBlock, ResidualBlock};
pub use tanh::Tanh;
pub use zero_pad::ZeroPad;

pub(super) use linear_map::identity;
