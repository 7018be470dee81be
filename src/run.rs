//! From a plan to rows: jobs are run, each finished one is handed on at once.

mod agreement;
mod caught;
mod estimates;
mod guess;
mod job;
mod observer;
mod pieces;
mod predict;
mod rows;
mod sizes;
mod threads;
mod todo;
mod trial;

pub use caught::GRACE;
pub use guess::guess;
pub use observer::{NoObserver, Observer};
pub use pieces::combine;
pub use predict::{Prediction, Trials};
pub use todo::Todo;
pub use trial::Cost;

use crate::estimator::{Start, StreamKind, TorchStream};
use crate::lists::Seed;
use crate::output::Done;
use crate::plan::{Job, Plan, Portion};
use crate::problem::Problem;
use crate::problem::generator::TorchGenerator;
use anyhow::Result;
use caught::{Cancel, Cut, TICK, message};
use job::JobRunner;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Instant;
use tch::Device;

/// Why no job of a plan can be run at all.
#[derive(Debug, thiserror::Error)]
#[error("no job can be run: {0}")]
pub struct Impossible(String);

/// Runs the jobs of `plan` that are to do; `finished` is called on this thread after each, also
/// after one that could not be done, and after pieces of one.
///
/// A convergence experiment on the CPU runs its jobs side by side, one libtorch thread each, and on
/// several GPUs one on each; timed jobs, jobs on one GPU and jobs that continue each other's random
/// numbers run alone, and wait until `finished` returns.
///
/// The jobs run on threads of their own, since a call of libtorch cannot be ended. A job that is
/// still under way [`GRACE`] after an interruption is cancelled, and not waited for: its thread may
/// outlive this call, and what it comes to is lost.
///
/// # Errors
/// Those of `finished`; the jobs under way are cancelled. [`Impossible`] before any.
pub fn run(
    plan: &Arc<Plan>,
    todo: &Todo,
    watch: &Arc<dyn Observer>,
    mut finished: impl FnMut(Done) -> Result<()>,
) -> Result<()> {
    if todo.portions.is_empty() {
        return Ok(());
    }
    let cancel = Cancel::default();
    let (sender, receiver) = mpsc::channel();
    let desk = Desk(sender);
    let (plan, todo) = (plan.clone(), todo.clone());
    let (watch_jobs, cancel_jobs) = (watch.clone(), cancel.clone());
    let jobs = move || all(&plan, &todo, watch_jobs, cancel_jobs, &desk);
    let jobs = std::thread::Builder::new()
        .name("jobs".into())
        .spawn(jobs)?;
    let mut outcome = Ok(());
    let mut interrupted: Option<Instant> = None;
    loop {
        match receiver.recv_timeout(TICK) {
            Ok((done, _waiting)) if outcome.is_ok() => {
                outcome = finished(done);
                if outcome.is_err() {
                    cancel.set();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
        if watch.interrupted() {
            let since = *interrupted.get_or_insert_with(Instant::now);
            if since.elapsed() >= GRACE {
                cancel.set();
                let mut rest = receiver.try_iter();
                return outcome.and_then(|()| rest.try_for_each(|(done, _)| finished(done)));
            }
        }
    }
    // A panic outside of any job is a mistake of ours, and no reason to lose what was finished.
    let broken = |panic: Box<dyn Any + Send>| Err(Impossible(message(panic.as_ref())));
    let ended = jobs.join().unwrap_or_else(broken);
    outcome.and(ended.map_err(Into::into))
}

/// Where finished jobs are handed in.
struct Desk(Sender<(Done, Waiting)>);

/// Tells who handed in a job, by being dropped, that it has been dealt with.
struct Waiting {
    _sender: Sender<()>,
}

impl Desk {
    /// Hands in a job, and waits until it has been dealt with if nothing is to run meanwhile.
    fn hand_in(&self, done: Done, wait: bool) {
        let (_sender, dealt_with) = mpsc::channel();
        // Who has left the desk wants no more of them.
        if self.0.send((done, Waiting { _sender })).is_ok() && wait {
            let _ = dealt_with.recv();
        }
    }
}

/// Runs all jobs, on this thread and others.
fn all(
    plan: &Plan,
    todo: &Todo,
    watch: Arc<dyn Observer>,
    cancel: Cancel,
    desk: &Desk,
) -> Result<(), Impossible> {
    threads::with(plan.threads, || {
        let clock = Instant::now();
        let build = || {
            let (problems, generator) = plan.build(plan.device);
            agreement::check(&problems).map(|()| (problems, generator))
        };
        let (problems, generator) = match cancel.attempt(|_| {}, build) {
            Ok((built, _)) => built.map_err(|error| Impossible(error.to_string()))?,
            Err(Cut::Cancelled) => return Ok(()),
            Err(Cut::Failed(error)) => return Err(Impossible(error)),
        };
        tracing::info!("network and data are in memory after {:?}", clock.elapsed());
        let Ok(runner) = JobRunner::new(plan, todo, &problems, watch, cancel) else {
            return Ok(());
        };
        if plan.spreads() {
            // A card is driven from one thread; what the CPU computes beside it is shared out.
            let threads = (plan.threads / plan.devices.len()).max(1);
            let other = |&device: &Device| plan.build(device).0;
            let others = plan.devices[1..].iter().map(other);
            let workers: Vec<Vec<Problem>> = [problems].into_iter().chain(others).collect();
            parallel(runner, workers, threads, &each_piece(&todo.portions), desk);
            return Ok(());
        }
        if !plan.side_by_side() {
            serial(&runner, &problems, generator, &todo.portions, desk);
            return Ok(());
        }
        // What has no probes is one large piece of work, which takes all threads.
        let seeded = |portion: &Portion| plan.jobs[portion.job].seed.is_some();
        let (seeded, single): (Vec<_>, Vec<_>) = todo.portions.iter().cloned().partition(seeded);
        serial(&runner, &problems, generator, &single, desk);
        let seeded = each_piece(&seeded);
        let workers = plan.threads.min(seeded.len());
        let workers = (0..workers).map(|_| problems.to_vec()).collect();
        parallel(runner, workers, 1, &seeded, desk);
        Ok(())
    })
}

/// The portions with every piece by itself, to be computed side by side.
fn each_piece(portions: &[Portion]) -> Vec<Portion> {
    let split = |portion: &Portion| match &portion.pieces {
        None => vec![portion.clone()],
        Some(pieces) => {
            let alone = |&piece: &usize| Portion {
                job: portion.job,
                pieces: Some(vec![piece]),
            };
            pieces.iter().map(alone).collect()
        }
    };
    portions.iter().flat_map(split).collect()
}

fn serial(
    runner: &JobRunner<'_>,
    problems: &[Problem],
    mut generator: TorchGenerator,
    todo: &[Portion],
    desk: &Desk,
) {
    let plan = runner.plan;
    let continues = plan.jobs.iter().any(|job| job.seed == Some(Seed::Continue));
    for (index, job) in plan.jobs.iter().enumerate() {
        let start = start(plan, job, &generator);
        if let Ok(place) = todo.binary_search_by_key(&index, |portion| portion.job) {
            let hand_in = |done| desk.hand_in(done, true);
            let problem = &problems[job.problem];
            if runner.watch.stopped() || !runner.perform(&todo[place], problem, &start, &hand_in) {
                break;
            }
        }
        // Whether a job is run or was before: those after it begin where it ends.
        if let (true, Start::Torch(start), Some(&last)) =
            (continues, start, job.budget.counts().last())
        {
            generator = after(&problems[job.problem], start, last);
        }
    }
}

/// Runs jobs and pieces on as many threads as there are `workers`, each with problems of its own and so
/// many threads of libtorch.
fn parallel(
    runner: JobRunner<'_>,
    workers: Vec<Vec<Problem>>,
    threads: usize,
    todo: &[Portion],
    desk: &Desk,
) {
    let all = runner.threads;
    let runner = &runner.side_by_side(threads);
    let next = &AtomicUsize::new(0);
    let work = move |problems: Vec<Problem>| {
        while !runner.watch.stopped() {
            let Some(portion) = todo.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let job = &runner.plan.jobs[portion.job];
            let start = start(runner.plan, job, &TorchGenerator::seeded(0));
            let hand_in = |done| desk.hand_in(done, false);
            if !runner.perform(portion, &problems[job.problem], &start, &hand_in) {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        for problems in workers {
            scope.spawn(move || threads::with(threads, || work(problems)));
        }
    });
    // libtorch's BLAS keeps the last setting for the whole process.
    tch::set_num_threads(all as i32);
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
