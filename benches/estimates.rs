//! Estimates as the benchmarks ask for them.

use curvature_runner::estimator::{EstimatorSpec, Sampling, Start, Task};
use curvature_runner::problem::{NetworkProblem, ProblemSpec};
use curvature_runner::spec::SpecText;
use std::sync::Arc;

/// An estimator as a spec writes it.
pub fn task(spec: &str) -> Arc<dyn Task> {
    let source = SpecText::new("bench", spec.to_string());
    let estimator: EstimatorSpec = source.deserialize().expect("a valid estimator");
    let expanded = estimator.expand(&Sampling::default(), &ProblemSpec::default());
    expanded.expect("a valid estimator").task
}

/// One estimate: its mean.
pub fn estimate(task: &dyn Task, problem: &NetworkProblem, v: u64, v_batch: u64) -> f64 {
    let problem = problem.clone().into();
    let estimates = task.run(&problem, &Start::Philox(0), &[v].into(), v_batch);
    estimates[0].value.mean
}
