//! What passes and products of a network cost, in gradients.

use super::estimates::{estimate, task};
use curvature_runner::problem::NetworkProblem;
use std::time::Instant;
use tch::Tensor;

/// Draws of one run.
const DRAWS: u64 = 40;
/// Draws at once.
const V_BATCH: u64 = 4;
/// Rounds, in which all take turns; the medians count.
const ROUNDS: usize = 5;
const WAYS: [(&str, &str); 3] = [
    ("pass of propagation", "kind = 'propagation'"),
    (
        "form by forward",
        "kind = 'hutchinson'\nblocks = 'full'\nproduct = 'forward'",
    ),
    (
        "product by hmp",
        "kind = 'hutchinson'\nblocks = 'full'\nproduct = 'hmp'",
    ),
];

/// Prints a table: a gradient is one forward and one backward pass of libtorch's autograd over the batch,
/// in this process; the others are a draw of several at once, set-up and drawing included.
pub fn print(problem: &NetworkProblem) {
    let tasks = WAYS.map(|(_, spec)| task(spec));
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); 1 + WAYS.len()];
    // The first use of a kernel costs extra.
    for round in 0..=ROUNDS {
        let gradients = seconds(&|| (0..DRAWS).for_each(|_| gradient(problem)));
        let drawn = tasks
            .iter()
            .map(|task| seconds(&|| _ = estimate(task.as_ref(), problem, DRAWS, V_BATCH)));
        let all = [gradients].into_iter().chain(drawn);
        for (times, seconds) in rounds.iter_mut().zip(all).filter(|_| round > 0) {
            times.push(1e3 * seconds / DRAWS as f64);
        }
    }
    let medians: Vec<f64> = rounds.into_iter().map(median).collect();
    println!("\n| | milliseconds | gradients |\n|---|---|---|");
    println!("| gradient | {:.1} | 1 |", medians[0]);
    for ((name, _), ms) in WAYS.iter().zip(&medians[1..]) {
        println!("| {name} | {ms:.1} | {:.2} |", ms / medians[0]);
    }
}

fn gradient(problem: &NetworkProblem) {
    let parameters = problem.leaves();
    let loss = problem.loss_at(&parameters);
    drop(Tensor::run_backward(&[loss], &parameters, false, false));
}

fn seconds(work: &dyn Fn()) -> f64 {
    let clock = Instant::now();
    work();
    clock.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
