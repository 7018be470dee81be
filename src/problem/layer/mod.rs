//! Layers and their rules: a few local maps, from which every product and estimator is built.
//!
//! A layer `z = f(x, w)` acts on each sample of a batch `x: [N, *in]` alone. Tangents and adjoints
//! carry a leading probe axis: `[K, N, *in]` for K vectors at once. To add a layer, write its file
//! and name it in [`LayerSpec`].

mod channel_bias;
mod conv;
mod convolution;
mod correlation;
mod elementwise;
mod flatten;
mod linear;
mod max_pool;
mod relu;
mod sigmoid;
mod sizes;
mod tanh;
mod window;

pub use conv::Conv;
pub use flatten::Flatten;
pub use linear::Linear;
pub use max_pool::MaxPool;
pub use relu::Relu;
pub use sigmoid::Sigmoid;
pub use sizes::Sizes;
pub use tanh::Tanh;

use crate::error::UserError;
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
}

/// A layer before its input is known: what a spec says of it.
pub trait Config {
    /// The layer for inputs of shape `input` (without the batch axis) and the shape it puts out.
    ///
    /// # Errors
    /// The shape that was expected, when `input` does not fit.
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), Misfit>;
}

/// An input that a layer cannot take.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// What the layer takes, in words: `a flat input [features]`; or, of a setting, its key in
    /// backquotes first and what was found last: ``` `out` of at least 1, found 0 ```.
    pub expected: String,
    /// What would mend it.
    pub remedy: String,
}

impl Misfit {
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

    /// `z = f(x, w)`: `[N, *in] -> [N, *out]`, differentiable by libtorch's autograd.
    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor;

    /// The maps of the layer at the point `(x, w)`; `z` is what [`Layer::forward`] gave there.
    fn at(&self, x: &Tensor, w: &[Tensor], z: &Tensor) -> Box<dyn Local>;
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
    fn residual(&self, _g: &Tensor) -> Residual {
        Residual::Zero
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

    /// `γ: [N]` with `tr((∂z_n/∂w_i)ᵀ H_n (∂z_n/∂w_i)) = γ_n tr H_n` for every `H_n`, which holds
    /// where each output entry has parameters of its own; `None` where positions share them.
    fn gain(&self, i: usize) -> Option<Tensor>;

    /// `Σ_n ‖(∂z_n/∂w_i)ᵀ s_kn‖²` for every column: `[K, N, *out] -> [K]` in float64.
    fn trace_of_columns(&self, i: usize, s: &Tensor) -> Tensor;

    /// `(∂z_n/∂w_i) dw_n` with a vector of its own for every sample, for a parameter without
    /// [`gain`](Self::gain): `[K, N, *shape] -> [K, N, *out]`.
    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor;
}

/// The curvature that a layer adds at its input, besides what passes through it.
#[derive(Debug)]
pub enum Residual {
    /// The layer is linear, or piecewise linear, in its input.
    Zero,
    /// `diag(r)` for every sample, `r: [N, *in]`.
    Diagonal(Tensor),
}

impl Residual {
    /// The curvature times K tangents: `[K, N, *in] -> [K, N, *in]`; `None` if zero.
    pub fn apply(&self, dx: &Tensor) -> Option<Tensor> {
        match self {
            Self::Zero => None,
            Self::Diagonal(r) => Some(r * dx),
        }
    }

    /// `⟨r ∘ dx, dx⟩` of every sample: `[K, N, *in] -> [K, N]` in float64; `None` if zero.
    pub fn quadratic(&self, dx: &Tensor) -> Option<Tensor> {
        match self {
            Self::Zero => None,
            Self::Diagonal(r) => Some(features(&(r * dx * dx))),
        }
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
    pub enum LayerSpec: Config, by "kind" {
        /// Convolution of sequences.
        Conv1d(Conv<1>) = "conv1d",
        /// Convolution of images.
        Conv2d(Conv<2>) = "conv2d",
        /// Convolution of volumes.
        Conv3d(Conv<3>) = "conv3d",
        /// Flattens a sample.
        Flatten(Flatten) = "flatten",
        /// `x Wᵀ + b`.
        Linear(Linear) = "linear",
        /// The largest entry under a window, on sequences.
        MaxPool1d(MaxPool<1>) = "max_pool1d",
        /// The largest entry under a window, on images.
        MaxPool2d(MaxPool<2>) = "max_pool2d",
        /// The largest entry under a window, on volumes.
        MaxPool3d(MaxPool<3>) = "max_pool3d",
        /// `max(x, 0)`.
        Relu(Relu) = "relu",
        /// `1/(1+e⁻ˣ)`.
        Sigmoid(Sigmoid) = "sigmoid",
        /// `tanh x`.
        Tanh(Tanh) = "tanh",
    }
}
