//! Layers and their rules: a few local maps, from which every product and estimator is built.
//!
//! A layer `z = f(x, w)` acts on each sample of a batch `x: [N, *in]` alone. Tangents and adjoints
//! carry a leading probe axis: `[K, N, *in]` for K vectors at once. To add a layer, write its file
//! and name it in [`LayerSpec`].

mod adaptive_avg_pool;
mod avg_pool;
mod batch_norm;
mod branches;
mod channel_bias;
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
mod positions;
mod relu;
mod selu;
mod sigmoid;
mod silu;
mod sizes;
mod softplus;
mod standardise;
mod tanh;
mod window;
mod zero_pad;

pub use adaptive_avg_pool::AdaptiveAvgPool;
pub use avg_pool::AvgPool;
pub use batch_norm::BatchNorm;
pub use branches::{Branches, ParallelBlock, ResidualBlock};
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
pub use relu::Relu;
pub use selu::Selu;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use sizes::Sizes;
pub use softplus::Softplus;
pub use tanh::Tanh;
pub use zero_pad::ZeroPad;

pub(super) use linear_map::identity;
pub(super) use own_curvature::units;

use crate::error::UserError;
use crate::problem::Signs;
use crate::tagged::tagged;
use std::fmt::Debug;
use tch::{Kind, Tensor};

/// What a layer's parameter is called, its shape, and how torch.nn draws its first value.
#[derive(Clone, Debug)]
pub struct ParameterShape {
    /// Its name within the layer: "weight".
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<i64>,
    /// Its first value.
    pub init: Init,
}

/// How torch.nn initialises a parameter.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// Uniform on `[-bound, bound]`.
    Uniform {
        /// Half the width.
        bound: f64,
    },
    /// Normal of mean 0 and variance 1.
    Normal {
        /// A row that is zero all the same.
        zero: Option<i64>,
    },
    /// All the same, without a draw.
    Constant {
        /// The value.
        value: f64,
    },
}

/// A layer before its input is known: what a spec says of it.
pub trait Config {
    /// The layer for inputs of shape `input` (without the batch axis) and the shape it puts out.
    ///
    /// # Errors
    /// The shape that was expected, when `input` does not fit.
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError>;
}

/// What stands in a list of layers.
pub trait Element {
    /// What it is for inputs of shape `input` (without the batch axis).
    ///
    /// # Errors
    /// The shape that was expected, when `input` does not fit.
    fn part(&self, input: &[i64]) -> Result<Part<'_>, LayerError>;
}

/// An element of a list of layers.
pub enum Part<'a> {
    /// A layer and the shape it puts out.
    Layer(Box<dyn Layer>, Vec<i64>),
    /// Lists of layers side by side.
    Branches(Branches<'a>),
}

impl<C: Config> Element for C {
    fn part(&self, input: &[i64]) -> Result<Part<'_>, LayerError> {
        let (layer, output) = self.build(input)?;
        Ok(Part::Layer(layer, output))
    }
}

/// An input that a layer cannot take.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerError {
    /// What the layer takes, in words: `a flat input [features]`; or, of a setting, its key in
    /// backquotes first and what was found last: ``` `out` of at least 1, found 0 ```.
    pub expected: String,
    /// What would mend it.
    pub remedy: String,
}

impl LayerError {
    /// The same as an error of the layer `kind` in a spec; `input` is what it gets.
    pub(super) fn of(self, kind: &str, input: &[i64]) -> UserError {
        let message = format!("{kind} expects {}", self.expected);
        let setting = self.expected.strip_prefix('`');
        match setting.and_then(|text| text.split_once('`')) {
            Some((key, _)) => UserError::new(key, message, self.remedy),
            None => {
                let message = format!("{message}; its input has shape {input:?}");
                UserError::new("", message, self.remedy)
            }
        }
    }
}

/// A layer with known shapes and no tensors of its own; parameters are handed in.
pub trait Layer: Debug + Send + Sync {
    /// The parameters in the order of `torch.nn.Module.parameters()`.
    fn parameters(&self) -> Vec<ParameterShape> {
        Vec::new()
    }

    /// What it takes from a trained network besides parameters, that nothing is differentiated by:
    /// the running statistics of a batch norm.
    fn buffers(&self) -> Vec<ParameterShape> {
        Vec::new()
    }

    /// For a layer that takes whole numbers from 0 on in place of an input to be differentiated by:
    /// how many there are.
    fn tokens(&self) -> Option<i64> {
        None
    }

    /// Whether it applies the same function to every entry.
    fn is_entrywise(&self) -> bool {
        false
    }

    /// Whether each of its outputs is one of its inputs.
    fn selects_inputs(&self) -> bool {
        false
    }

    /// `z = f(x, w)`: `[N, *in] -> [N, *out]`, differentiable by libtorch's autograd; w are its
    /// parameters, and then its buffers.
    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor;

    /// The maps of the layer at the point `(x, w)`; `z` is what [`Layer::forward`] gave there.
    fn at(&self, x: &Tensor, w: &[Tensor], z: &Tensor) -> Box<dyn Local>;

    /// Both: `z = f(x, w)` and the maps there.
    fn linearize(&self, x: &Tensor, w: &[Tensor]) -> (Tensor, Box<dyn Local>) {
        let z = samples_innermost(self.forward(x, w));
        let local = self.at(x, w, &z);
        (z, local)
    }
}

/// The derivatives of one layer at one point, batched over a leading probe axis K.
///
/// `J` is the Jacobian with respect to the input, `g = ∂ℓ/∂z: [N, *out]` the gradient that arrives
/// from above. All layers here are linear in their parameters, so `∂²z/∂w²` is zero and no map for
/// it exists. Parameters are numbered as in [`Layer::parameters`].
pub trait Local {
    /// `J dx`: `[K, N, *in] -> [K, N, *out]`.
    fn tangent(&self, dx: &Tensor) -> Tensor;

    /// `Jᵀ gz`: `[K, N, *out] -> [K, N, *in]`.
    fn adjoint(&self, gz: &Tensor) -> Tensor;

    /// The layer's own curvature `Σ_a g_a ∂²z_a/∂x²` at fixed `g`.
    fn own_curvature(&self, _g: &Tensor) -> OwnCurvature {
        OwnCurvature::Zero
    }

    /// `J` is diagonal, so that a diagonal Hessian below stays diagonal: `d ↦ J d Jᵀ` on `[N, *]`.
    fn diagonal_adjoint(&self, _d: &Tensor) -> Option<Tensor> {
        None
    }

    /// The maps of the parameters, for a layer that has any.
    fn parameters(&self) -> Option<&dyn LocalParameters> {
        None
    }
}

/// The derivatives of a layer `z = f(x, w)` in its parameters, `i` counting them.
pub trait LocalParameters {
    /// The parameter's shape.
    fn shape(&self, i: usize) -> Vec<i64>;

    /// `(∂z/∂w_i) dw`: `[K, *shape] -> [K, N, *out]`.
    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor;

    /// The same for signs.
    fn tangent_of_signs(&self, i: usize, dw: &Signs) -> Tensor {
        self.tangent(i, &dw.dense())
    }

    /// `(∂z/∂w_i)ᵀ gz`, summed over samples: `[K, N, *out] -> [K, *shape]`.
    fn adjoint(&self, i: usize, gz: &Tensor) -> Tensor;

    /// `∂(Jᵀg)/∂w_i dw` at fixed `g: [N, *out]`: `[K, *shape] -> [K, N, *in]`; `None` if zero.
    fn mixed_input(&self, i: usize, g: &Tensor, dw: &Tensor) -> Option<Tensor>;

    /// The transpose of that, summed over samples: `[K, N, *in] -> [K, *shape]`; `None` if zero.
    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor>;

    /// Diagonal of `Σ_n (∂z_n/∂w_i)ᵀ H_n (∂z_n/∂w_i)` for `H_n = Σ_q sign_qn s_qn s_qnᵀ`, from the
    /// columns `s: [Q, N, *out]` and `sign: [Q, N]` (absent: all +1): `[*shape]`.
    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor;

    /// The same for diagonal `H_n = diag(d_n)`, `d: [N, *out]`: `[*shape]`.
    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor;

    /// The sum of that.
    fn trace_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        self.diagonal_of_diagonal(i, d).sum(Kind::Double)
    }

    /// `γ: [N]` with `tr((∂z_n/∂w_i)ᵀ H_n (∂z_n/∂w_i)) = γ_n tr H_n` for every `H_n`, which holds
    /// where each output entry has parameters of its own; `None` where positions share them.
    fn trace_factor(&self, i: usize) -> Option<Tensor>;

    /// `Σ_n ‖(∂z_n/∂w_i)ᵀ s_kn‖²` for every column: `[K, N, *out] -> [K]` in float64.
    fn trace_of_columns(&self, i: usize, s: &Tensor) -> Tensor;

    /// Prepares for traces of about so many columns in all, where that saves work.
    fn expect_columns(&self, _count: u64) {}

    /// `(∂z_n/∂w_i) dw_n` with a vector of its own for every sample, for a parameter without
    /// [`trace_factor`](Self::trace_factor): `[K, N, *shape] -> [K, N, *out]`.
    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor;
}

/// The same values of a flat `[N, features]` with the samples along contiguous memory.
///
/// One matrix product over all probes puts tangents out that way; elementwise maps of both then run
/// along contiguous memory.
pub(super) fn samples_innermost(z: Tensor) -> Tensor {
    match z.dim() {
        2 => z.tr().contiguous().tr(),
        _ => z,
    }
}

/// Sums `[K, N, *]` over a sample's entries in the working precision: `[K, N]` in float64.
pub(super) fn features(x: &Tensor) -> Tensor {
    x.flatten(2, -1)
        .sum_dim_intlist(-1, false, None::<Kind>)
        .to_kind(Kind::Double)
}

tagged! {
    /// A layer as a spec writes it: `{ kind = "linear", out = 20 }`, with torch.nn's defaults.
    pub enum LayerSpec: Element, by "kind" {
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
