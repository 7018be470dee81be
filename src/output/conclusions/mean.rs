//! The mean of independent runs, with the interval that they promise together.

use super::groups::{Estimated, distinct_runs};
use super::statistics::t_quantile;
use crate::estimator::{Interval, student_cdf};
use crate::output::store::{ParameterRecord, Record};

/// An estimate with what its row states of its error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::output) struct Run {
    pub estimate: f64,
    pub std_error: Option<f64>,
    /// Probes that the standard error is from, where V tells.
    pub v: Option<u64>,
    /// Half the length of the stated confidence interval.
    pub half: Option<f64>,
    /// What a leave-one-out interval is longer by than Student's of the same degrees of freedom.
    pub inflation: f64,
}

impl From<&Record> for Run {
    fn from(row: &Record) -> Self {
        Self {
            estimate: row.estimate,
            std_error: row.std_error,
            v: row.v,
            half: half(row.ci_low, row.ci_high),
            inflation: Interval::inflation_of(row.interval.as_deref()),
        }
    }
}

impl From<&ParameterRecord> for Run {
    fn from(row: &ParameterRecord) -> Self {
        Self {
            estimate: row.estimate,
            std_error: row.std_error,
            v: row.v,
            half: half(row.ci_low, row.ci_high),
            inflation: 1.0,
        }
    }
}

fn half(low: Option<f64>, high: Option<f64>) -> Option<f64> {
    Some((high? - low?) / 2.0)
}

/// The mean of independent runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::output) struct Mean {
    pub value: f64,
    /// Half the length of the confidence interval around it; `None` where nothing tells of an error.
    pub half: Option<f64>,
    /// Independent runs that it is over.
    pub runs: usize,
}

impl Mean {
    /// The mean over the independent runs among `rows`, with its interval at `confidence`, which must
    /// be that of the intervals that the rows state.
    ///
    /// The interval is Student's, from the standard errors of all runs pooled, `√(Σ s_i²)/R`, with
    /// the degrees of freedom of all, read off the intervals that the rows state; so a single run
    /// keeps its own interval. Where a row states none, it is from the spread over runs.
    pub fn of<'a, R: Estimated + 'a>(rows: impl IntoIterator<Item = &'a R>, confidence: f64) -> Self
    where
        Run: From<&'a R>,
    {
        let runs: Vec<Run> = distinct_runs(rows).into_iter().map(Run::from).collect();
        Self::of_runs(&runs, confidence)
    }

    fn of_runs(runs: &[Run], confidence: f64) -> Self {
        let count = runs.len() as f64;
        let value = runs.iter().map(|run| run.estimate).sum::<f64>() / count;
        Self {
            value,
            half: stated(runs, confidence).or_else(|| spread(runs, value, confidence)),
            runs: runs.len(),
        }
    }
}

/// Half the pooled interval of runs that all state theirs.
fn stated(runs: &[Run], confidence: f64) -> Option<f64> {
    let (mut squares, mut freedom, mut inflation) = (0.0, 0, 1.0f64);
    for run in runs {
        let std_error = run.std_error?;
        squares += std_error * std_error;
        freedom += match run.half {
            Some(half) => degrees_of_freedom(half / std_error / run.inflation, confidence),
            // A table of an earlier version, in which intervals had no columns.
            None => run.v?.checked_sub(1).filter(|&freedom| freedom > 0)?,
        };
        inflation = inflation.max(run.inflation);
    }
    let std_error = squares.sqrt() / runs.len() as f64;
    Some(inflation * t_quantile(0.5 + confidence / 2.0, freedom) * std_error)
}

/// The degrees of freedom with which Student's interval is so many standard errors to each side.
fn degrees_of_freedom(factor: f64, confidence: f64) -> u64 {
    // Rounding of the ends of an interval must not cost a degree.
    let factor = factor * (1.0 + 1e-7);
    // One value of the distribution function: a quantile takes dozens, and every row asks.
    let enough = |freedom| student_cdf(factor, freedom) >= 0.5 + confidence / 2.0;
    let (mut low, mut high) = (1, MOST_FREEDOM);
    while low < high {
        let middle = low.midpoint(high);
        match enough(middle) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    low
}

/// Student's distribution is normal from here on.
const MOST_FREEDOM: u64 = 1 << 24;

/// Half Student's interval from the spread over runs.
fn spread(runs: &[Run], mean: f64, confidence: f64) -> Option<f64> {
    let freedom = (runs.len() as u64)
        .checked_sub(1)
        .filter(|&freedom| freedom > 0)?;
    let squares: f64 = runs.iter().map(|run| (run.estimate - mean).powi(2)).sum();
    let variance = squares / freedom as f64;
    let std_error = (variance / runs.len() as f64).sqrt();
    Some(t_quantile(0.5 + confidence / 2.0, freedom) * std_error)
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::row;
    use super::*;
    use crate::estimator::Moments;

    fn run(seed: u64, estimate: f64, std_error: Option<f64>) -> Record {
        let moments = Moments {
            mean: estimate,
            std_error,
            interval: Interval::StudentT { freedom: 9 },
        };
        let (ci_low, ci_high) = moments.bounds(0.95).unzip();
        Record {
            std_error,
            ci_low,
            ci_high,
            ..row(10, seed, estimate)
        }
    }

    fn mean(rows: &[Record]) -> Mean {
        Mean::of(rows, 0.95)
    }

    #[test]
    fn runs_of_one_seed_count_once() {
        let mean = mean(&[run(0, 1.0, Some(0.5)), run(0, 1.0, Some(0.5))]);
        assert_eq!((mean.value, mean.runs), (1.0, 1));
        // t of 9 degrees of freedom, tabulated.
        assert!((mean.half.unwrap() - 2.2622 * 0.5).abs() < 1e-4);
    }

    #[test]
    fn standard_errors_are_pooled_or_else_taken_from_the_spread() {
        let pooled = mean(&[run(0, 1.0, Some(0.3)), run(1, 2.0, Some(0.4))]);
        assert!((pooled.half.unwrap() - 2.1009 * 0.25).abs() < 1e-4);
        let spread = mean(&[run(0, 1.0, None), run(1, 2.0, None)]);
        assert!((spread.half.unwrap() - 12.7062 * 0.5).abs() < 1e-4);
        assert_eq!(mean(&[run(0, 1.0, None)]).half, None);
        // A parameter of which every probe finds the same, as one without curvature.
        let none = mean(&[run(0, 0.0, Some(0.0)), run(1, 0.0, Some(0.0))]);
        assert_eq!(none.half, Some(0.0));
    }

    /// Whatever V says: a run to a tolerance has none, and a leave-one-out interval is longer.
    #[test]
    fn a_single_run_keeps_the_interval_that_it_states() {
        for interval in [
            Interval::StudentT { freedom: 1 },
            Interval::StudentT { freedom: 31 },
            Interval::StudentT { freedom: 4095 },
            Interval::LeaveOneOut { freedom: 9 },
        ] {
            let moments = Moments {
                mean: 1.0,
                std_error: Some(0.25),
                interval,
            };
            let (low, high) = moments.bounds(0.95).unwrap();
            let row = Record {
                v: None,
                ci_low: Some(low),
                ci_high: Some(high),
                interval: interval.name().map(str::to_string),
                ..run(0, 1.0, Some(0.25))
            };
            let half = mean(&[row]).half.unwrap();
            let stated = (high - low) / 2.0;
            assert!(
                (half / stated - 1.0).abs() < 1e-6,
                "{interval:?}: {half}, {stated}"
            );
        }
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        use crate::problem::generator::TorchGenerator;
        let (rounds, v) = (2000, 4);
        let mut generator = TorchGenerator::seeded(0);
        let mut held = 0;
        for _ in 0..rounds {
            let rows = [0, 1].map(|seed| {
                // Sums of twelve uniform numbers are as good as normal here.
                let uniform = generator.uniform(12 * v, -1.0, 1.0);
                let samples = uniform
                    .chunks(12)
                    .map(|u| u.iter().map(|&x| f64::from(x)).sum());
                let moments = Moments::of(samples);
                let (ci_low, ci_high) = moments.bounds(0.95).unzip();
                Record {
                    std_error: moments.std_error,
                    ci_low,
                    ci_high,
                    ..row(v as u64, seed, moments.mean)
                }
            });
            let mean = mean(&rows);
            held += usize::from(mean.value.abs() <= mean.half.unwrap());
        }
        // 1900 ± 10; four standard deviations fail once in 16,000 seeds.
        assert!((1860..=1940).contains(&held), "{held}");
    }
}
