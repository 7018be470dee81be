//! The exact trace, as the sum of the exact Hessian diagonal, or of a matrix's known eigenvalues;
//! no probes.

use super::estimator_spec::{Shares, estimator_spec};
use super::progress::Cancellation;
use super::{
    BatchSum, Budget, Estimate, EstimatorConfig, Expanded, Moments, Quantity, Sampled, Sampling,
    Setting, Start, Task, Term, batch_sum,
};
use crate::curvature::{chunk_memory, exact};
use crate::error::UserError;
use crate::problem::{Curvature, NetworkProblem, Problem, ProblemSpec};
use std::sync::Arc;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

estimator_spec! {
    /// `kind = "exact"`: cost and validity are those of [`exact::diagonal`].
    #[derive(Default)]
    pub struct Exact shares [matrix] {
        /// Whether the diagonal of a network's matrix is written too, to `diagonals/`.
        #[serde(default)]
        pub diagonal: bool,
    }
}

impl EstimatorConfig for Exact {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let curvature = self.options().curvature(problem, shared)?;
        if self.diagonal && !problem.is_network() {
            return Err(UserError::new(
                "diagonal",
                "found diagonal = true, but only of a network the diagonal is written",
                "remove it; the trace of a given matrix is that of its spectrum",
            ));
        }
        Ok(Expanded {
            task: Arc::new(ExactTask {
                matrix: problem.is_network().then_some(curvature),
                memory: shared.memory()?,
                diagonal: self.diagonal,
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
    /// In bytes, where the spec says.
    memory: Option<u64>,
    /// Whether it is kept.
    diagonal: bool,
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

    fn batch_sum(&self, _budget: &Budget) -> Option<&dyn BatchSum> {
        // A diagonal is as long as the parameters, too much for every batch to keep.
        (self.matrix.is_some() && !self.diagonal).then_some(self)
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        let sum = self.batch_sum(budget);
        if let Some(estimates) = batch_sum::run(sum, problem, start, budget, v_batch) {
            return estimates;
        }
        let clock = Instant::now();
        let bytes = chunk_memory(problem.device(), self.memory);
        let curvature = self.matrix.unwrap_or_default();
        let found = Found::of(problem, curvature, bytes, self.diagonal);
        let seconds = clock.elapsed().as_secs_f64();
        vec![Estimate {
            diagonal: found.diagonal.map(|entries| entries.concat()),
            ..estimate(found.traces, seconds)
        }]
    }
}

impl BatchSum for ExactTask {
    fn terms(&self, problem: &NetworkProblem, batches: &[usize], _work: &Sampled<'_>) -> Vec<Term> {
        let bytes = chunk_memory(problem.device(), self.memory);
        let curvature = self.matrix.unwrap_or_default();
        let cancellation = Cancellation::of_this_thread();
        let term = |&index: &usize| {
            cancellation.check();
            let clock = Instant::now();
            let found = Found::over_batches(&problem.on_batch(index), curvature, bytes, false);
            Term {
                rows: found.traces.into_iter().map(|trace| vec![trace]).collect(),
                seconds: vec![clock.elapsed().as_secs_f64()],
            }
        };
        batches.iter().map(term).collect()
    }

    fn estimates(&self, sum: &Term, _counts: &[u64]) -> Vec<Estimate> {
        let traces = sum.rows.iter().map(|row| row[0]).collect();
        vec![estimate(traces, sum.seconds[0])]
    }
}

/// The estimate from the traces of every parameter's block.
fn estimate(traces: Vec<f64>, seconds: f64) -> Estimate {
    let trace = Moments::exact(traces.iter().sum());
    Estimate {
        parameters: traces.into_iter().map(Moments::exact).collect(),
        ..Estimate::new(Quantity::Trace, trace, 0, seconds)
    }
}

/// The exact trace of every parameter's block.
pub fn exact_traces(problem: &Problem, curvature: Curvature) -> Vec<f64> {
    Found::of(
        problem,
        curvature,
        chunk_memory(problem.device(), None),
        false,
    )
    .traces
}

/// Sums over all batches, parameter by parameter.
struct Found {
    traces: Vec<f64>,
    /// The entries, where they are kept.
    diagonal: Option<Vec<Vec<f64>>>,
}

impl Found {
    /// In chunks that take about `bytes` at most.
    fn of(problem: &Problem, curvature: Curvature, bytes: u64, keep: bool) -> Self {
        match problem {
            Problem::Network(problem) => Self::over_batches(problem, curvature, bytes, keep),
            Problem::Matrix(matrix) => Self {
                traces: vec![matrix.trace()],
                diagonal: None,
            },
        }
    }

    fn over_batches(
        problem: &NetworkProblem,
        curvature: Curvature,
        bytes: u64,
        keep: bool,
    ) -> Self {
        let mut traces = vec![0.0; problem.parameters.len()];
        let zeros = |w: &Tensor| vec![0.0; w.numel()];
        let mut diagonal: Option<Vec<Vec<f64>>> =
            keep.then(|| problem.parameters.iter().map(zeros).collect());
        let cancellation = Cancellation::of_this_thread();
        for batch in problem.each_batch() {
            cancellation.check();
            let tensors = exact::diagonal_within(&batch.linearize_for(curvature), bytes);
            for (sum, trace) in traces.iter_mut().zip(exact::traces(&tensors)) {
                *sum += trace;
            }
            for (sums, tensor) in diagonal.iter_mut().flatten().zip(&tensors) {
                let entries = tensor
                    .to_kind(Kind::Double)
                    .to_device(Device::Cpu)
                    .flatten(0, -1);
                let entries = Vec::<f64>::try_from(entries).expect("a flat float64 tensor");
                sums.iter_mut()
                    .zip(entries)
                    .for_each(|(sum, entry)| *sum += entry);
            }
        }
        Self { traces, diagonal }
    }
}
