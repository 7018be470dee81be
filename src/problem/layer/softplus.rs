//! Softplus.

use super::LayerError;
use super::elementwise::{Activation, finite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = log(1 + eᵘ)/β` with `u = βx`, or x where u is above a threshold; with `s = 1/(1+e⁻ᵘ)`,
/// `σ' = s`, else 1; `σ'' = β s(1−s)`, else 0 (torch.nn.Softplus).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Softplus {
    /// How sharply it bends.
    pub beta: f64,
    /// Where it is taken for straight.
    pub threshold: f64,
}

impl Default for Softplus {
    fn default() -> Self {
        Self {
            beta: 1.0,
            threshold: 20.0,
        }
    }
}

impl Softplus {
    /// `bent` where u is below the threshold, else `straight`.
    fn bent(&self, bent: &Tensor, x: &Tensor, straight: f64) -> Tensor {
        bent.where_scalarother(&(x * self.beta).le(self.threshold), straight)
    }
}

impl Activation for Softplus {
    // tch binds libtorch's softplus without its keys; log(1 + eᵘ) = −log s(−u).
    fn value(&self, x: &Tensor) -> Tensor {
        let u = x * self.beta;
        let bent = (-&u).log_sigmoid() / -self.beta;
        bent.where_self(&u.le(self.threshold), x)
    }

    fn first(&self, x: &Tensor, _z: &Tensor) -> Tensor {
        self.bent(&(x * self.beta).sigmoid(), x, 1.0)
    }

    fn second(&self, x: &Tensor, _z: &Tensor) -> Option<Tensor> {
        let s = (x * self.beta).sigmoid();
        Some(self.bent(&(&s * (1 - &s) * self.beta), x, 0.0))
    }

    fn check(&self) -> Result<(), LayerError> {
        finite("beta", self.beta)?;
        finite("threshold", self.threshold)?;
        match self.beta != 0.0 {
            true => Ok(()),
            false => Err(LayerError {
                expected: "`beta` other than 0, found 0".into(),
                remedy: "leave it out for torch.nn's default, 1".into(),
            }),
        }
    }
}
