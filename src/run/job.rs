//! One job, from its random numbers to its rows, whatever happens.

use super::caught::{caught, is_out_of_memory};
use super::rows::{Measured, RowMaker};
use super::sizes::Sizes;
use super::{Observer, Todo};
use crate::estimator::{Budget, Estimate, Start, listening};
use crate::memory::growth_of;
use crate::output::Finished;
use crate::plan::{Job, Plan};
use crate::problem::Problem;
use crate::spec::ExperimentKind;
use std::sync::Arc;
use tch::{Cuda, Device};

/// Runs jobs of a plan.
pub(super) struct JobRunner<'a> {
    pub plan: &'a Plan,
    pub watch: Arc<dyn Observer>,
    /// libtorch threads that a job has.
    pub threads: usize,
    rows: RowMaker<'a>,
    sizes: Sizes,
    /// Whether other jobs run at the same time.
    side_by_side: bool,
}

impl<'a> JobRunner<'a> {
    pub fn new(
        plan: &'a Plan,
        todo: &Todo,
        problems: &[Problem],
        watch: Arc<dyn Observer>,
    ) -> Self {
        Self {
            plan,
            watch,
            threads: plan.threads,
            rows: RowMaker::new(plan, problems),
            sizes: Sizes::new(plan, todo, problems),
            side_by_side: false,
        }
    }

    /// The same for jobs that run side by side.
    pub fn single_threaded(self) -> Self {
        Self {
            threads: 1,
            side_by_side: true,
            ..self
        }
    }

    /// Runs a job; where memory runs out, again with half the V_batch.
    pub fn perform(&self, index: usize, problem: &Problem, start: &Start) -> Finished {
        let job = &self.plan.jobs[index];
        self.watch.started(index);
        tracing::debug!("job {index} begins: {job:?}");
        let asked = self.sizes.of(job);
        let mut v_batch = asked;
        let (mut diagonals, mut files) = (Vec::new(), Vec::new());
        let (rows, mut notes) = loop {
            let watch = self.watch.clone();
            let tell = move |progress| watch.progressed(index, progress);
            let work = || listening(tell, || self.repeated(job, v_batch, problem, start));
            let error = match caught(work) {
                Ok((repeated, notes)) => {
                    diagonals = self.rows.diagonals(index, problem, &repeated);
                    let (rows, found) = self.rows.rows(index, v_batch, &repeated, self.threads);
                    files = found;
                    break (rows, notes);
                }
                Err(error) => error,
            };
            match v_batch {
                Some(size @ 2..) if is_out_of_memory(&error) => {
                    self.sizes.reduce(job, size / 2);
                    v_batch = Some(size / 2);
                }
                _ => break (self.rows.failure(job, v_batch, error), Vec::new()),
            }
        };
        if v_batch < asked {
            let (asked, used) = (asked.unwrap_or(1), v_batch.unwrap_or(1));
            notes.push(format!(
                "out of memory at V_batch = {asked}, went on with {used}"
            ));
        }
        let notes = notes
            .into_iter()
            .map(|note| format!("{}: {note}", job.setting))
            .collect();
        Finished {
            index,
            rows,
            diagonals,
            files,
            notes,
        }
    }

    fn repeated(
        &self,
        job: &Job,
        v_batch: Option<u64>,
        problem: &Problem,
        start: &Start,
    ) -> Vec<Measured> {
        let timing = self.plan.spec.timing;
        let (warmup, repeats) = match self.plan.spec.kind {
            ExperimentKind::Timing => (timing.warmup, timing.repeats),
            ExperimentKind::Convergence => (0, 1),
        };
        let v_batch = v_batch.unwrap_or(1);
        let estimates = || estimates(job, problem, start, &job.budget, v_batch);
        for _ in 0..warmup {
            estimates();
        }
        let measured = |_| match self.side_by_side {
            true => (estimates(), None),
            false => growth_of(estimates),
        };
        (0..repeats).map(measured).collect()
    }
}

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

fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}
