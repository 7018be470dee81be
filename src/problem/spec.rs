//! `[problem]`: what the curvature is of.

use super::matrix::MatrixSpec;
use crate::tagged::tagged;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

tagged! {
    /// `[problem]`: whose trace is asked for.
    pub enum ProblemSpec: std::fmt::Debug, by "kind" {
        /// Of the loss of a network: see `[data]`, `[model]`, `[loss]`.
        Network(NetworkSpec) = "network",
        /// Of matrices with known spectra.
        Matrix(MatrixSpec) = "matrix",
    }
}

/// `kind = "network"`: all of it stands in `[data]`, `[model]` and `[loss]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {}

impl Default for ProblemSpec {
    fn default() -> Self {
        Self::Network(NetworkSpec {})
    }
}

impl ProblemSpec {
    /// Whether this is a network, with layers, data and loss.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Network(_))
    }
}
