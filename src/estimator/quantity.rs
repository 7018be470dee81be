//! What an estimate is of.

/// The trace, or another number that a matrix has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Quantity {
    /// `tr A`.
    #[default]
    Trace,
    /// `‖A‖²_F`, the sum of squared entries.
    FrobeniusSquared,
    /// `Σ a_ii²`.
    DiagonalSquared,
    /// `log det(A + δI)`.
    LogDet {
        /// δ.
        delta: f64,
    },
    /// The eigenvalue of largest magnitude.
    TopEigenvalue,
    /// The largest eigenvalue.
    LargestEigenvalue,
    /// The smallest one: the most negative curvature, where there is any.
    SmallestEigenvalue,
}

impl Quantity {
    /// As rows have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::FrobeniusSquared => "frobenius_squared",
            Self::DiagonalSquared => "diagonal_squared",
            Self::LogDet { .. } => "log_det",
            Self::TopEigenvalue => "top_eigenvalue",
            Self::LargestEigenvalue => "largest_eigenvalue",
            Self::SmallestEigenvalue => "smallest_eigenvalue",
        }
    }

    /// Its value for a matrix with these eigenvalues; `None` where they alone do not tell.
    pub fn of_spectrum(self, eigenvalues: &[f64]) -> Option<f64> {
        let values = || eigenvalues.iter().copied();
        match self {
            Self::Trace => Some(values().sum()),
            Self::FrobeniusSquared => Some(values().map(|value| value * value).sum()),
            Self::DiagonalSquared => None,
            Self::LogDet { delta } => Some(values().map(|value| (value + delta).ln()).sum()),
            Self::TopEigenvalue => values().max_by(|a, b| a.abs().total_cmp(&b.abs())),
            Self::LargestEigenvalue => values().max_by(f64::total_cmp),
            Self::SmallestEigenvalue => values().min_by(f64::total_cmp),
        }
    }

    /// δ, where there is one.
    pub fn delta(self) -> Option<f64> {
        match self {
            Self::LogDet { delta } => Some(delta),
            _ => None,
        }
    }
}
