//! Estimates of one setting by seed and V, and their mean and spread over seeds.

use super::series::{MOST, Series};
use crate::output::store::Record;
use std::collections::BTreeMap;

/// Seed and repeat.
pub(super) type Run = (Option<u64>, u64);

/// One setting's estimates.
pub(super) struct Curve<'a> {
    pub(super) label: &'a str,
    /// V and estimate by rising V, of every run.
    pub(super) seeds: BTreeMap<Run, Vec<(f64, f64)>>,
    /// By rising V.
    pub(super) means: Vec<Mean>,
    /// The kind of the estimator.
    pub(super) estimator: &'a str,
}

/// Over seeds, at one V.
pub(super) struct Mean {
    pub(super) v: f64,
    pub(super) mean: f64,
    /// Standard deviation; zero for one seed.
    pub(super) sd: f64,
    /// Half the interval that a single run states of itself.
    pub(super) half: Option<f64>,
    /// How many there are.
    pub(super) runs: usize,
}

impl Mean {
    /// What is drawn about the mean: the spread between runs, or what a single run states.
    pub(super) fn reach(&self) -> f64 {
        self.half.unwrap_or(self.sd)
    }
}

impl<'a> Curve<'a> {
    pub(super) fn new(setting: &'a Series) -> Self {
        let mut seeds: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        let mut by_v: BTreeMap<Option<u64>, Vec<&Record>> = BTreeMap::new();
        for row in &setting.rows {
            seeds
                .entry((row.seed, row.repeat))
                .or_default()
                .push((probes(row), row.estimate));
            by_v.entry(row.v).or_default().push(row);
        }
        for seed in seeds.values_mut() {
            seed.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let mean = |(v, rows): (Option<u64>, Vec<&Record>)| {
            let estimates: Vec<f64> = rows.iter().map(|row| row.estimate).collect();
            let stated = rows[0].ci_low.zip(rows[0].ci_high);
            let half = stated.map(|(low, high)| (high - low) / 2.0);
            let n = estimates.len() as f64;
            let mean = estimates.iter().sum::<f64>() / n;
            let squares: f64 = estimates.iter().map(|e| (e - mean).powi(2)).sum();
            let sd = (squares / (n - 1.0).max(1.0)).sqrt();
            Mean {
                v: v.unwrap_or(0) as f64,
                mean,
                sd,
                half: half.filter(|half| rows.len() == 1 && half.is_finite()),
                runs: rows.len(),
            }
        };
        let means = by_v.into_iter().map(mean).collect();
        Self {
            label: &setting.label,
            seeds,
            means,
            estimator: setting.rows.first().map_or("", |row| &row.estimator),
        }
    }
}

/// The curves of least spread at their largest V, in their order, and how many more there are.
pub(super) fn fewer(mut curves: Vec<Curve>) -> (Vec<Curve>, usize) {
    let spread = |curve: &Curve| curve.means.last().map_or(f64::INFINITY, Mean::reach);
    let mut all: Vec<f64> = curves.iter().map(spread).collect();
    all.sort_by(f64::total_cmp);
    let count = curves.len();
    if let Some(&worst) = all.get(MOST - 1) {
        curves.retain(|curve| spread(curve) <= worst);
        curves.truncate(MOST);
    }
    let left_out = count - curves.len();
    (curves, left_out)
}

/// V, for the axis; zero where there is none.
pub(super) fn probes(record: &Record) -> f64 {
    record.v.unwrap_or(0) as f64
}

/// Those of `records` at the last checkpoint among `drawn`; `None` if all are at one.
pub(super) fn of_the_last_checkpoint<'a>(
    drawn: impl Iterator<Item = &'a Record>,
    records: &[Record],
) -> Option<Vec<Record>> {
    let last = &drawn.last()?.checkpoint;
    let at_last = |record: &&Record| record.checkpoint == *last;
    let kept: Vec<Record> = records.iter().filter(at_last).cloned().collect();
    (kept.len() < records.len()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::row;
    use super::super::series::{Compare, series};
    use super::*;

    #[test]
    fn the_mean_and_its_band_are_where_they_should_be() {
        let rows = [(0, 1.0), (1, 2.0), (2, 6.0)].map(|(seed, estimate)| row(10, seed, estimate));
        let series = series(&rows, Compare::Estimates);
        let mean = &Curve::new(&series.each[0]).means[0];
        assert_eq!((mean.v, mean.mean), (10.0, 3.0));
        assert!((mean.sd - 7f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_last_checkpoint_is_that_of_the_last_row_drawn() {
        let at = |checkpoint: &str, estimate| Record {
            checkpoint: Some(checkpoint.into()),
            ..row(10, 0, estimate)
        };
        let rows = [at("step_2", 1.0), at("step_10", 2.0), at("step_10", 3.0)];
        let kept = of_the_last_checkpoint(rows.iter(), &rows).unwrap();
        assert_eq!(kept, rows[1..]);
        assert_eq!(of_the_last_checkpoint(kept.iter(), &kept), None);
    }
}
