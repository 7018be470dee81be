//! Losses and their rules at the network's output.
//!
//! A loss is a sum (or mean) of per-sample terms `ℓ_n(f_n)` of the outputs `f: [N, *out]`, so its
//! output Hessian has one block `H_n` per sample. To add a loss, write its file and name it in
//! [`LossSpec`].

mod cross_entropy;
mod mse;
mod weighted;

pub use cross_entropy::CrossEntropy;
pub use mse::Mse;
pub(super) use weighted::weighted;

use super::layer::features;
use crate::tagged::tagged;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use tch::Tensor;

/// How the per-sample terms are joined, as torch.nn's `reduction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The mean over terms.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

impl Reduction {
    /// What every one of `terms` terms is multiplied with.
    fn weight(self, terms: i64) -> f64 {
        match self {
            Self::Mean => 1.0 / terms as f64,
            Self::Sum => 1.0,
        }
    }

    /// `terms` under a mean, `None` under a sum.
    fn divisor(self, terms: f64) -> Option<f64> {
        match self {
            Self::Mean => Some(terms),
            Self::Sum => None,
        }
    }

    fn torch(self) -> tch::Reduction {
        match self {
            Self::Mean => tch::Reduction::Mean,
            Self::Sum => tch::Reduction::Sum,
        }
    }
}

/// What a loss is told: class indices, or values.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetKind {
    /// Integers in `[0, classes)`, `[N]`.
    Classes {
        /// How many classes there are.
        classes: i64,
    },
    /// Floats of the shape of the outputs, `[N, *out]`.
    Values {
        /// The shape of one sample's values.
        shape: Vec<i64>,
    },
}

/// A loss `ℓ(f, y)`.
pub trait Loss: Debug + Send + Sync {
    /// The targets that outputs of shape `output` (without the batch axis) are compared with.
    ///
    /// # Errors
    /// The outputs that the loss takes, in words, when these do not fit.
    fn targets(&self, output: &[i64]) -> Result<TargetKind, String>;

    /// What a mean over the targets `y` of a batch divides by; `None` for a sum. The means of two
    /// batches weigh in that of both as these do.
    fn terms(&self, y: &Tensor) -> Option<f64>;

    /// The value, through libtorch's own function, differentiable by its autograd.
    fn value(&self, f: &Tensor, y: &Tensor) -> Tensor;

    /// The derivatives at the outputs `f: [N, *out]`.
    fn at(&self, f: &Tensor, y: &Tensor) -> Box<dyn LocalLoss>;
}

/// The derivatives of a loss at one point; the reduction's weight is part of them.
pub trait LocalLoss {
    /// `∂ℓ/∂f`: `[N, *out]`.
    fn gradient(&self) -> Tensor;

    /// `H_n df_n` for every sample: `[K, N, *out] -> [K, N, *out]`.
    fn hessian(&self, df: &Tensor) -> Tensor;

    /// `df_nᵀ H_n df_n` for every sample: `[K, N, *out] -> [K, N]` in float64.
    fn quadratic(&self, df: &Tensor) -> Tensor {
        features(&(df * self.hessian(df)))
    }

    /// `R_n v_n` for every sample, `R_n R_nᵀ = H_n`: `[K, N, *out] -> [K, N, *out]`.
    fn root(&self, v: &Tensor) -> Tensor;

    /// All columns of the root: `s` with `Σ_q s_qn s_qnᵀ = H_n`: `[Q, N, *out]`.
    fn columns(&self) -> Tensor {
        let like = self.gradient();
        let size = like.size();
        let outputs: i64 = size[1..].iter().product();
        let unit = Tensor::eye(outputs, (like.kind(), like.device()))
            .reshape([&[outputs, 1], &size[1..]].concat())
            .expand([&[outputs], size.as_slice()].concat(), false);
        self.root(&unit)
    }
}

tagged! {
    /// A loss as a spec writes it: `{ kind = "cross_entropy", reduction = "mean" }`.
    pub enum LossSpec: Loss, by "kind" {
        /// Cross-entropy of a softmax.
        CrossEntropy(CrossEntropy) = "cross_entropy",
        /// Mean squared error.
        Mse(Mse) = "mse",
    }
}
