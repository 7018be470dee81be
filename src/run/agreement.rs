//! Two passes over data in several batches must see the same loss; two batches show whether they do.

use crate::problem::{NetworkProblem, Problem};
use anyhow::{Result, ensure};
use tch::Kind;

/// Compares the loss of two passes over the first batches of every problem: where it is left to chance,
/// so is the matrix, and products with it do not belong together.
///
/// Chance shows in any batch, and what one batch changes for another in two of them: more would be work
/// that every machine does again which has a part of the data.
///
/// # Errors
/// Losses that differ by more than rounding.
pub(super) fn check(problems: &[Problem]) -> Result<()> {
    for problem in problems {
        match problem {
            Problem::Network(problem) if problem.batches.len() > 1 => compare(problem)?,
            _ => {}
        }
    }
    Ok(())
}

fn compare(problem: &NetworkProblem) -> Result<()> {
    let loss = |part: NetworkProblem| part.loss_at(&part.parameters).double_value(&[]);
    let pass = || problem.each_batch().take(2).map(loss).sum::<f64>();
    let (first, second) = tch::no_grad(|| (pass(), pass()));
    let rounding = match problem.kind() {
        Kind::Double => 1e-10,
        _ => 1e-4,
    };
    let differ = (first - second).abs() > rounding * first.abs().max(second.abs());
    ensure!(
        !differ,
        "two passes over the data give the losses {first} and {second}: the trace of the whole is not defined"
    );
    Ok(())
}
