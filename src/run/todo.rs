//! What is to be run of a plan, and how often.

use crate::plan::Plan;
use crate::spec::ExperimentKind;

/// What is to be run of a plan.
#[derive(Clone, Debug)]
pub struct Todo {
    /// Indices of jobs, rising.
    pub jobs: Vec<usize>,
    /// The V_batch that jobs of an earlier run came to, by index: others of the same setting take
    /// the same.
    pub v_batch: Vec<(usize, u64)>,
}

impl Todo {
    /// All of `plan`.
    pub fn all(plan: &Plan) -> Self {
        Self {
            jobs: (0..plan.jobs.len()).collect(),
            v_batch: Vec::new(),
        }
    }
}

/// How often a job computes its estimates.
pub(super) fn runs_of_a_job(plan: &Plan) -> u64 {
    match plan.spec.kind {
        ExperimentKind::Timing => plan.spec.timing.warmup + plan.spec.timing.repeats,
        ExperimentKind::Convergence => 1,
    }
}
