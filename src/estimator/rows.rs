//! Vectors over all parameters as rows of one matrix, for estimators that need inner products.

use super::progress::Cancellation;
use super::stream::{PhiloxStream, Space};
use super::{Budget, Estimate, Probe, Stop, Stopping};
use crate::curvature::Operator;
use std::ops::Range;
use tch::Tensor;

/// Probes `first..first + count`: one `[count, *shape]` per parameter.
pub(super) fn draw(
    stream: &PhiloxStream,
    operator: &Operator<'_>,
    probe: Probe,
    first: u64,
    count: u64,
) -> Vec<Tensor> {
    let shapes = operator.shapes().iter().enumerate();
    let wanted = shapes.map(|(index, shape)| (Space::Parameter(index), shape.as_slice()));
    stream.draw_each(probe, &wanted.collect::<Vec<_>>(), first, count)
}

/// How many numbers parameters of these shapes hold together.
pub(super) fn size(shapes: &[Vec<i64>]) -> i64 {
    shapes
        .iter()
        .map(|shape| shape.iter().product::<i64>())
        .sum()
}

/// One `[K, *shape]` per parameter as rows `[K, n]`.
pub(super) fn join(v: &[Tensor]) -> Tensor {
    let rows: Vec<Tensor> = v.iter().map(|v| v.reshape([v.size()[0], -1])).collect();
    Tensor::cat(&rows, 1)
}

/// Rows `[K, n]` as one `[K, *shape]` per parameter.
pub(super) fn split(rows: &Tensor, shapes: &[Vec<i64>]) -> Vec<Tensor> {
    let numel: Vec<i64> = shapes.iter().map(|shape| shape.iter().product()).collect();
    let parts = rows.split_with_sizes(&numel, 1);
    let shaped =
        |(part, shape): (&Tensor, &Vec<i64>)| part.reshape([&[-1], shape.as_slice()].concat());
    parts.iter().zip(shapes).map(shaped).collect()
}

/// A times every row of `[K, n]`.
pub(super) fn times(operator: &Operator<'_>, rows: &Tensor) -> Tensor {
    join(&operator.multiply(&split(rows, operator.shapes())))
}

/// Probes `range` in chunks `(first, count)` of at most `v_batch`, as long as nobody cancels them.
pub(super) fn chunks(range: Range<u64>, v_batch: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = range.end;
    let cancellation = Cancellation::of_this_thread();
    range.step_by(v_batch as usize).map(move |first| {
        cancellation.check();
        (first, v_batch.min(end - first))
    })
}

/// The estimates that `read(state, count)` makes after as many probes as `budget` asks for,
/// `draw(state, first, count)` having added them in chunks of at most `v_batch`. To a tolerance, all
/// of them have to be precise enough.
pub(super) fn spend<S>(
    budget: &Budget,
    v_batch: u64,
    state: &mut S,
    mut draw: impl FnMut(&mut S, u64, u64),
    read: impl Fn(&S, u64) -> Vec<Estimate>,
) -> Vec<Estimate> {
    let mut drawn = 0;
    let mut at = |state: &mut S, count: u64| {
        chunks(drawn..count, v_batch).for_each(|(first, chunk)| draw(state, first, chunk));
        drawn = count;
        read(state, count)
    };
    match budget {
        Budget::Counts(counts) | Budget::First { counts, .. } => {
            counts.iter().flat_map(|&v| at(state, v)).collect()
        }
        Budget::Tolerance(tolerance) => {
            let mut stopping: Vec<Stopping> = Vec::new();
            for checkpoint in tolerance.checkpoints() {
                let estimates = at(state, checkpoint);
                stopping.resize_with(estimates.len(), || Stopping::new(*tolerance));
                let looks = stopping.iter_mut().zip(&estimates);
                let met = looks.fold(true, |met, (s, e)| s.met(&e.value) && met);
                let stop = match met {
                    true => Stop::Tolerance,
                    false if checkpoint == tolerance.max_v => Stop::MaxV,
                    false => continue,
                };
                return stopped(estimates, stop);
            }
            unreachable!("the last checkpoint is max_V")
        }
    }
}

/// The estimates of a run to a tolerance, whose V is a result.
fn stopped(estimates: Vec<Estimate>, stop: Stop) -> Vec<Estimate> {
    let mark = |estimate| Estimate {
        v: None,
        stop: Some(stop),
        ..estimate
    };
    estimates.into_iter().map(mark).collect()
}
