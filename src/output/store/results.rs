//! A results folder, read back.

use super::records::{ParameterRecord, Record};
use super::spectral::{DensityRecord, EigenvalueRecord, VarianceRecord};
use crate::error::UserError;
use crate::spec::{ExperimentKind, Spec, SpecText};
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a run has left in its folder.
#[derive(Debug)]
pub struct Results {
    /// Where it lies.
    pub folder: PathBuf,
    /// The rows of `records.csv`.
    pub records: Vec<Record>,
    /// The rows of `parameters.csv`.
    pub parameters: Vec<ParameterRecord>,
    /// The rows of `eigenvalues.csv`.
    pub eigenvalues: Vec<EigenvalueRecord>,
    /// The rows of `density.csv`.
    pub density: Vec<DensityRecord>,
    /// The rows of `variance.csv`.
    pub variance: Vec<VarianceRecord>,
    /// The experiment, where `manifest.toml` is there and says it.
    pub spec: Option<Spec>,
    /// `[manifest]` of `manifest.toml`: where the rows come from.
    pub provenance: toml::Table,
}

impl Results {
    /// Reads the folder of a run, finished or not.
    ///
    /// # Errors
    /// A file in place of the folder, no records there, or a file that is not as the runner writes it.
    pub fn read(folder: &Path) -> Result<Self, UserError> {
        if folder.is_file() {
            return Err(UserError::new(
                "",
                format!(
                    "found the file {}, expected a results folder",
                    folder.display()
                ),
                "name the folder that a run has written, for example results/convergence",
            ));
        }
        let records = read(&folder.join("records.csv"))?.ok_or_else(|| {
            UserError::new(
                "",
                format!("{}: found no records.csv there", folder.display()),
                "name a folder that a run has written, for example results/convergence",
            )
        })?;
        let (spec, provenance) = match SpecText::read(&folder.join("manifest.toml")) {
            Err(_) => (None, toml::Table::new()),
            Ok(source) => (Spec::parse(&source).ok(), provenance(&source)),
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            records,
            parameters: read(&folder.join("parameters.csv"))?.unwrap_or_default(),
            eigenvalues: read(&folder.join("eigenvalues.csv"))?.unwrap_or_default(),
            density: read(&folder.join("density.csv"))?.unwrap_or_default(),
            variance: read(&folder.join("variance.csv"))?.unwrap_or_default(),
            spec,
            provenance,
        })
    }

    /// The confidence of the intervals that the rows state.
    pub fn confidence(&self) -> f64 {
        let sampling = self.spec.as_ref().map(|spec| &spec.sampling);
        sampling
            .and_then(|sampling| sampling.confidence().ok())
            .unwrap_or(0.95)
    }

    /// What was asked; without a manifest, a timing experiment is one that repeats itself.
    pub fn kind(&self) -> ExperimentKind {
        match &self.spec {
            Some(spec) => spec.kind,
            None if self.records.iter().any(|row| row.repeat > 0) => ExperimentKind::Timing,
            None => ExperimentKind::Convergence,
        }
    }
}

fn provenance(source: &SpecText) -> toml::Table {
    let table = source.text.parse::<toml::Table>().unwrap_or_default();
    match table.get("manifest") {
        Some(toml::Value::Table(provenance)) => provenance.clone(),
        _ => toml::Table::new(),
    }
}

/// The rows of a CSV file, columns of later versions left out; `None` where there is no file.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<Vec<T>>, UserError> {
    let wrong = |error: csv::Error| {
        UserError::new(
            "",
            format!("{}: {error}", path.display()),
            "restore the file as the run wrote it, or run the experiment again",
        )
    };
    let mut reader = match csv::Reader::from_path(path) {
        Ok(reader) => reader,
        Err(error) => match error.kind() {
            csv::ErrorKind::Io(io) if io.kind() == ErrorKind::NotFound => return Ok(None),
            _ => return Err(wrong(error)),
        },
    };
    let rows = reader.deserialize().collect::<Result<_, _>>();
    rows.map(Some).map_err(wrong)
}
