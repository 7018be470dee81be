//! Losses and their rules at the network's output.
//!
//! A loss is a sum (or mean) of per-sample terms `ℓ_n(f_n)` of the outputs `f: [N, *out]`, so its
//! output Hessian has one block `H_n` per sample. To add a loss, write its file and name it in
//! [`LossSpec`].

mod bce_with_logits;
mod cross_entropy;
mod fisher;
mod mse;
mod weighted;

pub use bce_with_logits::BceWithLogits;
pub use cross_entropy::CrossEntropy;
use fisher::Fisher;
pub use mse::Mse;
use weighted::weighted;

use super::batch::Batch;
use super::curvature::Curvature;
use super::random::uniform_targets;
use super::tensors::{sum_entries, unit_vectors};
use crate::error::UserError;
use crate::tagged::tagged;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use tch::{Device, Kind, Tensor};

/// How the per-sample terms are joined, as torch.nn's `reduction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The mean over terms.
    #[default]
    Mean,
    /// The sum of the terms.
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
    /// Integers in `[0, classes)`, `[N, *positions]`.
    Classes {
        /// How many classes there are.
        classes: i64,
        /// The shape of one sample's classes; empty for a single one.
        positions: Vec<i64>,
        /// What else may stand there, to be left out.
        ignored: i64,
    },
    /// Floats of the shape of the outputs, `[N, *out]`.
    Values {
        /// The shape of one sample's values.
        shape: Vec<i64>,
    },
    /// Floats from 0 to 1 of the shape of the outputs, `[N, *out]`.
    Probabilities {
        /// The shape of one sample's values.
        shape: Vec<i64>,
    },
}

/// The matrix G at the outputs f of a batch: the loss's Hessian, or what takes its place in another
/// [`Curvature`].
pub(super) fn output_matrix(
    loss: &dyn Loss,
    f: &Tensor,
    batch: &Batch,
    curvature: Curvature,
) -> Box<dyn LocalLoss> {
    let local = loss.at(f, &batch.targets);
    let matrix: Box<dyn LocalLoss> = match curvature {
        Curvature::Hessian | Curvature::Ggn => local,
        Curvature::FisherMc { samples } => {
            let u = uniform_targets(samples, batch.first, &local.draw_shape());
            let s = local.of_draws(&u.to_device(f.device())).to_kind(f.kind());
            Box::new(Fisher::new(local, s / f64::from(samples).sqrt()))
        }
        Curvature::FisherEmpirical => {
            let s = local.of_data().unsqueeze(0);
            Box::new(Fisher::new(local, s))
        }
    };
    weighted(matrix, batch.weight)
}

/// Outputs that a loss cannot take.
fn expected(kind: &str, expected: &str, output: &[i64]) -> UserError {
    UserError::new(
        "",
        format!("{kind} expects {expected}; the network puts out shape {output:?}"),
        "end the network with a layer that puts that out",
    )
}

/// Weights that are one for each of `count` outputs, none of them negative.
fn check_weights(key: &str, weights: &[f64], count: i64) -> Result<(), UserError> {
    let wrong = |found: String| {
        let help = format!("write a list of {count} weights, or leave it out");
        Err(UserError::new(key, found, help))
    };
    if weights.len() as i64 != count {
        return wrong(format!(
            "found {} weights, expected one for each of {count} outputs",
            weights.len()
        ));
    }
    match weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        Some(w) => wrong(format!(
            "found the weight {w}, expected a number of 0 or more"
        )),
        None => Ok(()),
    }
}

/// A number of its own for every entry of `shape`.
fn numbered(shape: &[i64], device: Device) -> Tensor {
    let count = shape.iter().product::<i64>();
    Tensor::arange(count, (Kind::Int64, device)).reshape(shape)
}

/// Normal numbers from uniform ones.
fn normal(u: &Tensor) -> Tensor {
    (u * 2.0 - 1.0).erfinv() * 2f64.sqrt()
}

/// A loss `ℓ(f, y)`.
pub trait Loss: Debug + Send + Sync {
    /// The targets that outputs of shape `output` (without the batch axis) are compared with.
    ///
    /// # Errors
    /// Outputs that the loss cannot take, or keys that do not fit them.
    fn targets(&self, output: &[i64]) -> Result<TargetKind, UserError>;

    /// What a mean over the targets `y` of a batch divides by; `None` for a sum. The means of two
    /// batches weigh in that of both as these do.
    fn terms(&self, y: &Tensor) -> Option<f64>;

    /// The value, through libtorch's own function, differentiable by its autograd.
    fn value(&self, f: &Tensor, y: &Tensor) -> Tensor;

    /// The derivatives at the outputs `f: [N, *out]`.
    fn at(&self, f: &Tensor, y: &Tensor) -> Box<dyn Likelihood>;
}

/// The derivatives of a loss at one point; the reduction's weight is part of them.
pub trait LocalLoss {
    /// `∂ℓ/∂f`: `[N, *out]`.
    fn gradient(&self) -> Tensor;

    /// `H_n df_n` for every sample: `[K, N, *out] -> [K, N, *out]`.
    fn hessian(&self, df: &Tensor) -> Tensor;

    /// `df_nᵀ H_n df_n` for every sample: `[K, N, *out] -> [K, N]` in float64.
    fn quadratic(&self, df: &Tensor) -> Tensor {
        sum_entries(&(df * self.hessian(df)))
    }

    /// The diagonal of `H_n` for every sample, without its columns: `[N, *out]`.
    fn hessian_diagonal(&self) -> Tensor;

    /// A number for every output of a sample: `H_n` has entries between outputs of one number alone.
    /// `[*out]`, whole numbers.
    fn terms(&self) -> Tensor;

    /// The shape of the vectors that [`root`](Self::root) maps, `[N, *w]`.
    fn root_shape(&self) -> Vec<i64> {
        self.gradient().size()
    }

    /// `R_n v_n` for every sample, `R_n R_nᵀ = H_n`: `[K, N, *w] -> [K, N, *out]`.
    fn root(&self, v: &Tensor) -> Tensor;

    /// How many columns the root has.
    fn column_count(&self) -> i64 {
        self.root_shape()[1..].iter().product()
    }

    /// Columns `first..first + count` of the root: all of them are `s` with
    /// `Σ_q s_qn s_qnᵀ = H_n`: `[count, N, *out]`.
    fn columns(&self, first: i64, count: i64) -> Tensor {
        self.root(&unit_vectors(
            first,
            count,
            &self.root_shape(),
            &self.gradient(),
        ))
    }
}

/// A loss whose terms are negative log-likelihoods `−log p(y|f)`, for Fisher matrices.
pub trait Likelihood: LocalLoss {
    /// `√c ∂(−log p(y|f))/∂f` for targets y drawn from the model's own distribution `p(y|f)`, c
    /// being the weight of a term, from uniform numbers: `[M, N, *u] -> [M, N, *out]`.
    ///
    /// The outer products have the output Hessian as their mean.
    fn of_draws(&self, u: &Tensor) -> Tensor;

    /// The shape of the uniform numbers of one draw, `[N, *u]`.
    fn draw_shape(&self) -> Vec<i64> {
        self.gradient().size()
    }

    /// `√c ∂(−log p(y|f))/∂f` for the targets y of the data: `[N, *out]`.
    fn of_data(&self) -> Tensor;

    /// `⟨s, df⟩` over the outputs of each term, a sample unless it has several:
    /// `[N, *out], [K, N, *out] -> [K, N, 1, ..]`.
    fn inner(&self, s: &Tensor, df: &Tensor) -> Tensor {
        let axes: Vec<i64> = (2..df.dim() as i64).collect();
        (s * df).sum_dim_intlist(axes, true, None::<Kind>)
    }
}

tagged! {
    /// A loss as a spec writes it: `{ kind = "cross_entropy", reduction = "mean" }`.
    pub enum LossSpec: Loss, by "kind" {
        /// Binary cross-entropy of sigmoids.
        BceWithLogits(BceWithLogits) = "bce_with_logits",
        /// Cross-entropy of a softmax.
        CrossEntropy(CrossEntropy) = "cross_entropy",
        /// Mean squared error.
        Mse(Mse) = "mse",
    }
}
