//! The rows of estimates: in all, by parameter, and those that failed.

use crate::estimator::{Moments, Quantity};
use anyhow::{Context, Result};
use std::path::Path;

estimate_row! {
    /// One estimate, a row of `records.csv`; an absent value is an empty cell.
    pub struct Record {
        /// The estimate.
        pub estimate: f64,
        /// Its standard error.
        pub std_error: Option<f64>,
        /// The exact value, where it is known.
        pub exact: Option<f64>,
        /// Matrix-vector products spent.
        pub products: u64,
        /// Seconds of this estimate alone, device synchronised.
        pub seconds: f64,
        /// Where it was computed.
        pub device: String,
        /// The floating-point type.
        pub dtype: String,
        /// libtorch threads it was given.
        pub threads: usize,
        /// Bytes by which the process grew at most meanwhile; empty where jobs ran side by side or
        /// the system does not say.
        pub memory: Option<u64>,
    } then {
        /// Lower end of the confidence interval, at `[sampling] confidence`.
        pub ci_low: Option<f64>,
        /// Its upper end.
        pub ci_high: Option<f64>,
        /// How it was found: "student_t" or "leave_one_out".
        pub interval: Option<String>,
        /// Why an estimate to a tolerance went no further: "tolerance", "max_V" or "exact"; empty
        /// for a given V.
        pub stop: Option<String>,
    }
}

impl Record {
    /// Whether the estimate is of the trace.
    pub fn is_trace(&self) -> bool {
        self.quantity == Quantity::Trace.name()
    }
}

estimate_row! {
    /// The part of one parameter tensor in an estimate, a row of `parameters.csv`.
    pub struct ParameterRecord {
        /// The parameter's state_dict name.
        pub parameter: String,
        /// How many numbers it holds.
        pub numel: i64,
        /// Its part of the estimate.
        pub estimate: f64,
        /// The standard error of that.
        pub std_error: Option<f64>,
    } then {
        /// Lower end of its confidence interval, at `[sampling] confidence`.
        pub ci_low: Option<f64>,
        /// Its upper end.
        pub ci_high: Option<f64>,
    }
}

impl ParameterRecord {
    /// The part of `parameter` in the estimate `of`, with its interval at `confidence`.
    pub fn new(of: &Record, parameter: &str, numel: i64, part: &Moments, confidence: f64) -> Self {
        let (ci_low, ci_high) = part.bounds(confidence).unzip();
        Self {
            parameter: parameter.into(),
            numel,
            estimate: part.mean,
            std_error: part.std_error,
            ci_low,
            ci_high,
            ..Self::keyed(&of.experiment, &of.identity())
        }
    }
}

estimate_row! {
    /// A job that could not be done, a row of `failures.csv`; its V is the most that it was to use.
    pub struct FailureRecord {
        /// What went wrong.
        pub error: String,
    }
}

/// The rows of `records.csv` in `folder`.
///
/// # Errors
/// A missing file or one that is not of this form.
pub fn read_records(folder: &Path) -> Result<Vec<Record>> {
    let path = folder.join("records.csv");
    let context = || format!("cannot read {}", path.display());
    let mut reader = csv::Reader::from_path(&path).with_context(context)?;
    let rows = reader.deserialize().collect::<Result<_, _>>();
    rows.with_context(context)
}
