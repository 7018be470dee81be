//! `V_batch = "auto"`: the fastest number of probes at once that a memory budget allows.

/// A larger V_batch has to be this much faster to be worth its memory, a smaller one may be this
/// much slower: less is noise.
const WORTHWHILE: f64 = 1.07;

/// Of the time that the probes will take, the share that may be spent on finding their V_batch.
const SHARE: f64 = 0.05;

/// Seconds that may be spent on one size.
const EACH: f64 = 1.0;

/// How many sizes are tried at most, one twice the other.
const SIZES: usize = 12;

/// How often two sizes are timed in turn at most.
const ROUNDS: f64 = 5.0;

/// With fewer probes to come a trial would not pay.
const FEW: u64 = 200;

/// The V_batch of work too small for a trial, and the first one that is tried.
const USUAL: u64 = 8;

/// A V_batch that suits most networks: on small ones less is slower, on large ones more is no faster.
const COMMON: u64 = 32;

/// Probes of so many bytes together are spread over all cores: a trial is to do likewise.
const SPREAD: u64 = super::cores::WORTH_WAKING;

/// The work for which a V_batch is sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Probes of the largest job.
    pub(crate) most: u64,
    /// Probes of all jobs together, as often as each is multiplied.
    pub(crate) total: u64,
    /// Bytes that may be used.
    pub(crate) memory: u64,
    /// What one probe fills at least, in bytes.
    pub(crate) bytes_per_probe: u64,
}

/// What trying a size has cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// How long it took.
    pub(crate) seconds: f64,
    /// By how many bytes memory grew; `None` where the system does not tell.
    pub(crate) growth: Option<u64>,
}

/// The V_batch for `work`, and how many seconds it took to find; `trial(v, k)` multiplies v probes,
/// k at once, and gives `None` where that fails.
///
/// Sizes are powers of two. From a usual one on, each is timed in turn with the best so far, on the
/// same probes, and taken if its fastest time is clearly less; after two that are not, smaller ones
/// are tried if none was better. No size is tried that would need more than the memory, going by the
/// one before, or that would exceed [`SHARE`] of what the work will take or [`EACH`], going by the
/// fastest so far.
pub(crate) fn v_batch(work: &Work, trial: &mut dyn FnMut(u64, u64) -> Option<Trial>) -> (u64, f64) {
    let mut search = Search {
        work,
        trial,
        spent: 0.0,
        rate: f64::INFINITY,
    };
    let usual = power_of_two(USUAL.min(work.most).min(work.memory / work.bytes_per_probe));
    let size = match work.total < FEW {
        true => usual,
        false => search.from(usual).unwrap_or(1),
    };
    (size, search.spent)
}

/// A V_batch that follows from memory and the size of a probe alone, and so is the same on every
/// machine: no trial would be.
pub(crate) fn without_trial(work: &Work) -> u64 {
    power_of_two(COMMON.min(work.memory / work.bytes_per_probe))
}

/// The largest that is not above `limit`, at least 1.
fn power_of_two(limit: u64) -> u64 {
    1 << limit.max(1).ilog2()
}

struct Search<'a> {
    work: &'a Work,
    trial: &'a mut dyn FnMut(u64, u64) -> Option<Trial>,
    /// Seconds so far.
    spent: f64,
    /// Seconds a probe, at the best size so far.
    rate: f64,
}

impl Search<'_> {
    /// The best size, `usual` being tried first; `None` where not even one probe can be multiplied.
    fn from(&mut self, usual: u64) -> Option<u64> {
        // The first use of a kernel costs extra, and how much a probe takes is not known yet.
        let (seconds, bytes) = self.time(1, 1)?;
        let affordable = (EACH / 4.0 / seconds) as u64;
        let fitting = self.work.memory / bytes.max(1);
        let first = power_of_two(usual.min(affordable).min(fitting));
        self.rate = seconds;
        if 3.0 * seconds > self.left() {
            return Some(first);
        }
        let probes = self.probes(first);
        let Some((seconds, bytes)) = self.time(probes, first) else {
            return Some(1);
        };
        self.rate = seconds / probes as f64;
        match self.larger(first, bytes) {
            best if best == first => Some(self.smaller(first)),
            best => Some(best),
        }
    }

    /// The best of `first`, which grows the process by `bytes`, and what is larger.
    fn larger(&mut self, first: u64, mut bytes: u64) -> u64 {
        let (mut best, mut slower) = (first, 0);
        let sizes = std::iter::successors(Some(2 * first), |k| k.checked_mul(2));
        for k in sizes.take(SIZES).take_while(|&k| k <= self.work.most) {
            if bytes.saturating_mul(2) > self.work.memory || slower == 2 {
                break;
            }
            let Some(pair) = self.pair(best, k) else {
                break;
            };
            bytes = pair.bytes;
            if bytes > self.work.memory {
                break;
            }
            if pair.best > WORTHWHILE * pair.other {
                (best, slower) = (k, 0);
                self.rate = pair.other / pair.probes as f64;
            } else {
                slower += 1;
            }
        }
        best
    }

    /// The smallest size below `first` down to which none is clearly slower.
    fn smaller(&mut self, first: u64) -> u64 {
        let mut best = first;
        while best > 1 {
            match self.pair(first, best / 2) {
                Some(pair) if pair.other <= WORTHWHILE * pair.best => best /= 2,
                _ => break,
            }
        }
        best
    }

    /// Times the sizes `best` and `k` in turn, on the same probes; `None` where that would take too
    /// long, or fails.
    fn pair(&mut self, best: u64, k: u64) -> Option<Pair> {
        let probes = self.probes(k);
        let expected = self.rate * probes as f64;
        if 3.0 * expected > self.left() {
            return None;
        }
        let begun = self.spent;
        let (seconds, bytes) = self.time(probes, k)?;
        let left = self.left().min(EACH - (self.spent - begun));
        let rounds = (left / (expected + seconds)).clamp(1.0, ROUNDS) as usize;
        let mut pair = Pair {
            probes,
            bytes,
            best: f64::INFINITY,
            other: f64::INFINITY,
        };
        for _ in 0..rounds {
            pair.best = pair.best.min(self.time(probes, best)?.0);
            pair.other = pair.other.min(self.time(probes, k)?.0);
        }
        Some(pair)
    }

    /// Seconds that may still be spent, on one size.
    fn left(&self) -> f64 {
        (SHARE * self.work.total as f64 * self.rate - self.spent).min(EACH)
    }

    /// How many probes are multiplied where k are at once: enough that work is spread as it will be,
    /// unless that takes too long.
    fn probes(&self, k: u64) -> u64 {
        let enough = SPREAD.div_ceil(self.work.bytes_per_probe);
        let affordable = (EACH / 8.0 / self.rate) as u64;
        k.max(enough.min(affordable).min(self.work.most))
    }

    /// Seconds and bytes of v probes, k at once.
    fn time(&mut self, v: u64, k: u64) -> Option<(f64, u64)> {
        let trial = (self.trial)(v, k)?;
        self.spent += trial.seconds;
        let least = k.saturating_mul(self.work.bytes_per_probe);
        Some((trial.seconds, trial.growth.unwrap_or(0).max(least)))
    }
}

/// The fastest of several times of two sizes.
struct Pair {
    probes: u64,
    /// Of the size that was not yet tried.
    bytes: u64,
    best: f64,
    other: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: Work = Work {
        most: 1000,
        total: 1_000_000,
        memory: 1 << 40,
        bytes_per_probe: 1 << 20,
    };

    /// What is found where v probes, k at once, take `seconds(v, k)`, and all (v, k) that were tried.
    fn found(work: &Work, seconds: impl Fn(u64, u64) -> f64) -> (u64, f64, Vec<(u64, u64)>) {
        let mut tried = Vec::new();
        let (size, spent) = v_batch(work, &mut |v, k| {
            tried.push((v, k));
            let seconds = seconds(v, k);
            Some(Trial {
                seconds,
                growth: None,
            })
        });
        (size, spent, tried)
    }

    /// A fixed cost per chunk: more at once is faster, up to where it no longer tells.
    fn chunked(v: u64, k: u64) -> f64 {
        1e-4 * v.div_ceil(k) as f64 + 1e-5 * v as f64
    }

    #[test]
    fn the_smallest_of_the_sizes_that_do_not_differ_is_taken() {
        // 256 at once would save less than 4 %.
        assert_eq!(found(&WORK, chunked).0, 128);
        assert_eq!(found(&WORK, |v, _| 1e-5 * v as f64).0, 1);
        // More at once is slower, as where caches overflow.
        assert_eq!(found(&WORK, |v, k| 1e-5 * (v * k) as f64).0, 1);
        assert_eq!(found(&WORK, |v, k| 1e-5 * v as f64 / k as f64).0, 512);
    }

    #[test]
    fn noise_within_the_margin_changes_nothing() {
        for seed in 0..50 {
            let calls = std::cell::Cell::new(seed);
            let noisy = |v, k| {
                calls.set(calls.get() + 1);
                // Every time is up to 4 % longer than it would be.
                chunked(v, k) * (1.0 + 0.04 * (calls.get() * 7 % 10) as f64 / 10.0)
            };
            let size = found(&WORK, noisy).0;
            assert!([64, 128, 256].contains(&size), "{size}");
        }
    }

    #[test]
    fn memory_and_the_probes_there_are_bound_the_sizes() {
        let fast = |v: u64, k: u64| 1e-5 * v as f64 / k as f64;
        for (memory, most, expected) in [(9 << 20, 1000, 8), (1 << 40, 6, 4), (1, 1000, 1)] {
            let work = Work {
                memory,
                most,
                ..WORK
            };
            let (size, _, tried) = found(&work, fast);
            assert_eq!(size, expected);
            assert!(tried.iter().all(|&(_, k)| k <= expected), "{tried:?}");
        }
    }

    /// No trial is begun that would take more than its share, whatever a probe costs.
    #[test]
    fn trials_take_their_share_of_the_work_and_no_more() {
        for each in [1e-6, 1e-4, 1e-2, 0.1, 1.0, 100.0] {
            for total in [200, 1000, 100_000, 100_000_000] {
                let work = Work { total, ..WORK };
                let cost = |v: u64, k: u64| each * (1.0 + v as f64 / k as f64);
                let (_, spent, tried) = found(&work, cost);
                let least = each * 2.0;
                let bound = (0.05 * cost(total, 1)).min(SIZES as f64 * EACH);
                assert!(
                    spent <= bound + 6.0 * least + EACH,
                    "{each} {total}: {spent}"
                );
                assert!(tried.len() <= 3 + 11 * SIZES, "{} trials", tried.len());
            }
        }
    }

    #[test]
    fn little_work_has_no_trial_and_failing_ones_end_it() {
        let work = Work { total: 50, ..WORK };
        let (size, _, tried) = found(&work, chunked);
        assert_eq!((size, tried.len()), (USUAL, 0));
        let mut failing = |v, k| {
            let growth = None;
            (k <= 16).then(|| Trial {
                seconds: chunked(v, k),
                growth,
            })
        };
        assert_eq!(v_batch(&WORK, &mut failing).0, 16);
        assert_eq!(v_batch(&WORK, &mut |_, _| None).0, 1);
    }
}
