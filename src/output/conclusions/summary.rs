//! `summary.csv`: what the records say, over seeds and repeats.

use super::groups::grouped;
use super::statistics::median;
use crate::output::store::Record;
use std::collections::HashMap;

setting_row! {
    /// One estimator setting and V, over all seeds and repeats.
    pub struct SummaryRow {
    } then {
        /// Estimates that this row is made of.
        pub runs: usize,
        /// How many of them are NaN or infinite; they make the mean so too.
        pub non_finite: usize,
        /// Mean over runs.
        pub mean: f64,
        /// Standard deviation over runs.
        pub std_dev: Option<f64>,
        /// Root mean square of the standard errors that the runs state.
        pub std_error: Option<f64>,
        /// Root mean square of (estimate − exact).
        pub rmse: Option<f64>,
        /// The exact value.
        pub exact: Option<f64>,
        /// Matrix-vector products of one run; the median where runs to a tolerance differ.
        pub products: u64,
        /// Median seconds of one run.
        pub seconds: f64,
        /// Products until the standard error is 1 % of the mean, as the standard errors here predict.
        pub products_to_1_percent: Option<f64>,
        /// Seconds until then; where the run is already more precise, the seconds of the run, since the
        /// set-up does not shrink with the probes.
        pub seconds_to_1_percent: Option<f64>,
        /// How many times as fast as the slowest row of the same quantity and V.
        pub speed: Option<f64>,
    }
}

/// Runs that a root mean square is worth telling of.
const FEWEST_RUNS: usize = 3;

impl SummaryRow {
    /// How far a single run is from the exact value, relative to it, as root mean square of three runs or more.
    pub fn error_of_a_run(&self) -> Option<f64> {
        let known = |rmse: &f64| rmse.is_finite() && self.runs >= FEWEST_RUNS;
        Some(self.rmse.filter(known)? / self.exact?.abs())
    }
}

/// Summarises `records`, in the order in which settings first appear.
pub fn summarise(records: &[Record]) -> Vec<SummaryRow> {
    let groups = grouped(records, |record| record.identity().over_runs());
    let mut rows: Vec<SummaryRow> = groups.iter().map(|(_, group)| row(group)).collect();
    let peers = |row: &SummaryRow| (row.quantity.clone(), row.checkpoint.clone(), row.v);
    let mut slowest = HashMap::new();
    for row in &rows {
        let seconds = slowest.entry(peers(row)).or_insert(0.0f64);
        *seconds = seconds.max(row.seconds);
    }
    for row in &mut rows {
        let timed = row.v.is_some() && row.seconds > 0.0;
        row.speed = timed.then(|| slowest[&peers(row)] / row.seconds);
    }
    rows
}

fn row(group: &[&Record]) -> SummaryRow {
    let first = group[0];
    let runs = group.len();
    let estimates: Vec<f64> = group.iter().map(|r| r.estimate).collect();
    let mean = estimates.iter().sum::<f64>() / runs as f64;
    let mean_square =
        |about: f64| estimates.iter().map(|x| (x - about).powi(2)).sum::<f64>() / runs as f64;
    let seconds = median(group.iter().map(|r| r.seconds).collect());
    let products = median(group.iter().map(|r| r.products as f64).collect());
    // A standard error falls with the root of the products spent.
    let errors: Option<Vec<f64>> = group.iter().map(|r| r.std_error).collect();
    let square = errors.map(|errors| errors.iter().map(|e| e * e).sum::<f64>() / runs as f64);
    let factor = square.map(|square| square / (0.01 * mean).powi(2));
    SummaryRow {
        runs,
        non_finite: estimates.iter().filter(|x| !x.is_finite()).count(),
        mean,
        std_dev: (runs > 1).then(|| (mean_square(mean) * runs as f64 / (runs as f64 - 1.0)).sqrt()),
        std_error: square.map(f64::sqrt),
        rmse: first.exact.map(|exact| mean_square(exact).sqrt()),
        exact: first.exact,
        products: products as u64,
        seconds,
        products_to_1_percent: factor.map(|factor| factor * products),
        seconds_to_1_percent: factor.map(|factor| factor.max(1.0) * seconds),
        ..SummaryRow::keyed(&first.experiment, &first.identity())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample;
    use super::*;

    #[test]
    fn time_to_a_precision_is_never_less_than_a_run() {
        let run = |std_error| Record {
            seconds: 2.0,
            std_error: Some(std_error),
            ..sample::row(10, 0, 100.0)
        };
        for (std_error, products, seconds) in [(2.0, 40.0, 8.0), (0.5, 2.5, 2.0)] {
            let rows = summarise(&[Record {
                products: 10,
                ..run(std_error)
            }]);
            assert_eq!(rows[0].products_to_1_percent, Some(products));
            assert_eq!(rows[0].seconds_to_1_percent, Some(seconds));
        }
    }
}
