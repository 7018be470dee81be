//! The rows of the CSV files.

use crate::estimator::{Moments, Quantity};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One estimate, a row of `records.csv`; an absent value is an empty cell.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Record {
    /// The spec's name.
    pub experiment: String,
    /// The kind of the estimator.
    pub estimator: String,
    /// Which matrix the trace is of.
    pub matrix: String,
    /// Which entries of it a product sees.
    pub blocks: Option<String>,
    /// How the product is computed.
    pub product: Option<String>,
    /// Distribution of the probes.
    pub probe: Option<String>,
    /// Random numbers of the probes.
    pub stream: Option<String>,
    /// Probes, or the budget in products; empty where a tolerance was given.
    #[serde(rename = "V")]
    pub v: Option<u64>,
    /// Probes multiplied at once.
    #[serde(rename = "V_batch")]
    pub v_batch: Option<u64>,
    /// Seed of the probe stream; empty where it goes on from what came before.
    pub seed: Option<u64>,
    /// Counts estimates that share all of the above.
    pub repeat: u64,
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
    /// Bytes by which the process grew at most meanwhile; empty where jobs ran side by side or the
    /// system does not say.
    pub memory: Option<u64>,
    /// What the estimate is of: "trace", "frobenius_squared", "log_det", ...
    #[serde(default = "trace")]
    pub quantity: String,
    /// δ of `log det(A + δI)`.
    #[serde(default)]
    pub delta: Option<f64>,
    /// What else the estimator was told: "steps = 80".
    #[serde(default)]
    pub settings: Option<String>,
    /// The parameters that the network had: the name of their file.
    #[serde(default)]
    pub checkpoint: Option<String>,
    /// Lower end of the confidence interval, at `[sampling] confidence`.
    pub ci_low: Option<f64>,
    /// Its upper end.
    pub ci_high: Option<f64>,
    /// How it was found: "student_t" or "leave_one_out".
    pub interval: Option<String>,
    /// Why an estimate to a tolerance went no further: "tolerance", "max_V" or "exact"; empty for
    /// a given V.
    pub stop: Option<String>,
}

impl Record {
    /// Whether the estimate is of the trace.
    pub fn is_trace(&self) -> bool {
        self.quantity == Quantity::Trace.name()
    }
}

/// What the rows of files without that column are of.
fn trace() -> String {
    Quantity::Trace.name().into()
}

/// The part of one parameter tensor in an estimate, a row of `parameters.csv`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ParameterRecord {
    /// As in [`Record`], like all up to `repeat`.
    pub experiment: String,
    /// See [`Record`].
    pub estimator: String,
    /// See [`Record`].
    pub matrix: String,
    /// See [`Record`].
    pub blocks: Option<String>,
    /// See [`Record`].
    pub product: Option<String>,
    /// See [`Record`].
    pub probe: Option<String>,
    /// See [`Record`].
    pub stream: Option<String>,
    /// See [`Record`].
    #[serde(rename = "V")]
    pub v: Option<u64>,
    /// See [`Record`].
    #[serde(rename = "V_batch")]
    pub v_batch: Option<u64>,
    /// See [`Record`].
    pub seed: Option<u64>,
    /// See [`Record`].
    pub repeat: u64,
    /// The parameter's state_dict name.
    pub parameter: String,
    /// How many numbers it holds.
    pub numel: i64,
    /// Its part of the estimate.
    pub estimate: f64,
    /// The standard error of that.
    pub std_error: Option<f64>,
    /// See [`Record`].
    #[serde(default = "trace")]
    pub quantity: String,
    /// See [`Record`].
    #[serde(default)]
    pub delta: Option<f64>,
    /// See [`Record`].
    #[serde(default)]
    pub settings: Option<String>,
    /// See [`Record`].
    #[serde(default)]
    pub checkpoint: Option<String>,
    /// As in [`Record`].
    pub ci_low: Option<f64>,
    /// As in [`Record`].
    pub ci_high: Option<f64>,
}

impl ParameterRecord {
    /// The part of `parameter` in the estimate `of`, with its interval at `confidence`.
    pub fn new(of: &Record, parameter: &str, numel: i64, part: &Moments, confidence: f64) -> Self {
        let of = of.clone();
        let (ci_low, ci_high) = part.bounds(confidence).unzip();
        Self {
            experiment: of.experiment,
            estimator: of.estimator,
            matrix: of.matrix,
            blocks: of.blocks,
            product: of.product,
            probe: of.probe,
            stream: of.stream,
            v: of.v,
            v_batch: of.v_batch,
            seed: of.seed,
            repeat: of.repeat,
            parameter: parameter.into(),
            numel,
            estimate: part.mean,
            std_error: part.std_error,
            quantity: of.quantity,
            delta: of.delta,
            settings: of.settings,
            checkpoint: of.checkpoint,
            ci_low,
            ci_high,
        }
    }
}

/// A job that could not be done, a row of `failures.csv`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct FailureRecord {
    /// As in [`Record`], like all up to `repeat`.
    pub experiment: String,
    /// See [`Record`].
    pub estimator: String,
    /// See [`Record`].
    pub matrix: String,
    /// See [`Record`].
    pub blocks: Option<String>,
    /// See [`Record`].
    pub product: Option<String>,
    /// See [`Record`].
    pub probe: Option<String>,
    /// See [`Record`].
    pub stream: Option<String>,
    /// The most probes that it was to use.
    #[serde(rename = "V")]
    pub v: Option<u64>,
    /// See [`Record`].
    #[serde(rename = "V_batch")]
    pub v_batch: Option<u64>,
    /// See [`Record`].
    pub seed: Option<u64>,
    /// See [`Record`].
    pub repeat: u64,
    /// What went wrong.
    pub error: String,
    /// See [`Record`].
    #[serde(default)]
    pub checkpoint: Option<String>,
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
