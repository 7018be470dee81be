//! The rows of what is known of a spectrum beyond one number.

estimate_row! {
    /// An eigenvalue that was found, a row of `eigenvalues.csv`.
    pub struct EigenvalueRecord {
        /// From 0, the first one asked for.
        pub index: u64,
        /// θ.
        pub eigenvalue: f64,
        /// What the Krylov space says of `‖A x − θ x‖`.
        pub bound: f64,
        /// `‖A x − θ x‖` as measured: an eigenvalue lies within.
        pub residual: f64,
        /// Whether the bound met the tolerance.
        pub converged: bool,
        /// The file that holds the eigenvectors, this one in row `index` of every tensor.
        pub vectors: Option<String>,
    }
}

estimate_row! {
    /// A node of the quadrature rule of one probe, a row of `density.csv`.
    pub struct DensityRecord {
        /// Which probe's rule it belongs to.
        pub sample: u64,
        /// Where it stands.
        pub node: f64,
        /// Its mass; those of a probe add up to 1, on average for normal probes.
        pub weight: f64,
    }
}

estimate_row! {
    /// The variance of one probe of the estimator in the key columns, a row of `variance.csv`.
    pub struct VarianceRecord {
        /// From the matrix itself; empty where there is no closed form.
        pub predicted: Option<f64>,
        /// The sample variance of V estimates from one probe each.
        pub empirical: f64,
        /// Its standard error.
        pub std_error: Option<f64>,
        /// Probes until the standard error is 1 % of the trace, as predicted.
        pub probes_to_1_percent: Option<f64>,
    }
}
