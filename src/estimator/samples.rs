//! Samples of a mean, drawn chunk by chunk, and the estimates that they give on the way.

use super::batch_sum::Term;
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
        length(&self.rows)
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
        trace(&self.rows, count)
    }

    fn estimate(&self, count: u64, seconds: f64) -> Estimate {
        estimate(&self.rows, count, seconds)
    }
}

fn length(rows: &[Vec<f64>]) -> u64 {
    rows.first().map_or(0, |row| row.len() as u64)
}

/// The whole of the first `count` samples, one by one.
fn totals(rows: &[Vec<f64>], count: u64) -> impl Iterator<Item = f64> + Clone {
    (0..count as usize).map(move |k| rows.iter().map(|row| row[k]).sum())
}

/// The mean of the first `count` samples.
fn trace(rows: &[Vec<f64>], count: u64) -> Moments {
    Moments::of(totals(rows, count))
}

/// The estimate from the first `count` samples.
fn estimate(rows: &[Vec<f64>], count: u64, seconds: f64) -> Estimate {
    if count == length(rows) {
        note_if_dominated(totals(rows, count));
    }
    let row = |row: &Vec<f64>| Moments::of(row[..count as usize].iter().copied());
    Estimate {
        v: Some(count),
        parameters: rows.iter().map(row).collect(),
        ..Estimate::new(Quantity::Trace, trace(rows, count), count, seconds)
    }
}

/// The estimates from the first samples of a sequence, for each of `counts` of them.
pub(super) fn estimates(samples: &Term, counts: &[u64]) -> Vec<Estimate> {
    let at = counts.iter().zip(&samples.seconds);
    at.map(|(&count, &seconds)| estimate(&samples.rows, count, seconds))
        .collect()
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
            let largest = counts.last().copied().unwrap_or(0);
            let look = |samples: &[Vec<f64>]| {
                let done = length(samples);
                tell(done, largest, || trace(samples, done));
            };
            estimates(&term(clock, counts, cores, draw, look), counts)
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

/// As many samples of one sequence as the largest of `counts` (rising) says, and the times to each
/// of them; of a chunk that a count splits, its share of the time counts. `look` sees the samples
/// after every chunk.
pub(super) fn term(
    clock: Instant,
    counts: &[u64],
    cores: Cores,
    draw: impl Fn(u64, u64) -> Tensor + Sync,
    look: impl Fn(&[Vec<f64>]),
) -> Term {
    let largest = counts.last().copied().unwrap_or(0);
    let mut samples = Samples::default();
    let (mut before, mut after) = (0.0, clock.elapsed().as_secs_f64());
    let mut chunk = 0;
    let until = |&count: &u64| {
        while samples.len() < count {
            chunk = largest.min(cores.end(samples.len(), count)) - samples.len();
            samples.append(&cores.draw(samples.len(), chunk, &draw));
            look(&samples.rows);
            (before, after) = (after, clock.elapsed().as_secs_f64());
        }
        let unused = (samples.len() - count) as f64 / chunk as f64;
        after - unused * (after - before)
    };
    let seconds = counts.iter().map(until).collect();
    Term {
        rows: samples.rows,
        seconds,
    }
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
