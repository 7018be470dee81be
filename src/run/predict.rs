//! What a run will cost, from a short trial of every setting.

use super::caught::{Cancel, TICK};
use super::estimates::estimates;
use super::threads;
use super::todo::runs_of_a_job;
use crate::curvature::chunk_memory;
use crate::estimator::{Budget, Start};
use crate::lists::VBatch;
use crate::memory::{growth_of, release_freed_buffers};
use crate::plan::{Job, Plan, Portion, Setup};
use crate::problem::{NetworkProblem, Problem};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the jobs of one setting will cost.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// One of its jobs, by index in the plan.
    pub job: usize,
    /// How many there are, counting repetitions.
    pub runs: u64,
    /// As many, those of which only pieces are to be done counted with their share.
    pub share: f64,
    /// What one run costs; `None` where the trial did not end in time, or failed.
    pub cost: Option<Cost>,
    /// Seconds that one run takes at least, where its trial was still under way at the end.
    pub at_least: f64,
}

impl Prediction {
    /// Seconds that all its runs together add to a run of `plan`.
    pub fn seconds(&self, plan: &Plan) -> f64 {
        let one = self.cost.map_or(self.at_least, |cost| cost.seconds);
        self.share * one / self.beside(plan) as f64
    }

    /// How many of its runs go on side by side.
    pub fn beside(&self, plan: &Plan) -> u64 {
        if plan.spreads() {
            return plan.devices.len() as u64;
        }
        let alone = plan.jobs[self.job].seed.is_none() || !plan.side_by_side();
        if alone { 1 } else { plan.threads as u64 }
    }
}

/// What one run costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Matrix-vector products.
    pub products: u64,
    /// Seconds.
    pub seconds: f64,
    /// Bytes beyond network and data.
    pub memory: u64,
}

/// Trials of plans, one plan after another: those of one have ended before those of the next begin.
#[derive(Debug)]
pub struct Trials {
    /// For the trials of a plan.
    limit: Duration,
    under_way: Option<JoinHandle<()>>,
}

/// What the thread of the trials tells.
enum News {
    Begins(usize),
    Ended(usize, Option<Cost>),
}

impl Trials {
    /// A trial adds little to so many batches.
    const LONG: u64 = 50;

    /// Trials that take `limit` a plan.
    pub fn new(limit: Duration) -> Self {
        let under_way = None;
        Self { limit, under_way }
    }

    /// Predicts the jobs of a plan setting by setting, until time is over or `stopped`.
    ///
    /// A trial uses one batch of probes and then two; what more of them cost follows from the
    /// difference. One that is still under way at the end is cancelled, and the next plan's begin
    /// once it has ended; time that this takes is the next plan's.
    pub fn predict(&mut self, plan: &Arc<Plan>, stopped: &dyn Fn() -> bool) -> Vec<Prediction> {
        self.of_settings(plan, settings(plan, &plan.portions()), stopped)
    }

    /// Predicts the exact ones of `portions`, and those of which there are so many that a trial adds
    /// little, and waits until it has ended.
    ///
    /// Runs to a tolerance are not among them, since nobody knows how far they go.
    pub fn foresee(
        &mut self,
        plan: &Arc<Plan>,
        portions: &[Portion],
        stopped: &dyn Fn() -> bool,
    ) -> Vec<Prediction> {
        let mut long = settings(plan, portions);
        long.retain(|prediction| {
            let job = &plan.jobs[prediction.job];
            let probes = job.budget.counts().last().copied().unwrap_or(0);
            let batches = probes.div_ceil(v_batch(job));
            job.task.is_exact() || prediction.runs.saturating_mul(batches) >= Self::LONG
        });
        let found = self.of_settings(plan, long, stopped);
        while !self.have_ended() && !stopped() {
            std::thread::sleep(TICK);
        }
        found
    }

    fn of_settings(
        &mut self,
        plan: &Arc<Plan>,
        mut predictions: Vec<Prediction>,
        stopped: &dyn Fn() -> bool,
    ) -> Vec<Prediction> {
        let clock = Instant::now();
        let limit = self.limit;
        let over = || clock.elapsed() >= limit || stopped();
        while !self.have_ended() {
            if over() {
                return predictions;
            }
            std::thread::sleep(TICK);
        }
        let cancel = Cancel::default();
        let (sender, receiver) = channel();
        let (jobs, own) = (predictions.clone(), plan.clone());
        let cancel_trials = cancel.clone();
        let trials = move || try_all(&own, &jobs, &cancel_trials, &sender);
        self.under_way = Some(std::thread::spawn(trials));
        let mut begun = None;
        while !over() {
            match receiver.recv_timeout(TICK) {
                Ok(News::Begins(place)) => begun = Some((place, Instant::now())),
                Ok(News::Ended(place, cost)) => {
                    predictions[place].cost = cost;
                    begun = None;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return predictions,
            }
        }
        cancel.set();
        if let Some((place, since)) = begun {
            let job = &plan.jobs[predictions[place].job];
            predictions[place].at_least = since.elapsed().as_secs_f64() * times_a_trial(plan, job);
        }
        predictions
    }

    /// Whether no trial is under way.
    fn have_ended(&mut self) -> bool {
        self.under_way.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// Tries every setting, telling of each.
fn try_all(plan: &Plan, jobs: &[Prediction], cancel: &Cancel, news: &Sender<News>) {
    let threads = if plan.side_by_side() { 1 } else { plan.threads };
    threads::with(threads, || {
        let build = || plan.build(plan.device);
        let Ok(((problems, _), _)) = cancel.attempt(|_| {}, build) else {
            return;
        };
        for (place, prediction) in jobs.iter().enumerate() {
            let job = &plan.jobs[prediction.job];
            let _ = news.send(News::Begins(place));
            let run = || trial(job, &problems[job.problem]);
            let cost = cancel.attempt(|_| {}, run).ok().map(|(cost, _)| cost);
            // Who no longer listens has cancelled the rest.
            if news.send(News::Ended(place, cost)).is_err() || cancel.is_set() {
                break;
            }
        }
    });
}

/// One prediction, still to be made, for every setting of `portions`, with those counted.
fn settings(plan: &Plan, portions: &[Portion]) -> Vec<Prediction> {
    let mut found: Vec<(_, Prediction)> = Vec::new();
    for portion in portions {
        let (index, job) = (portion.job, &plan.jobs[portion.job]);
        let runs = runs_of_a_job(plan);
        let share = runs as f64 * plan.share(portion);
        let setting = (&job.setting, job.problem, job.v_batch, &job.budget);
        match found.iter_mut().find(|(other, _)| *other == setting) {
            Some((_, prediction)) => {
                prediction.runs += runs;
                prediction.share += share;
            }
            None => {
                let prediction = Prediction {
                    job: index,
                    runs,
                    share,
                    cost: None,
                    at_least: 0.0,
                };
                found.push((setting, prediction));
            }
        }
    }
    found
        .into_iter()
        .map(|(_, prediction)| prediction)
        .collect()
}

/// The V_batch of a trial.
fn v_batch(job: &Job) -> u64 {
    // What "auto" will find is not known; a small batch is the safe side.
    match job.v_batch {
        Some(VBatch::Fixed(v_batch)) => v_batch,
        Some(VBatch::Auto) | None => 10,
    }
}

/// So many batches a trial takes.
const BATCHES: f64 = 4.0;

/// How many times as long as its trial a job takes at least.
fn times_a_trial(plan: &Plan, job: &Job) -> f64 {
    match (job.task.is_exact(), &plan.setup) {
        // Runs over four samples in all.
        (true, Setup::Network(setup)) => {
            let selection = setup.dataset.selection;
            selection.samples(setup.dataset.len()) as f64 / 4.0
        }
        _ => (job.budget.most().unwrap_or(0) / v_batch(job)) as f64 / BATCHES,
    }
}

fn trial(job: &Job, problem: &Problem) -> Cost {
    release_freed_buffers();
    match (job.task.is_exact(), problem) {
        (true, Problem::Network(network)) => exact_trial(job, problem, network),
        _ => sampled_trial(job, problem),
    }
}

/// An exact trace that is predicted to take longer is not tried as a whole, in seconds.
const SHORT: f64 = 0.5;

/// A part of a run that takes less says little about the rest, in seconds.
const TELLING: f64 = 0.05;

/// The exact trace of some samples, of twice as many and, if that of all is short, of all: every sample has
/// as many columns of its own.
fn exact_trial(job: &Job, problem: &Problem, network: &NetworkProblem) -> Cost {
    let run = |problem: &Problem| {
        release_freed_buffers();
        let clock = Instant::now();
        let work = || estimates(job, problem, &Start::Philox(0), &job.budget, 1);
        let (_, growth) = growth_of(problem.device(), work);
        Cost {
            products: 0,
            seconds: clock.elapsed().as_secs_f64(),
            memory: growth.unwrap_or(0),
        }
    };
    let part = |count| run(&Problem::Network(network.first_samples(count)));
    part(1); // the first use of a kernel costs extra
    let (mut count, mut one, mut two) = (1, part(1), part(2));
    let batch = network.first_samples(i64::MAX).samples() as i64;
    while two.seconds < TELLING && 4 * count <= batch {
        count *= 2;
        (one, two) = (two, part(2 * count));
    }
    let others = network.samples() as f64 / count as f64 - 1.0;
    let seconds = extrapolated(one.seconds, two.seconds, others);
    if seconds <= SHORT {
        return run(problem);
    }
    // Columns come in chunks, of which a step holds what it reads and what it writes.
    let bound = 2 * chunk_memory(problem.device(), None);
    let more = two.memory.saturating_sub(one.memory) * others as u64;
    Cost {
        seconds,
        memory: one.memory + more.min(bound),
        ..one
    }
}

fn sampled_trial(job: &Job, problem: &Problem) -> Cost {
    let v_batch = v_batch(job);
    let run = |budget: &Budget| {
        let clock = Instant::now();
        let work = || estimates(job, problem, &Start::Philox(0), budget, v_batch);
        let (estimates, growth) = growth_of(problem.device(), work);
        // Growth does not see memory that was used and freed before.
        let probes = budget.most().map_or(0, |most| most.min(v_batch));
        let memory = growth.unwrap_or(0).max(probes * problem.bytes_per_probe());
        let products = estimates.last().map_or(0, |estimate| estimate.products);
        (clock.elapsed().as_secs_f64(), products as f64, memory)
    };
    let most = job.budget.most();
    let Some(most) = most.filter(|&most| most > 2 * v_batch) else {
        let (_, _, memory) = run(&job.budget); // the first use of a kernel costs extra
        let (seconds, products, _) = run(&job.budget);
        return Cost {
            products: products as u64,
            seconds,
            memory,
        };
    };
    let first = |counts: u64| Budget::First {
        counts: vec![counts],
        of: job.budget.least().max(counts),
    };
    // The first use of a kernel costs extra, and of memory that the others use again.
    let (_, _, memory) = run(&first(v_batch));
    let mut probes = v_batch;
    let (mut one, mut two) = (run(&first(probes)), run(&first(2 * probes)));
    while two.0 < TELLING && 4 * probes <= most {
        probes *= 2;
        (one, two) = (two, run(&first(2 * probes)));
    }
    let others = (most - probes) as f64 / probes as f64;
    Cost {
        products: extrapolated(one.1, two.1, others).round() as u64,
        seconds: extrapolated(one.0, two.0, others),
        memory: memory.max(one.2).max(two.2),
    }
}

/// What `batches` more than one cost, where one costs `one` and two cost `two`; a batch is here as many probes
/// as the trial took at once.
///
/// On a busy machine two may take less time than one. A batch is then taken to cost a twentieth of
/// what two did: a run of weeks must not pass for one of seconds.
fn extrapolated(one: f64, two: f64, batches: f64) -> f64 {
    one + batches * (two - one).max(two / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_weeks_is_long_however_noisy_its_trial() {
        let batches = 1e10;
        assert_eq!(extrapolated(0.25, 0.5, 4.0), 1.25);
        for (one, two) in [(1e-3, 2e-3), (1e-3, 1e-3), (0.2, 1e-3)] {
            assert!(extrapolated(one, two, batches) > 3600.0, "{one}, {two}");
        }
    }
}
