//! One job, from its random numbers to its rows, whatever happens.

use super::caught::{Cancel, Cut, is_out_of_memory};
use super::estimates::estimates;
use super::observer::Observer;
use super::rows::{Measured, RowMaker};
use super::sizes::Sizes;
use super::todo::Todo;
use crate::estimator::Start;
use crate::memory::growth_of;
use crate::output::Finished;
use crate::plan::{Job, Plan};
use crate::problem::Problem;
use crate::spec::ExperimentKind;
use std::sync::Arc;

/// Runs jobs of a plan.
pub(super) struct JobRunner<'a> {
    pub plan: &'a Plan,
    pub watch: Arc<dyn Observer>,
    /// libtorch threads that a job has.
    pub threads: usize,
    rows: RowMaker<'a>,
    sizes: Sizes,
    cancel: Cancel,
    /// Whether other jobs run at the same time.
    side_by_side: bool,
}

impl<'a> JobRunner<'a> {
    /// Prepares the jobs of `todo`, `watch` being told of every V_batch that is found.
    ///
    /// # Errors
    /// A trial for a V_batch that was cancelled.
    pub fn new(
        plan: &'a Plan,
        todo: &Todo,
        problems: &[Problem],
        watch: Arc<dyn Observer>,
        cancel: Cancel,
    ) -> Result<Self, Cut> {
        // With as many threads as the jobs will have.
        let threads = if plan.side_by_side() { 1 } else { plan.threads };
        tch::set_num_threads(threads as i32);
        let sizes = Sizes::new(plan, todo, problems, &cancel, |note| watch.tuned(note))?;
        tch::set_num_threads(plan.threads as i32);
        Ok(Self {
            plan,
            watch,
            threads: plan.threads,
            rows: RowMaker::new(plan, problems),
            sizes,
            cancel,
            side_by_side: false,
        })
    }

    /// The runner of jobs that run side by side, so many threads each.
    pub fn side_by_side(self, threads: usize) -> Self {
        Self {
            threads,
            side_by_side: true,
            ..self
        }
    }

    /// Runs a job; where memory runs out, again with half the V_batch. `None` if it is cancelled.
    pub fn perform(&self, index: usize, problem: &Problem, start: &Start) -> Option<Finished> {
        let job = &self.plan.jobs[index];
        self.watch.started(index);
        tracing::debug!("job {index} begins: {job:?}");
        let asked = self.sizes.of(job);
        let mut v_batch = asked;
        let (mut diagonals, mut files) = (Vec::new(), Vec::new());
        let (rows, mut notes) = loop {
            let watch = self.watch.clone();
            let tell = move |progress| watch.progressed(index, progress);
            let work = || self.repeated(job, v_batch, problem, start);
            let error = match self.cancel.attempt(tell, work) {
                Ok((repeated, notes)) => {
                    diagonals = self.rows.diagonals(index, problem, &repeated);
                    let place = (problem.device(), self.threads);
                    let (rows, found) = self.rows.rows(index, v_batch, &repeated, place);
                    files = found;
                    break (rows, notes);
                }
                Err(Cut::Cancelled) => return None,
                Err(Cut::Failed(error)) => error,
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
            .map(|note| format!("{}: {note}", job.setting));
        Some(Finished {
            index,
            rows,
            diagonals,
            files,
            notes: notes.chain(self.sizes.note(job)).collect(),
        })
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
        let device = problem.device();
        // A process grows by what all jobs do; a card has one at a time.
        let measured = |_| match self.side_by_side && !device.is_cuda() {
            true => (estimates(), None),
            false => growth_of(device, estimates),
        };
        (0..repeats).map(measured).collect()
    }
}
