//! `layers.csv`: every parameter tensor's part of the trace, over seeds and repeats.

use super::groups::grouped;
use super::mean::Mean;
use crate::estimator::{Identity, Quantity};
use crate::output::store::ParameterRecord;
use std::collections::BTreeSet;

setting_row! {
    /// One parameter tensor under one estimator setting and V.
    pub struct LayerRow {
        /// The parameter's state_dict name.
        pub parameter: String,
        /// How many numbers it holds.
        pub numel: i64,
        /// Seeds that the mean is over.
        pub seeds: usize,
    } then {
        /// The trace of its diagonal block.
        pub trace: f64,
        /// The standard error of that; absent where it is exact, or known from one sample alone.
        pub std_error: Option<f64>,
        /// The mean of the block's diagonal: the trace per weight.
        pub trace_per_weight: f64,
        /// The standard error of that.
        pub std_error_per_weight: Option<f64>,
        /// Lower end of the confidence interval of the trace, at `[sampling] confidence`.
        #[serde(default)]
        pub ci_low: Option<f64>,
        /// Its upper end.
        #[serde(default)]
        pub ci_high: Option<f64>,
    }
}

impl LayerRow {
    /// Half the confidence interval of the trace; `None` where it is exact or nothing tells.
    pub fn half_width(&self) -> Option<f64> {
        let (low, high) = self.ci_low.zip(self.ci_high)?;
        Some((high - low) / 2.0)
    }
}

/// Averages the rows of traces in `parts`, in the order in which they first appear, with intervals at
/// `confidence`, which must be that of the intervals that the rows state.
pub fn layers(parts: &[ParameterRecord], confidence: f64) -> Vec<LayerRow> {
    let traces = parts
        .iter()
        .filter(|part| part.quantity == Quantity::Trace.name());
    let groups = grouped(traces, |part| {
        (part.identity().over_runs(), part.parameter.clone())
    });
    groups
        .iter()
        .map(|(_, group)| row(group, confidence))
        .collect()
}

fn row(group: &[&ParameterRecord], confidence: f64) -> LayerRow {
    let first = group[0];
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / group.len() as f64;
    let trace = mean(&mut group.iter().map(|part| part.estimate));
    // Repeats of one seed are the same estimate again.
    let seeds = group
        .iter()
        .map(|part| part.seed)
        .collect::<BTreeSet<_>>()
        .len();
    let stated: Option<Vec<f64>> = group.iter().map(|part| part.std_error).collect();
    let square = stated.map(|errors| mean(&mut errors.iter().map(|error| error * error)));
    let spread = || {
        let squares = mean(&mut group.iter().map(|part| (part.estimate - trace).powi(2)));
        (seeds > 1).then(|| squares * seeds as f64 / (seeds as f64 - 1.0))
    };
    let variance = square.or_else(spread).filter(|_| first.v.is_some());
    let std_error = variance.map(|square| (square / seeds as f64).sqrt());
    let numel = first.numel as f64;
    let half = Mean::of(group.iter().copied(), confidence).half;
    let half = half.filter(|_| std_error.is_some());
    LayerRow {
        parameter: first.parameter.clone(),
        numel: first.numel,
        seeds,
        trace,
        std_error,
        trace_per_weight: trace / numel,
        std_error_per_weight: std_error.map(|error| error / numel),
        ci_low: half.map(|half| trace - half),
        ci_high: half.map(|half| trace + half),
        ..LayerRow::keyed(&first.experiment, &first.identity())
    }
}

/// An identity with its checkpoint left open.
pub(in crate::output) fn at_any_checkpoint(identity: &Identity) -> Identity {
    Identity {
        checkpoint: None,
        ..identity.clone()
    }
}

/// The rows of the setting that is known best, at every checkpoint: an exact one, or else that of
/// the smallest errors.
pub(in crate::output) fn most_precise(rows: &[LayerRow]) -> Vec<&LayerRow> {
    let settings = grouped(rows, |row| at_any_checkpoint(&row.identity()));
    let variance = |row: &&LayerRow| match (row.v, row.std_error) {
        (None, _) => 0.0,
        (Some(_), Some(error)) => error * error,
        (Some(_), None) => f64::INFINITY,
    };
    let error = |rows: &[&LayerRow]| rows.iter().map(variance).sum::<f64>();
    let best = settings
        .into_iter()
        .min_by(|(_, a), (_, b)| error(a).total_cmp(&error(b)));
    best.map_or(Vec::new(), |(_, rows)| rows)
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample;
    use super::*;
    use crate::estimator::Moments;

    fn part(v: u64, seed: u64, mean: f64, std_error: Option<f64>) -> ParameterRecord {
        let record = sample::row(v, seed, 0.0);
        ParameterRecord::new(
            &record,
            "1.weight",
            50,
            &Moments {
                mean,
                std_error,
                ..Moments::exact(mean)
            },
            0.95,
        )
    }

    #[test]
    fn errors_fall_with_seeds_and_not_with_repeats() {
        let rows = layers(
            &[part(10, 0, 4.0, Some(0.3)), part(10, 1, 6.0, Some(0.4))],
            0.95,
        );
        assert_eq!((rows[0].trace, rows[0].trace_per_weight), (5.0, 0.1));
        let error = rows[0].std_error.unwrap();
        assert!((error - (0.125f64 / 2.0).sqrt()).abs() < 1e-12);
        assert!((rows[0].std_error_per_weight.unwrap() - error / 50.0).abs() < 1e-12);

        let repeated = layers(
            &[part(10, 0, 4.0, Some(0.3)), part(10, 0, 4.0, Some(0.3))],
            0.95,
        );
        assert!((repeated[0].std_error.unwrap() - 0.3).abs() < 1e-12);

        let alone = layers(&[part(1, 0, 4.0, None), part(1, 1, 6.0, None)], 0.95);
        assert!((alone[0].std_error.unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(layers(&[part(1, 0, 4.0, None)], 0.95)[0].std_error, None);
    }

    #[test]
    fn the_smallest_error_is_the_most_precise() {
        let rows = layers(
            &[
                part(10, 0, 4.0, Some(0.3)),
                part(20, 0, 6.0, Some(0.2)),
                part(1, 0, 6.0, None),
            ],
            0.95,
        );
        assert_eq!(most_precise(&rows)[0].v, Some(20));
    }
}
