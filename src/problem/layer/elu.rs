//! Exponential linear unit.

use super::LayerError;
use super::elementwise::{Activation, finite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = x` for x > 0, else `α(eˣ−1)`; `σ' = 1`, else `z + α`; `σ'' = 0`, else `z + α`
/// (torch.nn.ELU).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Elu {
    /// What `−z` tends to below zero.
    pub alpha: f64,
}

impl Default for Elu {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

impl Elu {
    /// `z + α` for x ≤ 0, else `above`.
    fn below(&self, x: &Tensor, z: &Tensor, above: f64) -> Tensor {
        (z + self.alpha).where_scalarother(&x.le(0.0), above)
    }
}

impl Activation for Elu {
    // tch binds libtorch's elu without its α.
    fn value(&self, x: &Tensor) -> Tensor {
        x.clamp_min(0.0) + x.clamp_max(0.0).expm1() * self.alpha
    }

    fn first(&self, x: &Tensor, z: &Tensor) -> Tensor {
        self.below(x, z, 1.0)
    }

    fn second(&self, x: &Tensor, z: &Tensor) -> Option<Tensor> {
        Some(self.below(x, z, 0.0))
    }

    fn check(&self) -> Result<(), LayerError> {
        finite("alpha", self.alpha)
    }
}
