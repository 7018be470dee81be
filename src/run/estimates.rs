//! The estimates of one job.

use crate::estimator::{Budget, Estimate, Start};
use crate::libtorch::synchronize;
use crate::plan::Job;
use crate::problem::Problem;

/// The estimates of a job, nothing else being at work on its device.
pub(super) fn estimates(
    job: &Job,
    problem: &Problem,
    start: &Start,
    budget: &Budget,
    v_batch: u64,
) -> Vec<Estimate> {
    synchronize(problem.device());
    job.task.run(problem, start, budget, v_batch)
}
