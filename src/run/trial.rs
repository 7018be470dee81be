//! A short part of a run, and what the whole will cost by it.

use super::estimates::estimates;
use crate::curvature::chunk_memory;
use crate::estimator::{Budget, Start};
use crate::lists::VBatch;
use crate::memory::{growth_of, release_freed_buffers};
use crate::plan::{Job, Plan, Setup};
use crate::problem::{NetworkProblem, Problem};
use std::time::Instant;

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

/// The V_batch of a trial.
pub(super) fn v_batch(job: &Job) -> u64 {
    // What "auto" will find is not known; a small batch is the safe side.
    match job.v_batch {
        Some(VBatch::Fixed(v_batch)) => v_batch,
        Some(VBatch::Auto) | None => 10,
    }
}

/// So many batches a trial takes.
const BATCHES: f64 = 4.0;

/// How many times as long as its trial a job takes at least.
pub(super) fn times_a_trial(plan: &Plan, job: &Job) -> f64 {
    match (job.task.is_exact(), &plan.setup) {
        // Runs over four samples in all.
        (true, Setup::Network(setup)) => {
            let selection = setup.dataset.selection;
            selection.samples(setup.dataset.len()) as f64 / 4.0
        }
        _ => (job.budget.most().unwrap_or(0) / v_batch(job)) as f64 / BATCHES,
    }
}

/// What a run of `job` will cost, from a short part of it.
pub(super) fn trial(job: &Job, problem: &Problem) -> Cost {
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
