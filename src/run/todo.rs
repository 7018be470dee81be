//! What is to be run of a plan, and how often.

use crate::output::Pieces;
use crate::plan::{Plan, Portion};
use crate::spec::ExperimentKind;
use std::collections::HashMap;

/// What is to be run of a plan.
#[derive(Clone, Debug)]
pub struct Todo {
    /// Jobs and pieces, by rising jobs.
    pub portions: Vec<Portion>,
    /// The V_batch that jobs of an earlier run came to, by index: others of the same setting take
    /// the same.
    pub v_batch: Vec<(usize, u64)>,
    /// Pieces that are there already, of jobs that are to be finished.
    pub pieces: HashMap<usize, Pieces>,
    /// Whether it is a part of a plan, of which other machines have the rest: `V_batch = "auto"` then
    /// takes what follows from the plan alone, so that all take the same.
    pub apart: bool,
}

impl Todo {
    /// All of `plan`.
    pub fn all(plan: &Plan) -> Self {
        Self {
            portions: plan.portions(),
            v_batch: Vec::new(),
            pieces: HashMap::new(),
            apart: false,
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
