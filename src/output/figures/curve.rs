//! Estimates of one setting by seed and V, and their mean and spread over seeds.

use super::series::Series;
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
    /// Points to the right of its V, so that curves of one point stand side by side.
    pub(super) aside: f64,
}

/// Puts those at one V alone side by side.
pub(super) fn set_aside(curves: &mut [Curve]) {
    let points: Vec<&mut Curve> = curves.iter_mut().filter(|c| c.means.len() == 1).collect();
    let middle = (points.len() as f64 - 1.0) / 2.0;
    for (i, curve) in (0..).zip(points) {
        curve.aside = 16.0 * (f64::from(i) - middle);
    }
}

/// Over seeds, at one V.
pub(super) struct Mean {
    pub(super) v: f64,
    pub(super) mean: f64,
    /// Standard deviation; zero for one seed.
    pub(super) sd: f64,
    /// How many there are.
    pub(super) runs: usize,
}

impl<'a> Curve<'a> {
    pub(super) fn new(setting: &'a Series) -> Self {
        let mut seeds: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        let mut by_v: BTreeMap<Option<u64>, Vec<f64>> = BTreeMap::new();
        for row in &setting.rows {
            seeds
                .entry((row.seed, row.repeat))
                .or_default()
                .push((probes(row), row.estimate));
            by_v.entry(row.v).or_default().push(row.estimate);
        }
        for seed in seeds.values_mut() {
            seed.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let mean = |(v, estimates): (Option<u64>, Vec<f64>)| {
            let n = estimates.len() as f64;
            let mean = estimates.iter().sum::<f64>() / n;
            let squares: f64 = estimates.iter().map(|e| (e - mean).powi(2)).sum();
            let sd = (squares / (n - 1.0).max(1.0)).sqrt();
            Mean {
                v: v.unwrap_or(0) as f64,
                mean,
                sd,
                runs: estimates.len(),
            }
        };
        let means = by_v.into_iter().map(mean).collect();
        Self {
            label: &setting.label,
            seeds,
            means,
            aside: 0.0,
        }
    }
}

/// V, for the axis; zero where there is none.
pub(super) fn probes(record: &Record) -> f64 {
    record.v.unwrap_or(0) as f64
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
}
