//! Two results folders against each other, setting by setting.
//!
//! A difference counts where it is larger than the threshold and larger than what chance makes of
//! the spread that was measured: noise is not called a regression.

use super::groups::{distinct_runs, grouped};
use super::mean::Mean;
use super::statistics::{f_tail, median, rank_test};
use crate::estimator::Identity;
use crate::output::store::Record;

/// Chance of calling two equal distributions different, per setting and test.
const ALARM: f64 = 0.01;
/// Runs on each side below which a rank test cannot reach [`ALARM`].
const FEWEST: usize = 5;

/// What the settings of two results have become.
#[derive(Debug)]
pub struct Comparison {
    /// Settings that both have, in the order of the first.
    pub both: Vec<Compared>,
    /// Names of those that only the first has.
    pub missing: Vec<String>,
    /// Names of those that only the second has.
    pub added: Vec<String>,
}

/// One setting in both results; pairs are of the first and the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// "hutchinson hmp parameter, V 1000, V_batch 10".
    pub name: String,
    /// Means over runs.
    pub estimates: (f64, f64),
    /// Whether the means, or the exact values, contradict each other: a difference of more than four
    /// standard errors, or of more than rounding where nothing is random.
    pub contradict: bool,
    /// What became of the error.
    pub precision: Precision,
    /// Median seconds of one estimate.
    pub seconds: (f64, f64),
    /// What became of them.
    pub speed: Speed,
}

/// The error of single estimates, second against first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Larger.
    Worse,
    /// Smaller.
    Better,
    /// Neither, as far as the numbers tell.
    Same,
    /// There is no error, or not told.
    Unknown,
}

/// Times, second against first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Longer.
    Slower,
    /// Shorter.
    Faster,
    /// Neither, as far as the spread tells.
    Same,
    /// Fewer than five runs on a side: the spread is not known.
    Unknown,
}

impl Compared {
    /// Whether the second is worse than the first.
    pub fn regressed(&self) -> bool {
        self.contradict || self.precision == Precision::Worse || self.speed == Speed::Slower
    }
}

impl Comparison {
    /// How many settings of the first are worse in the second, or missing there.
    pub fn regressions(&self) -> usize {
        self.missing.len()
            + self
                .both
                .iter()
                .filter(|compared| compared.regressed())
                .count()
    }
}

/// Compares `second` with `first`; `threshold` is the part by which a time or an error must grow.
///
/// Times are compared by their medians and Mann and Whitney's rank test, errors by the standard
/// errors that the runs report (or else their spread around the exact value) and the F-test.
pub fn compare(first: &[Record], second: &[Record], threshold: f64) -> Comparison {
    let groups = |rows| grouped(rows, |row: &&Record| row.identity().over_runs());
    let (first, second) = (groups(first), groups(second));
    let find = |setting: &Identity| second.iter().find(|(other, _)| other == setting);
    let has = |groups: &[(Identity, Vec<&Record>)], setting: &Identity| {
        groups.iter().any(|(other, _)| other == setting)
    };
    let lacking = |from: &[(Identity, _)], there: &[(Identity, Vec<&Record>)]| {
        let lacking = from.iter().filter(|(setting, _)| !has(there, setting));
        lacking
            .map(|(setting, _): &(Identity, Vec<&Record>)| setting.name())
            .collect()
    };
    let both = first
        .iter()
        .filter_map(|(setting, rows)| Some(compared(setting, rows, &find(setting)?.1, threshold)));
    Comparison {
        both: both.collect(),
        missing: lacking(&first, &second),
        added: lacking(&second, &first),
    }
}

fn compared(setting: &Identity, a: &[&Record], b: &[&Record], threshold: f64) -> Compared {
    let mean = |rows: &[&Record]| Mean::of(rows.iter().copied(), 0.95);
    let (of_a, of_b) = (mean(a), mean(b));
    let seconds = |rows: &[&Record]| -> Vec<f64> { rows.iter().map(|row| row.seconds).collect() };
    Compared {
        name: setting.name(),
        estimates: (of_a.value, of_b.value),
        contradict: contradict(a, b, &of_a, &of_b),
        precision: precision(a, b, threshold),
        seconds: (median(seconds(a)), median(seconds(b))),
        speed: speed(&seconds(a), &seconds(b), threshold),
    }
}

fn contradict(a: &[&Record], b: &[&Record], of_a: &Mean, of_b: &Mean) -> bool {
    let rounding = match [a, b].iter().all(|rows| rows[0].dtype == "float64") {
        true => 1e-10,
        false => 1e-5,
    };
    let apart = |x: f64, y: f64| (x - y).abs() > rounding * x.abs().max(y.abs());
    let exact = matches!((a[0].exact, b[0].exact), (Some(x), Some(y)) if apart(x, y));
    let found = match (of_a.half, of_b.half) {
        _ if of_a.value.is_nan() || of_b.value.is_nan() => {
            of_b.value.is_nan() && !of_a.value.is_nan()
        }
        // Half a 95 % interval is two standard errors.
        (Some(x), Some(y)) if x > 0.0 || y > 0.0 => {
            (of_a.value - of_b.value).abs() > 2.0 * x.hypot(y)
        }
        // One value without an error can be anything, unless it comes without chance.
        _ => a[0].v.is_none() && apart(of_a.value, of_b.value),
    };
    exact || found
}

fn precision(a: &[&Record], b: &[&Record], threshold: f64) -> Precision {
    let (Some((of_a, free_a)), Some((of_b, free_b))) = (error(a), error(b)) else {
        return Precision::Unknown;
    };
    let allowed = (1.0 + threshold).powi(2);
    let grown =
        |x: f64, free_x, y: f64, free_y| y > x * allowed && f_tail(y / x, free_y, free_x) < ALARM;
    match () {
        () if grown(of_a, free_a, of_b, free_b) => Precision::Worse,
        () if grown(of_b, free_b, of_a, free_a) => Precision::Better,
        () => Precision::Same,
    }
}

/// The mean square error of a single estimate, and its degrees of freedom.
fn error(rows: &[&Record]) -> Option<(f64, u64)> {
    let runs = distinct_runs(rows.iter().copied());
    let count = runs.len() as f64;
    let stated: Option<f64> = runs.iter().map(|row| row.std_error.map(|s| s * s)).sum();
    if let (Some(squares), Some(v)) = (stated, runs[0].v.filter(|&v| v > 1)) {
        return Some((squares / count, (v - 1) * runs.len() as u64));
    }
    let off = |row: &&Record| Some((row.estimate - row.exact?).powi(2));
    let squares: f64 = runs.iter().map(off).sum::<Option<f64>>()?;
    (runs[0].v.is_some() && runs.len() >= FEWEST).then_some((squares / count, runs.len() as u64))
}

fn speed(a: &[f64], b: &[f64], threshold: f64) -> Speed {
    if a.len().min(b.len()) < FEWEST {
        return Speed::Unknown;
    }
    let grown = |x: &[f64], y: &[f64]| {
        median(y.to_vec()) > (1.0 + threshold) * median(x.to_vec()) && rank_test(x, y) < ALARM
    };
    match () {
        () if grown(a, b) => Speed::Slower,
        () if grown(b, a) => Speed::Faster,
        () => Speed::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::row;
    use super::*;

    /// Runs with these seconds, and standard errors of `std_error`.
    fn runs(seconds: [f64; 6], std_error: f64) -> Vec<Record> {
        let run = |(seed, seconds): (u64, f64)| Record {
            seconds,
            std_error: Some(std_error),
            ..row(100, seed, 12.4 + 0.01 * seed as f64)
        };
        (0..).zip(seconds).map(run).collect()
    }

    fn one(first: &[Record], second: &[Record]) -> Compared {
        let comparison = compare(first, second, 0.1);
        assert!(comparison.missing.is_empty() && comparison.added.is_empty());
        comparison.both[0].clone()
    }

    #[test]
    fn noise_is_no_regression_and_a_slowdown_is() {
        let quiet = runs([1.0, 1.01, 1.02, 0.99, 0.98, 1.0], 0.3);
        let noisy = runs([1.5, 0.9, 1.02, 1.3, 1.2, 1.0], 0.3);
        let slow = runs([1.2, 1.21, 1.22, 1.19, 1.18, 1.2], 0.3);
        let slightly = runs([1.05, 1.06, 1.07, 1.04, 1.05, 1.05], 0.3);
        assert_eq!(one(&quiet, &quiet).speed, Speed::Same);
        assert_eq!(
            one(&quiet, &noisy).speed,
            Speed::Same,
            "median 1.11, but one in four is faster"
        );
        assert_eq!(one(&quiet, &slow).speed, Speed::Slower);
        assert_eq!(one(&slow, &quiet).speed, Speed::Faster);
        assert_eq!(
            one(&quiet, &slightly).speed,
            Speed::Same,
            "within the threshold"
        );
        assert_eq!(one(&quiet[..4], &slow).speed, Speed::Unknown);
        assert!(one(&quiet, &slow).regressed() && !one(&slow, &quiet).regressed());
    }

    #[test]
    fn errors_and_values_are_compared() {
        let seconds = [1.0; 6];
        let (good, bad) = (runs(seconds, 0.3), runs(seconds, 0.4));
        assert_eq!(one(&good, &bad).precision, Precision::Worse);
        assert_eq!(one(&bad, &good).precision, Precision::Better);
        assert_eq!(one(&good, &runs(seconds, 0.31)).precision, Precision::Same);
        let shifted = |by: f64| -> Vec<Record> {
            let shift = |row: &Record| Record {
                estimate: row.estimate + by,
                ..row.clone()
            };
            good.iter().map(shift).collect()
        };
        assert!(!one(&good, &shifted(0.3)).contradict);
        assert!(one(&good, &shifted(0.9)).contradict);
        assert!(one(&good, &shifted(f64::NAN)).contradict);
        let exact = |estimate| Record {
            v: None,
            exact: Some(estimate),
            ..row(1, 0, estimate)
        };
        assert!(!one(&[exact(12.455)], &[exact(12.455001)]).contradict);
        assert!(one(&[exact(12.455)], &[exact(12.456)]).contradict);
    }

    #[test]
    fn what_is_missing_is_named() {
        let rows = [row(10, 0, 1.0), row(20, 0, 1.0)];
        let comparison = compare(&rows, &rows[..1], 0.1);
        assert_eq!(
            comparison.missing,
            ["hutchinson hmp parameter, V 20, V_batch 10"]
        );
        assert_eq!((comparison.added.len(), comparison.regressions()), (0, 1));
        assert_eq!(compare(&rows[..1], &rows, 0.1).regressions(), 0);
    }
}
