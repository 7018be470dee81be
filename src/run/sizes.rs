//! The V_batch that jobs are run with: as it stands, as a trial found it, or what memory allows.

use super::Todo;
use super::caught::caught;
use crate::estimator::{Setting, tuned_v_batch};
use crate::lists::VBatch;
use crate::plan::{Job, Plan};
use crate::problem::Problem;
use std::collections::HashMap;
use std::sync::Mutex;

/// The V_batch of every setting that does not simply stand in the spec.
pub(super) struct Sizes(Mutex<HashMap<Key, u64>>);

/// The setting, and the most probes.
type Key = (Setting, Option<u64>);

fn setting(job: &Job) -> Key {
    (job.setting.clone(), job.budget.most())
}

impl Sizes {
    /// Takes over what earlier jobs came to, and tries what is still to be found out.
    pub fn new(plan: &Plan, todo: &Todo, problems: &[Problem]) -> Self {
        let mut sizes: HashMap<Key, u64> = HashMap::new();
        for &(index, v_batch) in &todo.v_batch {
            let size = sizes.entry(setting(&plan.jobs[index])).or_insert(v_batch);
            *size = v_batch.min(*size);
        }
        let jobs = todo.jobs.iter().map(|&index| &plan.jobs[index]);
        for job in jobs.filter(|job| job.v_batch == Some(VBatch::Auto)) {
            let most = job.budget.most().unwrap_or(1);
            let (task, problem) = (job.task.as_ref(), &problems[job.problem]);
            let trial = || caught(|| tuned_v_batch(task, problem, most, plan.memory)).unwrap_or(1);
            let size = *sizes.entry(setting(job)).or_insert_with(trial);
            tracing::info!("{}: V_batch = \"auto\" is {size}", job.setting);
        }
        Self(Mutex::new(sizes))
    }

    /// The V_batch of a job; `None` where that means nothing.
    pub fn of(&self, job: &Job) -> Option<u64> {
        let found = self
            .0
            .lock()
            .expect("no panic inside")
            .get(&setting(job))
            .copied();
        match (job.v_batch?, found) {
            (_, Some(size)) | (VBatch::Fixed(size), None) => Some(size),
            (VBatch::Auto, None) => unreachable!("sizes are found before the jobs begin"),
        }
    }

    /// Jobs of this setting are to use no more than `v_batch` from now on.
    pub fn reduce(&self, job: &Job, v_batch: u64) {
        let mut sizes = self.0.lock().expect("no panic inside");
        let size = sizes.entry(setting(job)).or_insert(v_batch);
        *size = v_batch.min(*size);
    }
}
