//! Dropout, as it is in evaluation.

use super::linear_map::identity;
use super::{Layer, LayerConfig, LayerError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `z = x` (torch.nn.Dropout in evaluation mode).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dropout {
    /// What was dropped in training; it has no effect here.
    pub p: f64,
}

impl Default for Dropout {
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

impl LayerConfig for Dropout {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        match (0.0..=1.0).contains(&self.p) {
            true => Ok((identity(), input.to_vec())),
            false => Err(LayerError {
                expected: format!("`p` from 0 to 1, found {}", self.p),
                remedy: "leave it out for torch.nn's default, 0.5".into(),
            }),
        }
    }
}
