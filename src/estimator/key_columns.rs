//! The key columns, which tell an estimate from another, declared once.
//!
//! Everything that must know estimates apart is made from this list: the columns of every table,
//! groups of repeated runs, labels, file names, `--only` and the plan's check for equal jobs. To add
//! a dimension, add its line here and set its value where it is known: in [`Task::setting`] if an
//! estimator decides it, else where [jobs](crate::plan::Job) are made.
//!
//! [`Task::setting`]: super::Task::setting

use super::Quantity;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Hands the list of key columns to the macro `$then`, before what `$then` is told besides: those
/// that stand first in a table, those that count runs of one setting, and those that stand last.
///
/// The order is that of the columns of format 1; later dimensions go to the end of the last list.
macro_rules! with_key_columns {
    ($then:ident! { $($rest:tt)* }) => {
        $then! {
            {
                /// The kind of the estimator.
                estimator: String,
                /// Which matrix the estimate is of.
                matrix: String,
                /// Which entries of it a product sees.
                blocks: Option<String>,
                /// How the product is computed.
                product: Option<String>,
                /// Distribution of the probes.
                probe: Option<String>,
                /// Random numbers of the probes.
                stream: Option<String>,
                /// Probes, or the budget in products; empty where a tolerance was given.
                #[serde(rename = "V")]
                v: Option<u64>,
                /// Probes multiplied at once.
                #[serde(rename = "V_batch")]
                v_batch: Option<u64>,
            }
            {
                /// Seed of the probe stream; empty where it goes on from what came before.
                seed: Option<u64>,
                /// Counts estimates that share all other key columns.
                repeat: u64,
            }
            {
                /// What the estimate is of: "trace", "frobenius_squared", "log_det", ...
                #[serde(default = "crate::estimator::key_columns::trace")]
                quantity: String,
                /// δ of `log det(A + δI)`.
                #[serde(default)]
                delta: Option<$crate::estimator::Number>,
                /// What else the estimator was told, as a spec writes it: "steps = 80".
                #[serde(default)]
                settings: Option<String>,
                /// The parameters that the network had: the name of their file.
                #[serde(default)]
                checkpoint: Option<String>,
            }
            $($rest)*
        }
    };
}
pub(crate) use with_key_columns;

/// What rows without the column `quantity` are of.
pub(crate) fn trace() -> String {
    Quantity::Trace.name().into()
}

/// A number as a key: equal where it is written alike.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value as the cell of a table.
pub(super) trait Cell {
    /// Its text; `None` for an empty cell.
    fn cell(&self) -> Option<String>;
}

impl Cell for String {
    fn cell(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.clone())
    }
}

impl Cell for u64 {
    fn cell(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<T: fmt::Display> Cell for Option<T> {
    fn cell(&self) -> Option<String> {
        self.as_ref().map(T::to_string)
    }
}
