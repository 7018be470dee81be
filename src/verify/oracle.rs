//! Second derivatives by libtorch's autograd alone, entry by entry.

use crate::problem::NetworkProblem;
use tch::{Kind, Tensor};

/// Entries that are differentiated in all; a second or so each thousand on a small network.
const MOST: usize = 2000;
/// On a large network as many as differentiate so many numbers, one backward pass per entry.
const WORK: usize = 200_000_000;
/// But some in any case.
const LEAST: usize = 20;

/// The sum of `∂²ℓ/∂w_i²` over each parameter tensor, smallest tensors first as far as [`MOST`]
/// entries go, or fewer on a large network; `None` for the others. Uses no layer rule; one backward pass per entry.
pub(super) fn traces(problem: &NetworkProblem) -> Vec<Option<f64>> {
    let leaves = problem.leaves();
    let loss = problem.loss_at(&leaves);
    let gradient = Tensor::run_backward(&[loss], &leaves, true, true);
    let mut order: Vec<usize> = (0..leaves.len()).collect();
    order.sort_by_key(|&index| leaves[index].numel());
    let mut traces = vec![None; leaves.len()];
    let all: usize = leaves.iter().map(Tensor::numel).sum();
    let mut left = (WORK / all.max(1)).clamp(LEAST, MOST);
    for index in order {
        let entries = leaves[index].numel();
        if entries > left {
            break;
        }
        left -= entries;
        traces[index] = Some(trace(&gradient[index], &leaves[index]));
    }
    traces
}

fn trace(gradient: &Tensor, leaf: &Tensor) -> f64 {
    let flat = gradient.reshape(-1);
    let second = |i: i64| {
        let entry = flat.get(i);
        if !entry.requires_grad() {
            return 0.0;
        }
        let [row] = Tensor::run_backward(&[entry], &[leaf], true, false)
            .try_into()
            .expect("one parameter, one gradient");
        match row.defined() {
            true => row
                .reshape(-1)
                .get(i)
                .to_kind(Kind::Double)
                .double_value(&[]),
            false => 0.0,
        }
    };
    (0..leaf.numel() as i64).map(second).sum()
}
