//! What a run will cost, from a short trial of every setting.

use super::caught::{Cancel, TICK};
use super::threads;
use super::todo::runs_of_a_job;
use super::trial::{Cost, times_a_trial, trial, v_batch};
use crate::plan::{Plan, Portion};
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
