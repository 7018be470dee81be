//! What passes and products of a network cost, in gradients.

use super::estimates::{estimate, task};
use curvature_runner::estimator::Task;
use curvature_runner::problem::NetworkProblem;
use std::time::Instant;
use tch::Tensor;

/// Draws that are timed, beyond those of a run of `FEW`, which pays for the set-up.
const DRAWS: u64 = 40;
/// Draws at once, and all of a run whose time is set-up but for them.
const FEW: u64 = 4;
/// Rounds, in which all take turns; the medians count, also of what each takes beside the gradient of its round.
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
/// in this process; the others are a draw of several at once, drawing included. What a run needs once, before its first
/// draw, is a column of its own.
pub fn print(problem: &NetworkProblem) {
    let tasks = WAYS.map(|(_, spec)| task(spec));
    let mut gradients = Vec::new();
    let mut ways: [Vec<Cost>; WAYS.len()] = Default::default();
    // The first use of a kernel costs extra.
    for round in 0..=ROUNDS {
        let one = seconds(&|| (0..DRAWS).for_each(|_| gradient(problem))) / DRAWS as f64;
        let costs = tasks
            .each_ref()
            .map(|task| Cost::of(task.as_ref(), problem, one));
        if round > 0 {
            gradients.push(one);
            ways.iter_mut()
                .zip(costs)
                .for_each(|(all, cost)| all.push(cost));
        }
    }
    println!("\n| | milliseconds | gradients | set-up, gradients |\n|---|---|---|---|");
    println!("| gradient | {:.1} | 1 | |", 1e3 * median(gradients));
    for ((name, _), costs) in WAYS.iter().zip(&ways) {
        let of = |part: fn(&Cost) -> f64| median(costs.iter().map(part).collect());
        let (ms, draw, setup) = (1e3 * of(|c| c.seconds), of(|c| c.draw), of(|c| c.setup));
        println!("| {name} | {ms:.1} | {draw:.2} | {setup:.1} |");
    }
}

/// What a way takes in one round.
struct Cost {
    /// A draw.
    seconds: f64,
    /// A draw, in gradients.
    draw: f64,
    /// What comes before the first draw, in gradients.
    setup: f64,
}

impl Cost {
    fn of(task: &dyn Task, problem: &NetworkProblem, gradient: f64) -> Self {
        let run = |draws| seconds(&|| _ = estimate(task, problem, draws, FEW));
        let (few, many) = (run(FEW), run(FEW + DRAWS));
        let seconds = (many - few) / DRAWS as f64;
        Self {
            seconds,
            draw: seconds / gradient,
            setup: (few - FEW as f64 * seconds) / gradient,
        }
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
