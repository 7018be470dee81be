//! Clamp.

use super::LayerError;
use super::elementwise::{Activation, finite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = min(max(x, min_val), max_val)`; `σ' = 1` in between, else 0; `σ'' = 0` almost everywhere
/// (torch.nn.Hardtanh).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hardtanh {
    /// The least value.
    pub min_val: f64,
    /// The largest value.
    pub max_val: f64,
}

impl Default for Hardtanh {
    fn default() -> Self {
        Self {
            min_val: -1.0,
            max_val: 1.0,
        }
    }
}

impl Activation for Hardtanh {
    fn value(&self, x: &Tensor) -> Tensor {
        x.clamp(self.min_val, self.max_val)
    }

    fn first(&self, x: &Tensor, _z: &Tensor) -> Tensor {
        let inside = x.gt(self.min_val).logical_and(&x.lt(self.max_val));
        inside.to_kind(x.kind())
    }

    fn second(&self, _x: &Tensor, _z: &Tensor) -> Option<Tensor> {
        None
    }

    fn check(&self) -> Result<(), LayerError> {
        finite("min_val", self.min_val)?;
        finite("max_val", self.max_val)?;
        match self.min_val < self.max_val {
            true => Ok(()),
            false => Err(LayerError {
                expected: format!(
                    "`min_val` below max_val = {}, found {}",
                    self.max_val, self.min_val
                ),
                remedy: "write for example min_val = -1.0, max_val = 1.0".into(),
            }),
        }
    }
}
