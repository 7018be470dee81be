//! From a plan to rows: jobs are run, each finished one is handed on at once.

mod agreement;
mod caught;
mod job;
mod observer;
mod predict;
mod rows;
mod sizes;

pub use observer::{NoObserver, Observer};
pub use predict::{Cost, Prediction, predict};

use crate::estimator::{Start, StreamKind, TorchStream};
use crate::lists::Seed;
use crate::output::Finished;
use crate::plan::{Job, Plan};
use crate::problem::Problem;
use crate::problem::generator::TorchGenerator;
use anyhow::Result;
use job::JobRunner;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

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

/// Why no job of a plan can be run at all.
#[derive(Debug, thiserror::Error)]
#[error("no job can be run: {0}")]
pub struct Impossible(String);

/// Runs the jobs of `plan` that are to do; `finished` is called on this thread after each, also
/// after one that could not be done.
///
/// A convergence experiment on the CPU runs its jobs side by side, one libtorch thread each; timed
/// jobs, jobs on a GPU and jobs that continue each other's random numbers run alone.
///
/// # Errors
/// Those of `finished`; the jobs under way are completed first. [`Impossible`] before any.
pub fn run(
    plan: &Plan,
    todo: &Todo,
    watch: &Arc<dyn Observer>,
    mut finished: impl FnMut(Finished) -> Result<()>,
) -> Result<()> {
    if todo.jobs.is_empty() {
        return Ok(());
    }
    tch::set_num_threads(plan.threads as i32);
    let clock = Instant::now();
    let build = || plan.setup.build(plan.device, plan.dtype);
    let (problems, generator) = caught::caught(build).map_err(Impossible)?;
    agreement::check(&problems).map_err(|error| Impossible(error.to_string()))?;
    tracing::info!("network and data are in memory after {:?}", clock.elapsed());
    let runner = JobRunner::new(plan, todo, &problems, watch.clone());
    if !plan.side_by_side() {
        return serial(&runner, &problems, generator, &todo.jobs, finished);
    }
    // What has no probes is one large piece of work, which takes all threads.
    let (seeded, single): (Vec<_>, Vec<_>) = todo
        .jobs
        .iter()
        .partition(|&&index| plan.jobs[index].seed.is_some());
    serial(&runner, &problems, generator, &single, &mut finished)?;
    parallel(runner, &problems, &seeded, finished)
}

fn serial(
    runner: &JobRunner<'_>,
    problems: &[Problem],
    mut generator: TorchGenerator,
    todo: &[usize],
    mut finished: impl FnMut(Finished) -> Result<()>,
) -> Result<()> {
    let plan = runner.plan;
    let continues = plan.jobs.iter().any(|job| job.seed == Some(Seed::Continue));
    for (index, job) in plan.jobs.iter().enumerate() {
        let start = start(plan, job, &generator);
        if todo.binary_search(&index).is_ok() {
            if runner.watch.stopped() {
                break;
            }
            finished(runner.perform(index, &problems[job.problem], &start))?;
        }
        // Whether a job is run or was before: those after it begin where it ends.
        if let (true, Start::Torch(start), Some(&last)) =
            (continues, start, job.budget.counts().last())
        {
            generator = after(&problems[job.problem], start, last);
        }
    }
    Ok(())
}

fn parallel(
    runner: JobRunner<'_>,
    problems: &[Problem],
    todo: &[usize],
    finished: impl FnMut(Finished) -> Result<()>,
) -> Result<()> {
    let threads = runner.threads;
    let runner = &runner.single_threaded();
    let next = &AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let outcome = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, problems) = (sender.clone(), problems.to_vec());
            scope.spawn(move || {
                tch::set_num_threads(1);
                while !runner.watch.stopped() {
                    let Some(&index) = todo.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let job = &runner.plan.jobs[index];
                    let start = start(runner.plan, job, &TorchGenerator::seeded(0));
                    let done = runner.perform(index, &problems[job.problem], &start);
                    // The receiver is gone after an error, which it returns.
                    if sender.send(done).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        receiver.into_iter().try_for_each(finished)
    });
    // libtorch's BLAS keeps the last setting for the whole process.
    tch::set_num_threads(threads as i32);
    outcome
}

/// Where a job's random numbers begin, `generator` being PyTorch's global one before it.
fn start(plan: &Plan, job: &Job, generator: &TorchGenerator) -> Start {
    match (plan.spec.sampling.stream, job.seed) {
        (StreamKind::Philox, Some(Seed::Value(seed))) => Start::Philox(seed),
        (StreamKind::Torch, Some(Seed::Value(seed))) => Start::Torch(TorchGenerator::seeded(seed)),
        (_, Some(Seed::Continue) | None) => Start::Torch(generator.clone()),
    }
}

/// PyTorch's generator after `probes` probes from `generator`.
fn after(problem: &Problem, generator: TorchGenerator, probes: u64) -> TorchGenerator {
    let (kind, device) = (problem.kind(), problem.device());
    let mut stream = TorchStream::new(generator, problem.shapes(), kind, device);
    stream.skip(probes);
    stream.into_generator()
}
