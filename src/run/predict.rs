//! What a run will cost, from a short trial of every setting.

use super::caught::caught;
use super::job::estimates;
use crate::estimator::{Budget, Start};
use crate::lists::VBatch;
use crate::memory::growth_of;
use crate::plan::{Job, Plan};
use crate::problem::Problem;
use crate::spec::ExperimentKind;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What the jobs of one setting will cost.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// One of its jobs, by index in the plan.
    pub job: usize,
    /// How many there are, counting repetitions.
    pub runs: u64,
    /// What one run costs; `None` where the trial did not end in time, or failed.
    pub cost: Option<Cost>,
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

/// Predicts the jobs of a plan setting by setting, until `limit` is over.
///
/// A trial uses one batch of probes and then two; what more of them cost follows from the
/// difference. The threads of a trial that takes longer go on in the background.
pub fn predict(plan: &Arc<Plan>, limit: Duration) -> Vec<Prediction> {
    let mut predictions = settings(plan);
    let (sender, receiver) = channel();
    let (plan, jobs) = (plan.clone(), predictions.clone());
    std::thread::spawn(move || {
        let threads = if plan.side_by_side() { 1 } else { plan.threads };
        tch::set_num_threads(threads as i32);
        let (problems, _) = plan.setup.build(plan.device, plan.dtype);
        for (place, prediction) in jobs.iter().enumerate() {
            let job = &plan.jobs[prediction.job];
            let cost = caught(|| trial(job, &problems[job.problem])).ok();
            if sender.send((place, cost)).is_err() {
                break;
            }
        }
    });
    let end = Instant::now() + limit;
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok((place, cost)) => predictions[place].cost = cost,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return predictions,
        }
    }
}

/// One prediction, still to be made, for every setting, with its jobs counted.
fn settings(plan: &Plan) -> Vec<Prediction> {
    let timing = plan.spec.timing;
    let repeats = match plan.spec.kind {
        ExperimentKind::Timing => timing.warmup + timing.repeats,
        ExperimentKind::Convergence => 1,
    };
    let mut found: Vec<(_, Prediction)> = Vec::new();
    for (index, job) in plan.jobs.iter().enumerate() {
        let setting = (&job.setting, job.v_batch, &job.budget);
        match found.iter_mut().find(|(other, _)| *other == setting) {
            Some((_, prediction)) => prediction.runs += repeats,
            None => {
                let prediction = Prediction {
                    job: index,
                    runs: repeats,
                    cost: None,
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

fn trial(job: &Job, problem: &Problem) -> Cost {
    // What "auto" will find is not known; a small batch is the safe side.
    let v_batch = match job.v_batch {
        Some(VBatch::Fixed(v_batch)) => v_batch,
        Some(VBatch::Auto) | None => 10,
    };
    let run = |budget: &Budget| {
        let clock = Instant::now();
        let work = || estimates(job, problem, &Start::Philox(0), budget, v_batch);
        let (estimates, growth) = growth_of(work);
        // Growth does not see memory that was used and freed before.
        let probes = budget.most().map_or(0, |most| most.min(v_batch));
        let memory = growth.unwrap_or(0).max(probes * problem.bytes_per_probe());
        let products = estimates.last().map_or(0, |estimate| estimate.products);
        (clock.elapsed().as_secs_f64(), products as f64, memory)
    };
    let most = job.budget.most();
    let Some(most) = most.filter(|&most| most > 2 * v_batch) else {
        run(&job.budget); // the first use of a kernel costs extra
        let (seconds, products, memory) = run(&job.budget);
        return Cost {
            products: products as u64,
            seconds,
            memory,
        };
    };
    run(&[v_batch].into());
    let (one, two) = (run(&[v_batch].into()), run(&[2 * v_batch].into()));
    let batches = (most - v_batch) as f64 / v_batch as f64;
    let beyond = |one: f64, two: f64| one + batches * (two - one).max(0.0);
    Cost {
        products: beyond(one.1, two.1).round() as u64,
        seconds: beyond(one.0, two.0),
        memory: one.2.max(two.2),
    }
}
