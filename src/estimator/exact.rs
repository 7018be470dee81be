//! The exact trace, as the sum of the exact Hessian diagonal, or of a matrix's known eigenvalues;
//! no probes.

use super::{
    Budget, Columns, Estimate, EstimatorConfig, Expanded, Moments, Quantity, Sampling, Start, Task,
};
use crate::curvature::exact;
use crate::error::UserError;
use crate::problem::{Problem, ProblemSpec, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// `kind = "exact"`: cost and validity are those of [`exact::diagonal`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Exact {}

impl EstimatorConfig for Exact {
    fn expand(&self, _shared: &Sampling, _problem: &ProblemSpec) -> Result<Expanded, UserError> {
        Ok(Expanded {
            task: Arc::new(Self {}),
            batches: vec![None],
            budget: Budget::Counts(Vec::new()),
            seeds: vec![None],
        })
    }
}

impl Task for Exact {
    fn columns(&self) -> Columns {
        Columns::of("exact")
    }

    fn run(
        &self,
        subject: &Subject,
        _start: &Start,
        _budget: &Budget,
        _v_batch: u64,
    ) -> Vec<Estimate> {
        let clock = Instant::now();
        let traces = exact_traces(subject);
        vec![Estimate {
            quantity: Quantity::Trace,
            v: None,
            value: Moments::exact(traces.iter().sum()),
            parameters: traces.into_iter().map(Moments::exact).collect(),
            products: 0,
            seconds: clock.elapsed().as_secs_f64(),
            stop: None,
            diagonal: None,
        }]
    }
}

/// The exact trace of every parameter's block.
pub fn exact_traces(subject: &Subject) -> Vec<f64> {
    match subject {
        Subject::Network(problem) => over_batches(problem),
        Subject::Matrix(matrix) => vec![matrix.trace()],
    }
}

fn over_batches(problem: &Problem) -> Vec<f64> {
    let mut sums = vec![0.0; problem.parameters.len()];
    for batch in problem.each_batch() {
        let traces = exact::traces(&exact::diagonal(&batch.linearize()));
        for (sum, trace) in sums.iter_mut().zip(traces) {
            *sum += trace;
        }
    }
    sums
}
