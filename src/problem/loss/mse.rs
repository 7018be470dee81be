//! Mean squared error.

use super::{Likelihood, LocalLoss, Loss, Reduction, TargetKind, normal, numbered};
use crate::error::UserError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `ℓ = Σ_{n,c} (f_nc − y_nc)²`, or its mean over all N·C entries (torch.nn.MSELoss).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mse {
    /// Mean or sum.
    #[serde(default)]
    pub reduction: Reduction,
}

impl Loss for Mse {
    fn targets(&self, output: &[i64]) -> Result<TargetKind, UserError> {
        Ok(TargetKind::Values {
            shape: output.to_vec(),
        })
    }

    fn terms(&self, y: &Tensor) -> Option<f64> {
        self.reduction.divisor(y.numel() as f64)
    }

    fn value(&self, f: &Tensor, y: &Tensor) -> Tensor {
        f.mse_loss(y, self.reduction.torch())
    }

    /// With weight `c`: gradient `2c (f − y)`, Hessian `2c I`.
    fn at(&self, f: &Tensor, y: &Tensor) -> Box<dyn Likelihood> {
        Box::new(LocalMse {
            error: f - y,
            twice_weight: 2.0 * self.reduction.weight(f.numel() as i64),
        })
    }
}

/// The loss at outputs with `error = f − y: [N, *out]`.
struct LocalMse {
    error: Tensor,
    twice_weight: f64,
}

impl LocalLoss for LocalMse {
    fn gradient(&self) -> Tensor {
        &self.error * self.twice_weight
    }

    fn hessian(&self, df: &Tensor) -> Tensor {
        df * self.twice_weight
    }

    fn hessian_diagonal(&self) -> Tensor {
        self.error.full_like(self.twice_weight)
    }

    /// Every output is one.
    fn terms(&self) -> Tensor {
        numbered(&self.error.size()[1..], self.error.device())
    }

    /// `R = √(2c) I`.
    fn root(&self, v: &Tensor) -> Tensor {
        v * self.twice_weight.sqrt()
    }
}

impl Likelihood for LocalMse {
    /// `exp(−‖f − y‖²)` is a normal density of variance 1/2: a draw gives `√(2c) ξ`.
    fn of_draws(&self, u: &Tensor) -> Tensor {
        normal(u) * self.twice_weight.sqrt()
    }

    /// `2 √c (f − y)`.
    fn of_data(&self) -> Tensor {
        &self.error * (2.0 * self.twice_weight).sqrt()
    }
}
