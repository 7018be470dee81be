//! What an estimator finds beyond one number; a file of its own for each kind.

use super::{Moments, Setting};

/// A result that is more than a number with its error.
#[derive(Clone, Debug, PartialEq)]
pub enum Artefact {
    /// `eigenvalues.csv`, from the first one asked for to the last.
    Eigenvalues(Vec<Eigenvalue>),
    /// A safetensors file: the vectors of these eigenvalues, one tensor per parameter.
    Eigenvectors(Vec<ParameterVectors>),
    /// `density.csv`.
    Density(Vec<Node>),
    /// `variance.csv`, from so many samples.
    Variance(u64, Vec<ProbeVariance>),
}

/// A Ritz pair and how far it is from an eigenpair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eigenvalue {
    /// θ.
    pub value: f64,
    /// What the Krylov space says of `‖A x − θ x‖`, in exact arithmetic.
    pub bound: f64,
    /// `‖A x − θ x‖`, measured by one more product: an eigenvalue of a symmetric A lies within.
    pub residual_norm: f64,
    /// Whether the bound met the tolerance.
    pub converged: bool,
}

/// The part of one parameter in each of k vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterVectors {
    /// `[k, *shape]`.
    pub shape: Vec<usize>,
    /// Entries in row-major order.
    pub values: Vec<f64>,
}

/// A node of a quadrature rule of the spectral measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// Which probe's rule it belongs to.
    pub sample: u64,
    /// Where it stands.
    pub node: f64,
    /// Its mass; those of a probe add up to 1, on average for normal probes.
    pub weight: f64,
}

/// The variance of one probe of a trace estimator.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeVariance {
    /// Which estimator it is of.
    pub of: Setting,
    /// From the matrix itself; `None` where there is no closed form.
    pub predicted: Option<f64>,
    /// From samples, with its own standard error.
    pub empirical: Moments,
    /// Probes until the standard error is 1 % of the trace, as predicted.
    pub probes_to_1_percent: Option<f64>,
}
