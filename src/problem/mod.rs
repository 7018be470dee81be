//! The problem: a network with its parameters, a loss, and data in one or more batches; or a matrix
//! with a known spectrum.

mod adjoints;
mod assembly;
mod batch;
pub mod checkpoints;
mod curvature;
pub mod data;
pub mod generator;
mod initialise;
mod inner_products;
pub mod layer;
mod layer_input;
mod linearization;
mod linearized_layer;
mod local_layers;
pub mod loss;
pub mod matrix;
mod names;
mod network;
mod network_problem;
mod node;
mod one_place;
pub mod random;
pub mod raw;
pub mod script;
mod seen_diagonal;
mod sign_products;
mod signs;
mod spec;
mod tensors;
mod vectors;
pub mod weights;

pub use adjoints::Adjoints;
pub use batch::Batch;
pub use curvature::{Curvature, MatrixKind};
pub use initialise::initialise;
pub use layer::Combine;
pub use linearization::{Diagonal, Linearization, NonDiagonalCurvature, Tangents};
pub use linearized_layer::{Added, LinearizedLayer};
pub use names::Names;
pub use network::{LayerSize, Network};
pub use network_problem::NetworkProblem;
pub use node::{ParameterInfo, Tensors, Tie};
pub use signs::Signs;
pub(crate) use signs::{SignTable, write_signs};
pub use spec::{NetworkSpec, ProblemSpec};
pub use tensors::epsilon;
pub(crate) use tensors::{sum_present, unit_vectors};
pub use vectors::Vectors;

use matrix::Matrix;
use tch::{Device, Kind, Tensor};

/// What estimators work on, in memory on one device.
#[derive(Clone, Debug)]
pub enum Problem {
    /// A network with its loss and batch.
    Network(NetworkProblem),
    /// A symmetric matrix.
    Matrix(Matrix),
}

impl From<NetworkProblem> for Problem {
    fn from(problem: NetworkProblem) -> Self {
        Self::Network(problem)
    }
}

impl From<Matrix> for Problem {
    fn from(matrix: Matrix) -> Self {
        Self::Matrix(matrix)
    }
}

impl Problem {
    /// The device of its tensors.
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

    /// About how many bytes a product needs per probe.
    pub fn bytes_per_probe(&self) -> u64 {
        match self {
            Self::Network(problem) => problem.bytes_per_probe(),
            Self::Matrix(matrix) => {
                (2 * matrix.eigenvalues.len() * self.kind().elt_size_in_bytes()) as u64
            }
        }
    }

    /// The problem on the first batch of the data alone, where there are several: it costs as much as
    /// any of them.
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
    pub fn network(&self) -> &NetworkProblem {
        match self {
            Self::Network(problem) => problem,
            Self::Matrix(_) => unreachable!("the plan refuses matrices here"),
        }
    }
}
