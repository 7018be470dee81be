//! One job, or pieces of one, from its random numbers to its rows, whatever happens.

use super::caught::{Cancel, Cut, is_out_of_memory};
use super::estimates::estimates;
use super::observer::Observer;
use super::pieces::{self, Making};
use super::rows::{Measured, RowMaker};
use super::sizes::Sizes;
use super::todo::Todo;
use crate::estimator::{Sampled, Start};
use crate::memory::growth_of;
use crate::output::{Done, Finished, Pieces};
use crate::plan::{Job, Plan, Portion};
use crate::problem::Problem;
use crate::spec::ExperimentKind;
use std::collections::HashMap;
use std::sync::Arc;

/// Runs jobs of a plan.
pub(super) struct JobRunner<'a> {
    pub plan: &'a Plan,
    pub watch: Arc<dyn Observer>,
    /// libtorch threads that a job has.
    pub threads: usize,
    rows: RowMaker<'a>,
    /// What is there already of jobs that are to be finished.
    pieces: HashMap<usize, Pieces>,
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
            pieces: todo.pieces.clone(),
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

    /// Does a job or pieces of one, and hands in what comes of it; where memory runs out, again with half
    /// the V_batch. Returns whether it has ended: `false` if it is cancelled.
    pub fn perform(
        &self,
        portion: &Portion,
        problem: &Problem,
        start: &Start,
        hand_in: &dyn Fn(Done),
    ) -> bool {
        let index = portion.job;
        let job = &self.plan.jobs[index];
        self.watch.started(index);
        tracing::debug!("job {index} begins: {job:?}");
        let asked = self.sizes.of(job);
        let mut v_batch = asked;
        let mut pieces = self.pieces.get(&index).cloned().unwrap_or_default();
        let finished = loop {
            let watch = self.watch.clone();
            let tell = move |progress| watch.progressed(index, progress);
            let notes = self.notes(job, v_batch, asked);
            let work = || match self.plan.pieces(job) {
                1 => Some(self.repeated(job, v_batch, problem, start)),
                _ => self.summed(
                    portion,
                    v_batch,
                    (problem, start),
                    &notes,
                    &mut pieces,
                    hand_in,
                ),
            };
            let error = match self.cancel.attempt(tell, work) {
                Ok((Some(repeated), told)) => {
                    break self.finished(index, v_batch, problem, &repeated, notes, told);
                }
                // Its pieces are handed in.
                Ok((None, _)) => return true,
                Err(Cut::Cancelled) => return false,
                Err(Cut::Failed(error)) => error,
            };
            match v_batch {
                Some(size @ 2..) if is_out_of_memory(&error) => {
                    self.sizes.reduce(job, size / 2);
                    v_batch = Some(size / 2);
                }
                _ => {
                    break Finished {
                        index,
                        rows: self.rows.failure(job, v_batch, error),
                        notes,
                        ..Finished::default()
                    };
                }
            }
        };
        hand_in(Done::Job(finished));
        true
    }

    /// What comes of a job that has gone well; `told` are the estimator's own notes.
    fn finished(
        &self,
        index: usize,
        v_batch: Option<u64>,
        problem: &Problem,
        repeated: &[Measured],
        mut notes: Vec<String>,
        told: Vec<String>,
    ) -> Finished {
        let setting = &self.plan.jobs[index].setting;
        let place = (problem.device(), self.threads);
        let (rows, files) = self.rows.rows(index, v_batch, repeated, place);
        notes.splice(0..0, told.iter().map(|note| format!("{setting}: {note}")));
        Finished {
            index,
            rows,
            diagonals: self.rows.diagonals(index, problem, repeated),
            files,
            notes,
        }
    }

    /// What a reader should know of the V_batch that a job is run with.
    fn notes(&self, job: &Job, v_batch: Option<u64>, asked: Option<u64>) -> Vec<String> {
        let less = (v_batch < asked).then(|| {
            let (asked, used) = (asked.unwrap_or(1), v_batch.unwrap_or(1));
            let setting = &job.setting;
            format!("{setting}: out of memory at V_batch = {asked}, went on with {used}")
        });
        less.into_iter().chain(self.sizes.note(job)).collect()
    }

    /// The estimates of a sum over batches, where all of it is asked for, from pieces that are there
    /// and those that are missing.
    fn summed(
        &self,
        portion: &Portion,
        v_batch: Option<u64>,
        (problem, start): (&Problem, &Start),
        notes: &[String],
        pieces: &mut Pieces,
        hand_in: &dyn Fn(Done),
    ) -> Option<Vec<Measured>> {
        let job = &self.plan.jobs[portion.job];
        let making = Making {
            sum: job.batch_sum()?,
            work: Sampled {
                start,
                budget: &job.budget,
                v_batch: v_batch.unwrap_or(1),
            },
            v_batch,
            threads: self.threads,
            notes: notes.to_vec(),
        };
        let mut make = || making.make(portion, problem.network(), pieces, hand_in);
        let memory = match self.measures_memory(problem) {
            true => growth_of(problem.device(), make).1,
            false => {
                make();
                None
            }
        };
        let whole = portion.pieces.is_none();
        whole.then(|| vec![(pieces::estimates(job, pieces), memory)])
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
        let measured = |_| match self.measures_memory(problem) {
            true => growth_of(problem.device(), estimates),
            false => (estimates(), None),
        };
        (0..repeats).map(measured).collect()
    }

    /// A process grows by what all jobs do; a card has one at a time.
    fn measures_memory(&self, problem: &Problem) -> bool {
        !self.side_by_side || problem.device().is_cuda()
    }
}
