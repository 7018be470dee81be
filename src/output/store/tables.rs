//! The tables of a results folder: a CSV file for each kind of row.

use super::diagonals::Diagonal;
use super::files::File;
use super::pieces::Piece;
use super::records::{FailureRecord, ParameterRecord, Record};
use super::spectral::{DensityRecord, EigenvalueRecord, VarianceRecord};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Declares the tables, a line each: the field of [`Rows`], the type of a row, the file.
macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident: $Row:ty = $file:literal),* $(,)?) => {
        /// Rows of every table.
        #[derive(Clone, Debug, Default, Deserialize, Serialize)]
        pub struct Rows {
            $(
                $(#[$doc])*
                #[serde(with = "as_csv", default, skip_serializing_if = "Vec::is_empty")]
                pub $table: Vec<$Row>,
            )*
        }

        /// Replaces the files by the rows of all `parts`, each in one step; but for the last, a
        /// table without rows has no file. Returns those that there are.
        ///
        /// The last table is written last: what it has is in the others already.
        ///
        /// # Errors
        /// A full or failing disk; then every file is the old or the new one, whole.
        pub(super) fn write<'a>(
            folder: &Path,
            parts: impl Iterator<Item = &'a Rows> + Clone,
        ) -> Result<Vec<PathBuf>> {
            let mut files = Vec::new();
            $(
                let path = folder.join($file);
                let mut rows = parts.clone().flat_map(|rows| &rows.$table).peekable();
                if rows.peek().is_none() && $file != "records.csv" {
                    super::remove_file(&path)?;
                } else {
                    replace(&path, rows)?;
                    files.push(path);
                }
            )*
            files.reverse();
            Ok(files)
        }
    };
}

tables! {
    /// A row per job that could not be done.
    failures: FailureRecord = "failures.csv",
    /// A row per estimate and parameter.
    parameters: ParameterRecord = "parameters.csv",
    /// A row per eigenvalue.
    eigenvalues: EigenvalueRecord = "eigenvalues.csv",
    /// A row per node of a quadrature rule.
    density: DensityRecord = "density.csv",
    /// A row per kind of probe.
    variance: VarianceRecord = "variance.csv",
    /// A row per estimate.
    records: Record = "records.csv",
}

/// A finished job: its rows, or the row that says why there are none.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Which job of the plan.
    pub index: usize,
    /// Its rows in every table.
    pub rows: Rows,
    /// Diagonals that it estimated.
    pub diagonals: Vec<Diagonal>,
    /// What is no row: it has a file of its own.
    pub files: Vec<File>,
    /// What a reader should know of how they came about.
    pub notes: Vec<String>,
}

/// What a run hands on as soon as it is there.
#[derive(Clone, Debug)]
pub enum Done {
    /// A job.
    Job(Finished),
    /// Pieces of job `index`, which is not finished with them.
    Pieces {
        /// Which job of the plan.
        index: usize,
        /// In the order in which they were computed.
        pieces: Vec<Piece>,
    },
}

impl Done {
    /// The job, where it is finished.
    pub fn job(self) -> Option<Finished> {
        match self {
            Self::Job(finished) => Some(finished),
            Self::Pieces { .. } => None,
        }
    }
}

/// Replaces a CSV file by `rows`.
pub(in crate::output) fn replace<'a, T: Serialize + 'a>(
    path: &Path,
    rows: impl Iterator<Item = &'a T>,
) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).context("a row is CSV")?;
    }
    let bytes = writer.into_inner().context("an in-memory buffer")?;
    super::replace_file(path, &bytes)
}

/// Rows as the text of a CSV file: it writes NaN, infinities and every other number so that they
/// read back to the same value, which JSON does not.
mod as_csv {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(rows: &[T], to: S) -> Result<S::Ok, S::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.serialize(row).map_err(S::Error::custom)?;
        }
        let bytes = writer.into_inner().map_err(S::Error::custom)?;
        to.serialize_str(&String::from_utf8(bytes).map_err(S::Error::custom)?)
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        let text = String::deserialize(from)?;
        let rows = csv::Reader::from_reader(text.as_bytes()).into_deserialize();
        rows.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn rows_read_back_as_they_were() {
        let odd = |estimate| Record {
            std_error: Some(f64::INFINITY),
            ..sample::row(10, 0, estimate)
        };
        let rows = Rows {
            records: vec![
                odd(0.1 + 0.2),
                odd(-0.0),
                odd(5e-324),
                odd(f64::NEG_INFINITY),
            ],
            ..Rows::default()
        };
        let text = serde_json::to_string(&rows).unwrap();
        let again: Rows = serde_json::from_str(&text).unwrap();
        assert_eq!(again.records, rows.records);
        let nan = Rows {
            records: vec![odd(f64::NAN)],
            ..Rows::default()
        };
        let again: Rows = serde_json::from_str(&serde_json::to_string(&nan).unwrap()).unwrap();
        assert!(again.records[0].estimate.is_nan() && again.parameters.is_empty());
    }
}
