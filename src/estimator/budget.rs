//! How much an estimator may spend: given numbers of products, or until a tolerance is met.

use super::Moments;
use crate::error::UserError;

/// What is asked of an estimator.
#[derive(Clone, Debug, PartialEq)]
pub enum Budget {
    /// One estimate for each of these numbers of products (probes, passes), rising; empty for an
    /// estimator that needs none.
    Counts(Vec<u64>),
    /// Some of more, for a trial: `counts` are to be done, but what serves all of them is set up as for
    /// `of`.
    First {
        /// The numbers of a trial.
        counts: Vec<u64>,
        /// Those of the work itself.
        of: u64,
    },
    /// One estimate that goes on until it is precise enough.
    Tolerance(Tolerance),
}

impl Budget {
    /// Whether it is known beforehand how far to go.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Tolerance(_))
    }

    /// The numbers; none of a tolerance.
    pub fn counts(&self) -> &[u64] {
        match self {
            Self::Counts(counts) | Self::First { counts, .. } => counts,
            Self::Tolerance(_) => &[],
        }
    }

    /// The most that may be spent; `None` without probes.
    pub fn most(&self) -> Option<u64> {
        match self {
            Self::Counts(counts) => counts.last().copied(),
            Self::First { of, .. } => Some(*of),
            Self::Tolerance(tolerance) => Some(tolerance.max_v),
        }
    }

    /// What will be spent at least, which set-up is worth; 0 without probes.
    pub fn least(&self) -> u64 {
        match self {
            Self::Counts(counts) => counts.last().copied().unwrap_or(0),
            Self::First { of, .. } => *of,
            Self::Tolerance(tolerance) => tolerance.checkpoints().next().unwrap_or(0),
        }
    }

    /// How many estimates that gives.
    pub fn estimates(&self) -> usize {
        self.counts().len().max(1)
    }
}

impl<const N: usize> From<[u64; N]> for Budget {
    fn from(counts: [u64; N]) -> Self {
        Self::Counts(counts.into())
    }
}

/// `rtol`, `atol`, `confidence`, `max_V` of `[sampling]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative to the absolute value of the trace.
    pub rtol: f64,
    /// Absolute.
    pub atol: f64,
    /// The share of runs that are to be within `max(atol, rtol |trace|)`.
    pub confidence: f64,
    /// The most products that may be spent.
    pub max_v: u64,
}

impl Tolerance {
    /// Checks `rtol` and `atol`, given one of them, and the rest.
    ///
    /// # Errors
    /// The key that makes no sense.
    pub fn new(
        rtol: Option<f64>,
        atol: Option<f64>,
        confidence: f64,
        max_v: u64,
    ) -> Result<Self, UserError> {
        for (key, value) in [("rtol", rtol), ("atol", atol)] {
            if let Some(value) = value.filter(|value| !(0.0..f64::INFINITY).contains(value)) {
                return Err(UserError::new(
                    key,
                    format!("found {value:?}, expected a number of 0 or more"),
                    format!("write for example {key} = 0.01"),
                ));
            }
        }
        let (rtol, atol) = (rtol.unwrap_or(0.0), atol.unwrap_or(0.0));
        if rtol == 0.0 && atol == 0.0 {
            return Err(UserError::new(
                "rtol",
                "found a tolerance of 0, which sampling never meets",
                "write for example rtol = 0.01, or V = [1000] instead",
            ));
        }
        if max_v == 0 {
            return Err(UserError::new(
                "max_V",
                "found 0, expected at least 1",
                "write for example max_V = 100000",
            ));
        }
        Ok(Self {
            rtol,
            atol,
            confidence,
            max_v,
        })
    }

    /// Numbers of samples after which the tolerance is tested: 8, then half as many again and
    /// again, at last `max_V`.
    pub fn checkpoints(&self) -> impl Iterator<Item = u64> + use<> {
        let last = self.max_v;
        let next = move |&count: &u64| (count < last).then(|| (count + count / 2).min(last));
        std::iter::successors(Some(8.min(last)), next)
    }

    /// How many samples it will take in all, as far as the `estimate` of the `done` first ones tells:
    /// an interval falls with the root of its samples. `None` where there is no interval yet.
    pub fn foresee(&self, done: u64, estimate: &Moments) -> Option<u64> {
        let half = estimate.half_width(self.confidence)?;
        let needed = done as f64 * (half / self.reach(estimate)).powi(2);
        Some((needed as u64).clamp(done, self.max_v.max(done)))
    }

    /// The half width within which an interval is precise enough.
    fn reach(&self, estimate: &Moments) -> f64 {
        let relative = self.rtol / (1.0 + self.rtol) * estimate.mean.abs();
        self.atol.max(relative)
    }
}

/// Why an estimate to a tolerance went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The confidence interval is within the tolerance.
    Tolerance,
    /// `max_V` is spent; the tolerance is not met.
    MaxV,
    /// The matrix is known exactly, up to rounding.
    Exact,
}

impl Stop {
    /// Its name in the records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tolerance => "tolerance",
            Self::MaxV => "max_V",
            Self::Exact => "exact",
        }
    }
}

/// Decides at every checkpoint whether the tolerance is met.
///
/// An interval of half-width h about the estimate x is precise enough where
/// `h ≤ max(atol, rtol/(1+rtol) |x|)`: then every value μ in it has `|x − μ| ≤ max(atol, rtol |μ|)`,
/// whatever the signs, and near zero only `atol` counts. Looking repeatedly gives chance several
/// occasions, so that the k-th look at which a single test would stop is made at the confidence
/// `1 − (1 − confidence)/2^k`: the chances of these add up to less than `1 − confidence`. (Looks at
/// which even the single test fails cannot end a run and need no part of it. For one look only and
/// ever smaller tolerances: Chow and Robbins, Ann. Math. Stat. 36:2, 1965.)
#[derive(Clone, Debug)]
pub struct Stopping {
    tolerance: Tolerance,
    tests: i32,
}

impl Stopping {
    /// Before the first look.
    pub fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            tests: 0,
        }
    }

    /// Whether `estimate` is precise enough.
    pub fn met(&mut self, estimate: &Moments) -> bool {
        let confidence = self.tolerance.confidence;
        let reach = self.tolerance.reach(estimate);
        let within = |confidence| {
            let half = estimate.half_width(confidence);
            half.is_some_and(|half| half <= reach)
        };
        if !within(confidence) {
            return false;
        }
        self.tests += 1;
        within(1.0 - (1.0 - confidence) / 2f64.powi(self.tests))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerance(max_v: u64) -> Tolerance {
        Tolerance::new(Some(0.1), Some(0.5), 0.95, max_v).unwrap()
    }

    #[test]
    fn a_trial_does_part_of_what_it_is_set_up_for() {
        let (counts, of) = (vec![4], 1000);
        let trial = Budget::First { counts, of };
        assert_eq!(trial.counts(), [4]);
        assert_eq!((trial.least(), trial.most()), (1000, Some(1000)));
    }

    #[test]
    fn checkpoints_are_geometric_and_end_at_the_most() {
        let all = |max_v| tolerance(max_v).checkpoints().collect::<Vec<_>>();
        assert_eq!(all(50), [8, 12, 18, 27, 40, 50]);
        assert_eq!(all(8), [8]);
        assert_eq!(all(3), [3]);
        assert_eq!(all(12), [8, 12]);
    }

    /// A hundredth of the samples has an interval ten times as long.
    #[test]
    fn what_is_left_follows_from_the_interval_so_far() {
        let samples: Vec<f64> = (0..1000)
            .map(|i| if i % 2 == 0 { 0.0 } else { 20.0 })
            .collect();
        let moments = Moments::of(samples.iter().copied());
        let tolerance = Tolerance::new(None, Some(0.0619), 0.95, 1_000_000).unwrap();
        let foreseen = tolerance.foresee(1000, &moments).unwrap() as f64;
        assert!((foreseen / 1e5 - 1.0).abs() < 0.01, "{foreseen}");
        let known = Moments::exact(3.0);
        assert_eq!(tolerance.foresee(10, &known), None);
    }

    #[test]
    fn every_value_of_a_met_interval_is_within_the_tolerance() {
        let met = |mean: f64, std_error: f64| {
            let samples = [mean - 3.0 * std_error, mean, mean + 3.0 * std_error];
            let moments = Moments::of(samples.iter().copied());
            let half = moments.half_width(0.975).unwrap();
            let met = Stopping::new(tolerance(100)).met(&moments);
            let far = (mean - half).abs().min((mean + half).abs());
            assert_eq!(met, half <= (0.1 * far).max(0.5), "{mean}, {std_error}");
            met
        };
        assert!(met(100.0, 0.2) && met(-100.0, 0.2) && met(0.0, 0.03));
        assert!(!met(100.0, 3.0) && !met(-100.0, 3.0) && !met(0.01, 1.0));
    }
}
