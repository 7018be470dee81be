//! Samples of a mean, drawn chunk by chunk, and the estimates that they give on the way.

use super::cores::Cores;
use super::dominance::note_if_dominated;
use super::progress::tell;
use super::{Budget, Estimate, Moments, Quantity, Stop, Stopping, Tolerance, TorchStream};
use std::time::Instant;
use tch::Tensor;

/// Sampled terms in rows that add up to the whole: one per parameter, or a single one.
#[derive(Clone, Default)]
struct Samples {
    rows: Vec<Vec<f64>>,
}

impl Samples {
    fn len(&self) -> u64 {
        self.rows.first().map_or(0, |row| row.len() as u64)
    }

    /// Appends `[rows, K]` in float64; copying it to the CPU waits for the device.
    fn append(&mut self, terms: &Tensor) {
        let rows: Vec<Vec<f64>> = terms.try_into().expect("a float64 matrix");
        self.rows.resize_with(rows.len(), Vec::new);
        for (all, row) in self.rows.iter_mut().zip(rows) {
            all.extend(row);
        }
    }

    /// The mean of the first `count` samples.
    fn trace(&self, count: u64) -> Moments {
        let total = |k: usize| self.rows.iter().map(|row| row[k]).sum();
        Moments::of((0..count as usize).map(total))
    }

    /// The estimate from the first `count` samples.
    fn estimate(&self, count: u64, seconds: f64) -> Estimate {
        if count == self.len() {
            note_if_dominated(
                (0..count as usize).map(|k| self.rows.iter().map(|row| row[k]).sum()),
            );
        }
        let row = |row: &Vec<f64>| Moments::of(row[..count as usize].iter().copied());
        Estimate {
            v: Some(count),
            parameters: self.rows.iter().map(row).collect(),
            ..Estimate::new(Quantity::Trace, self.trace(count), count, seconds)
        }
    }
}

/// What `budget` asks for from one sequence of samples: `draw(first, count)` gives samples
/// `first..first + count` as `[rows, count]`.
///
/// `clock` is when the set-up began, which counts for every estimate.
pub(super) fn sample(
    clock: Instant,
    budget: &Budget,
    cores: Cores,
    draw: impl Fn(u64, u64) -> Tensor + Sync,
) -> Vec<Estimate> {
    match budget {
        Budget::Counts(counts) | Budget::First { counts, .. } => {
            prefixes(clock, counts, cores, draw)
        }
        Budget::Tolerance(tolerance) => vec![until(clock, *tolerance, cores, draw)],
    }
}

/// The estimate from the first checkpoint at which it is precise enough.
fn until(
    clock: Instant,
    tolerance: Tolerance,
    cores: Cores,
    draw: impl Fn(u64, u64) -> Tensor + Sync,
) -> Estimate {
    let mut samples = Samples::default();
    let mut stopping = Stopping::new(tolerance);
    for checkpoint in tolerance.checkpoints() {
        while samples.len() < checkpoint {
            let end = cores.end(samples.len(), checkpoint).min(checkpoint);
            let chunk = end - samples.len();
            samples.append(&cores.draw(samples.len(), chunk, &draw));
            tell(samples.len(), tolerance.max_v, || {
                samples.trace(samples.len())
            });
        }
        let seconds = clock.elapsed().as_secs_f64();
        let estimate = samples.estimate(checkpoint, seconds);
        let stop = match stopping.met(&estimate.value) {
            true => Stop::Tolerance,
            false if checkpoint == tolerance.max_v => Stop::MaxV,
            false => continue,
        };
        return Estimate {
            v: None,
            stop: Some(stop),
            ..estimate
        };
    }
    unreachable!("the last checkpoint is max_V")
}

/// Estimates from the first `count` samples for each of `counts` (rising), all of them from one
/// sequence; of a chunk that a count splits, its share of the time counts.
fn prefixes(
    clock: Instant,
    counts: &[u64],
    cores: Cores,
    draw: impl Fn(u64, u64) -> Tensor + Sync,
) -> Vec<Estimate> {
    let largest = counts.last().copied().unwrap_or(0);
    let mut samples = Samples::default();
    let (mut before, mut after) = (0.0, clock.elapsed().as_secs_f64());
    let mut chunk = 0;
    counts
        .iter()
        .map(|&count| {
            while samples.len() < count {
                chunk = largest.min(cores.end(samples.len(), count)) - samples.len();
                samples.append(&cores.draw(samples.len(), chunk, &draw));
                tell(samples.len(), largest, || samples.trace(samples.len()));
                (before, after) = (after, clock.elapsed().as_secs_f64());
            }
            let unused = (samples.len() - count) as f64 / chunk as f64;
            samples.estimate(count, after - unused * (after - before))
        })
        .collect()
}

/// Estimates for each of `counts` (rising), each as if its probes alone had been drawn from
/// `stream`, whose probes depend on the chunk that they are drawn in.
///
/// Full chunks are shared: only a last, partial chunk is new work for a smaller count.
pub(super) fn chunks(
    clock: Instant,
    counts: &[u64],
    v_batch: u64,
    mut stream: TorchStream,
    quadratic: impl Fn(&[Tensor]) -> Tensor,
) -> Vec<Estimate> {
    let timed = |stream: &mut TorchStream, count: u64, samples: &mut Samples| {
        let start = Instant::now();
        samples.append(&quadratic(&stream.next(count)));
        start.elapsed().as_secs_f64()
    };
    let largest = counts.last().copied().unwrap_or(0);
    let mut samples = Samples::default();
    let mut shared = clock.elapsed().as_secs_f64();
    counts
        .iter()
        .map(|&count| {
            while samples.len() + v_batch <= count {
                shared += timed(&mut stream, v_batch, &mut samples);
                tell(samples.len(), largest, || samples.trace(samples.len()));
            }
            let rest = count - samples.len();
            if rest == 0 {
                return samples.estimate(count, shared);
            }
            let mut extended = samples.clone();
            let seconds = timed(&mut stream.clone(), rest, &mut extended);
            extended.estimate(count, shared + seconds)
        })
        .collect()
}
