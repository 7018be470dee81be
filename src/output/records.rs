//! The rows of `records.csv` and `parameters.csv`, and the files they are appended to.

use crate::estimator::Moments;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};

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
    /// Probes.
    #[serde(rename = "V")]
    pub v: Option<u64>,
    /// Probes multiplied at once.
    #[serde(rename = "V_batch")]
    pub v_batch: Option<u64>,
    /// Seed of the probe stream; empty where it goes on from what came before.
    pub seed: Option<u64>,
    /// Counts estimates that share all of the above.
    pub repeat: u64,
    /// The estimate of the trace.
    pub estimate: f64,
    /// Its standard error.
    pub std_error: Option<f64>,
    /// The exact trace, where it was computed.
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
    /// Its part of the trace.
    pub estimate: f64,
    /// The standard error of that.
    pub std_error: Option<f64>,
}

impl ParameterRecord {
    /// The part of `parameter` in the estimate `of`.
    pub fn new(of: &Record, parameter: &str, numel: i64, part: &Moments) -> Self {
        let of = of.clone();
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
        }
    }
}

/// The rows of one finished job, `index` counting the plan's jobs.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Which job of the plan.
    pub index: usize,
    /// Its rows of `records.csv`.
    pub records: Vec<Record>,
    /// Its rows of `parameters.csv`.
    pub parameters: Vec<ParameterRecord>,
}

/// Appends to both files; every finished job is on disk before the next is taken.
pub struct RecordWriter {
    folder: PathBuf,
    records: csv::Writer<File>,
    parameters: csv::Writer<File>,
}

impl RecordWriter {
    /// Starts both files anew in `folder`.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder.to_path_buf(),
            records: create(&folder.join("records.csv"))?,
            parameters: create(&folder.join("parameters.csv"))?,
        })
    }

    /// Appends the rows of one finished job and flushes them.
    ///
    /// # Errors
    /// A full or failing disk.
    pub fn append(&mut self, records: &[Record], parameters: &[ParameterRecord]) -> Result<()> {
        let context = || format!("writing records to {}", self.folder.display());
        for row in records {
            self.records.serialize(row).with_context(context)?;
        }
        for row in parameters {
            self.parameters.serialize(row).with_context(context)?;
        }
        self.records.flush().with_context(context)?;
        self.parameters.flush().with_context(context)
    }
}

fn create(path: &Path) -> Result<csv::Writer<File>> {
    csv::Writer::from_path(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Replaces a CSV file by `rows` in one step: it is whole at any moment.
pub(super) fn replace<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().context("an in-memory buffer")?;
    super::replace_file(path, &bytes)
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
