//! Leaky rectifier.

use super::LayerError;
use super::elementwise::{Activation, finite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = x` for x > 0, else `slope · x`; `σ'' = 0` almost everywhere (torch.nn.LeakyReLU).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeakyRelu {
    /// The slope below zero.
    pub negative_slope: f64,
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self {
            negative_slope: 0.01,
        }
    }
}

impl Activation for LeakyRelu {
    // tch binds libtorch's leaky_relu without its slope.
    fn value(&self, x: &Tensor) -> Tensor {
        x.relu() - (-x).relu() * self.negative_slope
    }

    fn first(&self, x: &Tensor, _z: &Tensor) -> Tensor {
        x.ones_like()
            .where_scalarother(&x.gt(0.0), self.negative_slope)
    }

    fn second(&self, _x: &Tensor, _z: &Tensor) -> Option<Tensor> {
        None
    }

    fn check(&self) -> Result<(), LayerError> {
        finite("negative_slope", self.negative_slope)
    }
}
