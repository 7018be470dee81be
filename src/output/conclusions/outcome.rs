//! The rows of the table of results: a setting's summary with the interval of its mean.

use super::answer::is_exact;
use super::groups::grouped;
use super::mean::Mean;
use super::summary::{SummaryRow, summarise};
use crate::output::store::{Record, Results};

/// A setting at one V, over its runs.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its row of `summary.csv`.
    pub summary: SummaryRow,
    /// Half the confidence interval of the mean over independent runs; `None` where nothing tells.
    pub half: Option<f64>,
    /// Whether it is the exact value itself.
    pub exact: bool,
    /// Why its runs to a tolerance ended, where they all ended alike.
    pub stop: Option<String>,
}

/// Every setting and V of `results`, in the order in which they first appear.
pub fn outcomes(results: &Results) -> Vec<Outcome> {
    let confidence = results.confidence();
    let groups = grouped(&results.records, |row| row.identity().over_runs());
    let outcome = |(summary, (_, rows)): (SummaryRow, (_, Vec<_>))| {
        let stops = grouped(rows.iter().copied(), |row: &&Record| row.stop.clone());
        Outcome {
            half: Mean::of(rows.iter().copied(), confidence).half,
            exact: is_exact(rows[0]),
            stop: match &stops[..] {
                [(stop, _)] => stop.clone(),
                _ => None,
            },
            summary,
        }
    };
    let summary = summarise(&results.records);
    summary.into_iter().zip(groups).map(outcome).collect()
}
