//! `V_batch = "auto"`: the fastest number of probes at once that a memory budget allows.

use crate::memory::growth_of;
use std::time::Instant;

/// A larger V_batch has to be this much faster per probe to be worth its memory.
const WORTHWHILE: f64 = 1.03;

/// Tries 1, 2, 4, ... probes at once, at most `most`, and returns the fastest per probe.
///
/// `trial(k)` does the work of k probes at once. A size is not tried if the one before, doubled,
/// would need more than `budget` bytes, and no further one after two that were not faster. Where the
/// system tells no memory (or the work is on a GPU), `bytes_per_probe` stands in for it.
pub(super) fn v_batch(
    budget: u64,
    most: u64,
    bytes_per_probe: u64,
    on_gpu: bool,
    trial: impl Fn(u64),
) -> u64 {
    trial(1); // the first use of a kernel costs extra
    let (mut best, mut best_rate, mut slower) = (1, 0.0, 0);
    let sizes = std::iter::successors(Some(1u64), |k| k.checked_mul(2));
    for k in sizes.take_while(|&k| k <= most) {
        let (seconds, growth) = growth_of(|| fastest_of_two(|| trial(k)));
        let bytes = match growth {
            Some(growth) if !on_gpu => growth.max(k * bytes_per_probe),
            _ => k * bytes_per_probe,
        };
        if k > 1 && bytes > budget {
            break;
        }
        let rate = k as f64 / seconds;
        if rate > WORTHWHILE * best_rate {
            (best, best_rate, slower) = (k, rate, 0);
        } else {
            slower += 1;
        }
        if slower == 2 || 2 * bytes > budget {
            break;
        }
    }
    best
}

fn fastest_of_two(work: impl Fn()) -> f64 {
    let time = || {
        let clock = Instant::now();
        work();
        clock.elapsed().as_secs_f64()
    };
    time().min(time())
}

#[cfg(test)]
mod tests {
    use super::v_batch;
    use std::cell::RefCell;
    use std::time::Duration;

    fn tried(budget: u64, most: u64) -> Vec<u64> {
        let tried = RefCell::new(Vec::new());
        // A fixed cost per call: more at once is always faster.
        let best = v_batch(budget, most, 1 << 20, true, |k| {
            tried.borrow_mut().push(k);
            std::thread::sleep(Duration::from_millis(2));
        });
        let tried = tried.into_inner();
        assert_eq!(tried.iter().max(), Some(&best));
        tried
    }

    #[test]
    fn memory_bounds_the_trials() {
        assert_eq!(tried(9 << 20, 1000).last(), Some(&8));
    }

    #[test]
    fn no_more_than_the_probes_there_are() {
        assert_eq!(tried(1 << 40, 6).last(), Some(&4));
    }

    #[test]
    fn a_budget_below_one_probe_still_tries_one() {
        assert_eq!(tried(1, 1000).last(), Some(&1));
    }
}
