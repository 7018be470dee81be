//! Rows that repeat each other, and what they say together.

use super::layers::LayerRow;
use super::records::{ParameterRecord, Record};
use super::statistics::t_quantile;
use super::summary::SummaryRow;
use crate::estimator::Quantity;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// The columns that tell settings apart; rows that share them differ in seed and repeat alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Setting {
    pub estimator: String,
    pub matrix: String,
    pub blocks: Option<String>,
    pub product: Option<String>,
    pub probe: Option<String>,
    pub stream: Option<String>,
    pub v: Option<u64>,
    pub v_batch: Option<u64>,
    /// With its δ, where it has one.
    pub quantity: String,
    pub settings: Option<String>,
    pub checkpoint: Option<String>,
}

/// Rows of every table have the key columns.
macro_rules! setting_of {
    ($($Row:ty),*) => { $(
        impl From<&$Row> for Setting {
            fn from(row: &$Row) -> Self {
                let row = row.clone();
                Self {
                    estimator: row.estimator,
                    matrix: row.matrix,
                    blocks: row.blocks,
                    product: row.product,
                    probe: row.probe,
                    stream: row.stream,
                    v: row.v,
                    v_batch: row.v_batch,
                    quantity: match row.delta {
                        None => row.quantity,
                        Some(delta) => format!("{}, δ = {delta}", row.quantity),
                    },
                    settings: row.settings,
                    checkpoint: row.checkpoint,
                }
            }
        }
    )* };
}
setting_of!(Record, ParameterRecord, SummaryRow, LayerRow);

impl Setting {
    /// The same at whatever V.
    pub fn at_any_v(&self) -> Self {
        Self {
            v: None,
            ..self.clone()
        }
    }

    /// The same at whatever checkpoint.
    pub fn at_any_checkpoint(&self) -> Self {
        Self {
            checkpoint: None,
            ..self.clone()
        }
    }

    /// "hutchinson hmp parameter".
    pub fn way(&self) -> String {
        let words = [
            Some(&self.estimator),
            self.product.as_ref(),
            self.blocks.as_ref(),
        ];
        let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        words.join(" ")
    }

    /// "hutchinson hmp parameter, V 1000, V_batch 10", the quantity first where it is not the trace.
    pub fn name(&self) -> String {
        let quantity = Some(&self.quantity).filter(|name| *name != Quantity::Trace.name());
        let words = quantity
            .into_iter()
            .chain(&self.checkpoint)
            .cloned()
            .chain([self.way()])
            .chain(self.settings.clone());
        let number = |name, value: Option<u64>| value.map(|value| format!("{name} {value}"));
        let numbers = [number("V", self.v), number("V_batch", self.v_batch)];
        let parts = words.chain(numbers.into_iter().flatten());
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Rows by key, both in the order in which they first appear.
pub(super) fn grouped<R, K: Eq + Hash + Clone>(
    rows: impl IntoIterator<Item = R>,
    key: impl Fn(&R) -> K,
) -> Vec<(K, Vec<R>)> {
    let mut groups: Vec<(K, Vec<R>)> = Vec::new();
    let mut places = HashMap::new();
    for row in rows {
        let key = key(&row);
        match places.entry(key.clone()) {
            Entry::Occupied(place) => {
                let place: usize = *place.get();
                groups[place].1.push(row);
            }
            Entry::Vacant(place) => {
                place.insert(groups.len());
                groups.push((key, vec![row]));
            }
        }
    }
    groups
}

/// An estimate with what is known of its error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub seed: Option<u64>,
    pub estimate: f64,
    pub std_error: Option<f64>,
    /// Probes that the standard error is from.
    pub v: Option<u64>,
}

macro_rules! run_of {
    ($($Row:ty),*) => { $(
        impl From<&$Row> for Run {
            fn from(row: &$Row) -> Self {
                Self {
                    seed: row.seed,
                    estimate: row.estimate,
                    std_error: row.std_error,
                    v: row.v,
                }
            }
        }
    )* };
}
run_of!(Record, ParameterRecord);

/// The mean of independent runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mean {
    pub value: f64,
    /// Half the length of the 95 % interval around it; `None` where nothing tells of an error.
    pub half: Option<f64>,
    /// Independent runs that it is over.
    pub runs: usize,
}

impl Mean {
    /// The mean over `runs`, those of one seed counted once: they have the same probes.
    ///
    /// The interval is Student's, from the standard errors of all runs pooled, `√(Σ s_i²)/R` with
    /// `Σ (V_i − 1)` degrees of freedom; where one is missing, from the spread over runs.
    pub fn of(runs: impl IntoIterator<Item = Run>) -> Self {
        let key = |run: &Run| (run.seed, run.estimate.to_bits());
        let runs: Vec<Run> = grouped(runs, key)
            .into_iter()
            .map(|(_, runs)| runs[0])
            .collect();
        let count = runs.len() as f64;
        let value = runs.iter().map(|run| run.estimate).sum::<f64>() / count;
        let squares: Option<f64> = runs.iter().map(|run| run.std_error.map(|s| s * s)).sum();
        let (std_error, freedom) = match squares {
            Some(squares) => {
                let freedom = runs
                    .iter()
                    .map(|run| run.v.unwrap_or(2).saturating_sub(1))
                    .sum();
                (squares.sqrt() / count, freedom)
            }
            None => {
                let spread = |run: &Run| (run.estimate - value).powi(2);
                let variance = runs.iter().map(spread).sum::<f64>() / (count - 1.0);
                ((variance / count).sqrt(), runs.len() as u64 - 1)
            }
        };
        Self {
            value,
            half: (freedom > 0).then(|| t_quantile(0.975, freedom) * std_error),
            runs: runs.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, estimate: f64, std_error: Option<f64>) -> Run {
        Run {
            seed: Some(seed),
            estimate,
            std_error,
            v: Some(10),
        }
    }

    #[test]
    fn runs_of_one_seed_count_once() {
        let mean = Mean::of([run(0, 1.0, Some(0.5)), run(0, 1.0, Some(0.5))]);
        assert_eq!((mean.value, mean.runs), (1.0, 1));
        // t of 9 degrees of freedom, tabulated.
        assert!((mean.half.unwrap() - 2.2622 * 0.5).abs() < 1e-4);
    }

    #[test]
    fn standard_errors_are_pooled_or_else_taken_from_the_spread() {
        let pooled = Mean::of([run(0, 1.0, Some(0.3)), run(1, 2.0, Some(0.4))]);
        assert!((pooled.half.unwrap() - 2.1009 * 0.25).abs() < 1e-4);
        let spread = Mean::of([run(0, 1.0, None), run(1, 2.0, None)]);
        assert!((spread.half.unwrap() - 12.7062 * 0.5).abs() < 1e-4);
        assert_eq!(Mean::of([run(0, 1.0, None)]).half, None);
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        use crate::problem::generator::TorchGenerator;
        let (rounds, v) = (2000, 4);
        let mut generator = TorchGenerator::seeded(0);
        let mut held = 0;
        for _ in 0..rounds {
            let runs = [0, 1].map(|seed| {
                // Sums of twelve uniform numbers are as good as normal here.
                let uniform = generator.uniform(12 * v, -1.0, 1.0);
                let samples = uniform
                    .chunks(12)
                    .map(|u| u.iter().map(|&x| f64::from(x)).sum());
                let moments = crate::estimator::Moments::of(samples);
                Run {
                    seed: Some(seed),
                    estimate: moments.mean,
                    std_error: moments.std_error,
                    v: Some(v as u64),
                }
            });
            let mean = Mean::of(runs);
            held += usize::from(mean.value.abs() <= mean.half.unwrap());
        }
        // 1900 ± 10; four standard deviations fail once in 16,000 seeds.
        assert!((1860..=1940).contains(&held), "{held}");
    }
}
