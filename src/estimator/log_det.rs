//! `log det(A + δI)` by stochastic Lanczos quadrature.

use super::estimator_spec::{Shares, estimator_spec};
use super::options::positive;
use super::slq::{Quadrature, eighty, mean};
use super::{
    Budget, Estimate, EstimatorConfig, Expanded, Quantity, Sampling, Setting, Start, Task,
};
use crate::error::UserError;
use crate::problem::Network;
use crate::problem::{Problem, ProblemSpec};
use std::sync::Arc;

estimator_spec! {
    /// `kind = "log_det"`: `log det(A + δI) = Σ_i log(λ_i + δ)` of a positive semidefinite A, for every
    /// δ of a list from the same products.
    ///
    /// The mean over V probes of `vᵀ log(A + δI) v`, each by the Gauss rule of `steps` Lanczos steps (see
    /// [`Slq`](super::Slq)); the evidence of a Laplace approximation needs it. The standard error is that
    /// of the mean over probes: it does not see the rule's own error, which falls like
    /// `((√κ + 1)/(√κ − 1))^(−2 steps)` with the condition κ of A + δI (Ubaru, Chen, Saad, SIMAX 38:4, 2017,
    /// doi:10.1137/16M1104974), so that a small δ asks for more steps. Nodes that rounding leaves below
    /// zero count as zero.
    ///
    /// Cost and memory as [`Slq`](super::Slq). Valid for positive semidefinite A alone.
    pub struct LogDet shares [operator, sampling, probe] {
        /// The δ, positive.
        pub delta: Vec<f64>,
        /// Lanczos steps from every probe.
        #[serde(default = "eighty")]
        pub steps: i64,
    }
}

impl EstimatorConfig for LogDet {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        options.semidefinite(
            problem,
            "log det(A + δI) has no real value where A + δI is not positive",
        )?;
        let sensible = |delta: &f64| delta.is_finite() && *delta > 0.0;
        if self.delta.is_empty() || !self.delta.iter().all(sensible) {
            return Err(UserError::new(
                "delta",
                format!("found {:?}, expected positive numbers", self.delta),
                "write for example delta = [1e-3, 1e-2, 0.1]",
            ));
        }
        let quadrature = Quadrature {
            operator_spec: options.operator_with_products(problem, shared)?,
            probe: options.probe(shared),
            steps: positive("steps", self.steps)?,
        };
        let mut deltas = self.delta.clone();
        deltas.sort_by(f64::total_cmp);
        deltas.dedup();
        Ok(Expanded {
            task: Arc::new(LogDetTask { quadrature, deltas }),
            batches: options.batches(shared)?,
            budget: options.budget(shared, 10)?,
            seeds: options.philox_seeds(shared)?,
        })
    }
}

#[derive(Clone, Debug)]
struct LogDetTask {
    quadrature: Quadrature,
    deltas: Vec<f64>,
}

impl Task for LogDetTask {
    fn check(&self, network: Option<&Network>, _size: i64) -> Result<(), UserError> {
        self.quadrature.operator_spec.check(network)
    }

    fn setting(&self) -> Setting {
        self.quadrature.setting("log_det")
    }

    fn quantities(&self) -> Vec<Quantity> {
        let of = |&delta: &f64| Quantity::LogDet { delta };
        self.deltas.iter().map(of).collect()
    }

    fn kept(&self, _v: u64, v_batch: u64) -> u64 {
        v_batch.saturating_mul(self.quadrature.steps)
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        let (estimates, _) = self
            .quadrature
            .run(problem, start, budget, v_batch, |rules| {
                let of = |&delta: &f64| {
                    let value = mean(rules, |node| (node.max(0.0) + delta).ln());
                    (Quantity::LogDet { delta }, value)
                };
                self.deltas.iter().map(of).collect()
            });
        estimates
    }
}
