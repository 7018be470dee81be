//! The exact trace, as the sum of the exact Hessian diagonal, or of a matrix's known eigenvalues;
//! no probes.

use super::estimator_spec::estimator_spec;
use super::options::Shares;
use super::{
    Budget, Estimate, EstimatorConfig, Expanded, Moments, Quantity, Sampling, Setting, Start, Task,
};
use crate::curvature::{chunk_memory, exact};
use crate::error::UserError;
use crate::problem::{Curvature, NetworkProblem, Problem, ProblemSpec};
use std::sync::Arc;
use std::time::Instant;
use tch::Device;

estimator_spec! {
    /// `kind = "exact"`: cost and validity are those of [`exact::diagonal`].
    #[derive(Default)]
    pub struct Exact shares [matrix] {
    }
}

impl EstimatorConfig for Exact {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let curvature = self.options().curvature(problem, shared)?;
        Ok(Expanded {
            task: Arc::new(ExactTask {
                matrix: problem.is_network().then_some(curvature),
                memory: shared.memory()?,
            }),
            batches: vec![None],
            budget: Budget::Counts(Vec::new()),
            seeds: vec![None],
        })
    }
}

/// Which matrix of a network; `None` for a given one.
#[derive(Clone, Debug)]
struct ExactTask {
    matrix: Option<Curvature>,
    /// In bytes.
    memory: u64,
}

impl Task for ExactTask {
    fn setting(&self) -> Setting {
        match self.matrix {
            Some(curvature) => Setting::about(curvature, "exact"),
            None => Setting::of_estimator("exact"),
        }
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn run(
        &self,
        problem: &Problem,
        _start: &Start,
        _budget: &Budget,
        _v_batch: u64,
    ) -> Vec<Estimate> {
        let clock = Instant::now();
        let bytes = chunk_memory(problem.device(), self.memory);
        let traces = traces_within(problem, self.matrix.unwrap_or_default(), bytes);
        let trace = Moments::exact(traces.iter().sum());
        vec![Estimate {
            parameters: traces.into_iter().map(Moments::exact).collect(),
            ..Estimate::new(Quantity::Trace, trace, 0, clock.elapsed().as_secs_f64())
        }]
    }
}

/// The exact trace of every parameter's block.
pub fn exact_traces(problem: &Problem, curvature: Curvature) -> Vec<f64> {
    traces_within(problem, curvature, chunk_memory(Device::Cpu, u64::MAX))
}

/// The exact trace of every parameter's block, in chunks of columns that take about `bytes` at most.
fn traces_within(problem: &Problem, curvature: Curvature, bytes: u64) -> Vec<f64> {
    match problem {
        Problem::Network(problem) => over_batches(problem, curvature, bytes),
        Problem::Matrix(matrix) => vec![matrix.trace()],
    }
}

fn over_batches(problem: &NetworkProblem, curvature: Curvature, bytes: u64) -> Vec<f64> {
    let mut sums = vec![0.0; problem.parameters.len()];
    for batch in problem.each_batch() {
        let diagonal = exact::diagonal_within(&batch.linearize_for(curvature), bytes);
        let traces = exact::traces(&diagonal);
        for (sum, trace) in sums.iter_mut().zip(traces) {
            *sum += trace;
        }
    }
    sums
}
