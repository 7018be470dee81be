//! Estimates that follow from a sum over batches of data, whose parts can be computed apart.
//!
//! With the losses of batches that add up, so do the Hessians, and with these everything that is
//! linear in them: diagonals, traces, quadratic forms with given probes. Such a sum is taken in one
//! order, whoever computes its parts: batches are dealt to [`pieces`], runs of consecutive batches
//! whose number depends on that of the batches alone; a piece adds up its batches from the first
//! on, and the whole its pieces. So a result does not depend on how its pieces were spread over
//! machines, not even by rounding.

use super::progress::{Cancellation, tell};
use super::{Budget, Estimate, Moments, Start};
use crate::problem::{NetworkProblem, Problem};
use std::ops::Range;
use std::time::Instant;

/// What some batches contribute to the estimates of a task: numbers that add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Term {
    /// A row per parameter, or a single one for all; in it a number per probe, or a single one for
    /// an estimator without probes.
    pub rows: Vec<Vec<f64>>,
    /// Wall time for each number of probes that is asked for, as if it alone were; a single time
    /// without probes.
    pub seconds: Vec<f64>,
}

/// A task that is a sum over batches of data.
pub trait BatchSum {
    /// The terms of the batches with these numbers, in their order. A batch's term is the same,
    /// bit for bit, whichever others are asked for with it.
    fn terms(&self, problem: &NetworkProblem, batches: &[usize], work: &Sampled<'_>) -> Vec<Term>;

    /// The estimates for each of `counts` probes (rising; empty for an estimator without probes)
    /// from the sum over all batches.
    fn estimates(&self, sum: &Term, counts: &[u64]) -> Vec<Estimate>;
}

/// How the numbers of a term are sampled.
#[derive(Clone, Copy, Debug)]
pub struct Sampled<'a> {
    /// Where the random numbers begin.
    pub start: &'a Start,
    /// The numbers of probes; no tolerance, since nobody sees the whole on the way.
    pub budget: &'a Budget,
    /// Probes at once.
    pub v_batch: u64,
}

/// More pieces would be of no use to a scheduler, and their sums would fill journals.
const MOST: usize = 256;

/// The batches of every piece, of `batches` in all: at most 256 pieces, equally long but for the last.
pub fn pieces(batches: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    let size = batches.div_ceil(MOST).max(1);
    (0..batches.div_ceil(size)).map(move |piece| piece * size..batches.min((piece + 1) * size))
}

impl Term {
    /// The sum of `terms`, added from the first on.
    pub fn sum(terms: impl IntoIterator<Item = Self>) -> Self {
        let sum = terms.into_iter().reduce(|mut sum, term| {
            sum.add(&term);
            sum
        });
        sum.unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        let own = self.rows.iter_mut().chain([&mut self.seconds]);
        for (own, other) in own.zip(other.rows.iter().chain([&other.seconds])) {
            own.iter_mut().zip(other).for_each(|(a, b)| *a += b);
        }
    }

    /// The whole from the rows, `factor` times: what it would be if other batches were alike.
    fn scaled(&self, factor: f64) -> Moments {
        let columns = self.rows.first().map_or(0, Vec::len);
        let total = |k: usize| factor * self.rows.iter().map(|row| row[k]).sum::<f64>();
        Moments::of((0..columns).map(total))
    }
}

/// Computes the pieces `wanted` (rising) of a sum; each is given to `done` with its number.
///
/// On a CPU the batches of as many pieces as have work for all threads are asked for at once. Looks
/// up between them whether the work is cancelled.
pub fn compute(
    sum: &dyn BatchSum,
    problem: &NetworkProblem,
    wanted: &[usize],
    work: &Sampled<'_>,
    mut done: impl FnMut(usize, Term),
) {
    let all: Vec<Range<usize>> = pieces(problem.batches.len()).collect();
    let threads = tch::get_num_threads().max(1) as usize;
    let at_once = threads.div_ceil(all[0].len());
    let (mut so_far, mut batches_so_far): (Option<Term>, usize) = (None, 0);
    for wave in wanted.chunks(at_once) {
        Cancellation::of_this_thread().check();
        let batches: Vec<usize> = wave.iter().flat_map(|&piece| all[piece].clone()).collect();
        let clock = Instant::now();
        let mut terms = sum.terms(problem, &batches, work);
        share(clock.elapsed().as_secs_f64(), &mut terms);
        let mut terms = terms.into_iter();
        for &piece in wave {
            let term = Term::sum(terms.by_ref().take(all[piece].len()));
            so_far = Some(Term::sum(so_far.into_iter().chain([term.clone()])));
            done(piece, term);
        }
        batches_so_far += batches.len();
        let pieces = wanted.iter().map(|&piece| all[piece].len());
        let most = pieces.sum::<usize>() as u64;
        let seen = batches_so_far as f64 / problem.batches.len() as f64;
        tell(batches_so_far as u64, most, || {
            so_far.clone().unwrap_or_default().scaled(1.0 / seen)
        });
    }
}

/// Lets the times of terms that were found side by side add up to `wall`.
fn share(wall: f64, terms: &mut [Term]) {
    let whole = terms.iter().filter_map(|term| term.seconds.last());
    let factor = wall / whole.sum::<f64>();
    if factor.is_finite() {
        let seconds = terms.iter_mut().flat_map(|term| &mut term.seconds);
        seconds.for_each(|seconds| *seconds *= factor);
    }
}

/// The estimates from all batches; `None` where there is a single one, or no `sum` to be taken.
pub(super) fn run(
    sum: Option<&dyn BatchSum>,
    problem: &Problem,
    start: &Start,
    budget: &Budget,
    v_batch: u64,
) -> Option<Vec<Estimate>> {
    let network = match problem {
        Problem::Network(network) if network.batches.len() > 1 => network,
        _ => return None,
    };
    let sum = sum?;
    let work = Sampled {
        start,
        budget,
        v_batch,
    };
    let wanted: Vec<usize> = (0..pieces(network.batches.len()).len()).collect();
    let mut terms = Vec::with_capacity(wanted.len());
    compute(sum, network, &wanted, &work, |_, term| terms.push(term));
    Some(sum.estimates(&Term::sum(terms), budget.counts()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every batch is in one piece, and pieces do not depend on who computes them.
    #[test]
    fn batches_are_dealt_to_pieces() {
        for batches in [1, 2, 235, 256, 257, 1000, 5005] {
            let all: Vec<_> = pieces(batches).collect();
            let dealt: Vec<usize> = all.iter().cloned().flatten().collect();
            assert_eq!(dealt, (0..batches).collect::<Vec<_>>());
            assert!(all.len() <= MOST && all.iter().all(|piece| !piece.is_empty()));
        }
        assert_eq!(pieces(235).len(), 235);
    }

    #[test]
    fn times_side_by_side_add_up_to_the_wall() {
        let term = |seconds: &[f64]| Term {
            seconds: seconds.to_vec(),
            ..Term::default()
        };
        let mut terms = [term(&[1.0, 2.0]), term(&[1.0, 6.0])];
        share(4.0, &mut terms);
        assert_eq!(Term::sum(terms).seconds, [1.0, 4.0]);
    }
}
