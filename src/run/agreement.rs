//! Two passes over data in several batches must see the same loss.

use crate::problem::{Problem, Subject};
use anyhow::{Result, ensure};
use tch::Kind;

/// Compares the loss of two passes over the batches of every subject: where it is left to chance,
/// so is the matrix, and products with it do not belong together.
///
/// # Errors
/// Losses that differ by more than rounding.
pub(super) fn check(subjects: &[Subject]) -> Result<()> {
    for subject in subjects {
        match subject {
            Subject::Network(problem) if problem.batches.len() > 1 => compare(problem)?,
            _ => {}
        }
    }
    Ok(())
}

fn compare(problem: &Problem) -> Result<()> {
    let loss = |part: Problem| part.loss_at(&part.parameters).double_value(&[]);
    let pass = || problem.each_batch().map(loss).sum::<f64>();
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
