//! What an experiment is about: a network's loss, or a given matrix.

use super::Problem;
use super::matrix::{Matrix, MatrixSpec};
use crate::tagged::tagged;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

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

/// What estimators work on, in memory on one device.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A network with its loss and batch.
    Network(Problem),
    /// A symmetric matrix.
    Matrix(Matrix),
}

impl From<Problem> for Subject {
    fn from(problem: Problem) -> Self {
        Self::Network(problem)
    }
}

impl From<Matrix> for Subject {
    fn from(matrix: Matrix) -> Self {
        Self::Matrix(matrix)
    }
}

impl Subject {
    /// Where its tensors are.
    pub fn device(&self) -> Device {
        match self {
            Self::Network(problem) => problem.device(),
            Self::Matrix(matrix) => matrix.entries.device(),
        }
    }

    /// The floating-point kind of its tensors.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Network(problem) => problem.kind(),
            Self::Matrix(matrix) => matrix.entries.kind(),
        }
    }

    /// The shape of every parameter; a matrix has one, of its n entries.
    pub fn shapes(&self) -> Vec<Vec<i64>> {
        match self {
            Self::Network(problem) => problem.parameters.iter().map(Tensor::size).collect(),
            Self::Matrix(matrix) => vec![vec![matrix.eigenvalues.len() as i64]],
        }
    }

    /// About how many bytes products need per probe.
    pub fn bytes_per_probe(&self) -> u64 {
        match self {
            Self::Network(problem) => problem.bytes_per_probe(),
            Self::Matrix(matrix) => {
                (2 * matrix.eigenvalues.len() * self.kind().elt_size_in_bytes()) as u64
            }
        }
    }

    /// The same on the first batch of the data alone, where there are several: as costly as any.
    pub fn first_batch(&self) -> Self {
        match self {
            Self::Network(problem) => match problem.each_batch().next() {
                Some(batch) => Self::Network(batch),
                None => self.clone(),
            },
            Self::Matrix(_) => self.clone(),
        }
    }

    /// The network.
    ///
    /// # Panics
    /// If this is a matrix, for which a plan refuses what needs layers.
    pub fn network(&self) -> &Problem {
        match self {
            Self::Network(problem) => problem,
            Self::Matrix(_) => unreachable!("the plan refuses matrices here"),
        }
    }
}
