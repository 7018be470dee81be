//! What an experiment leaves behind: CSV files, a manifest, figures, estimated diagonals.
//!
//! Summary and figures are pure functions of the CSV files.

mod artefacts;
mod compare;
mod diagonals;
pub mod figures;
mod groups;
mod journal;
mod keyed;
mod layers;
mod lock;
mod manifest;
mod page;
mod records;
mod redraw;
pub mod report;
mod results;
mod session;
mod statistics;
mod summary;
mod tables;

pub use artefacts::{DensityRecord, EigenvalueRecord, File, VarianceRecord, add_artefacts};
pub use compare::{Compared, Comparison, Precision, Speed, compare};
pub use diagonals::Diagonal;
pub use layers::{LayerRow, layers};
pub use manifest::{Manifest, Status};
pub use records::{FailureRecord, ParameterRecord, Record, read_records};
pub use redraw::redraw;
pub use results::Results;
pub use session::{Before, Outcome, Session};
pub use summary::{SummaryRow, summarise};
pub use tables::{Finished, Rows};

use anyhow::{Context, Result};
use std::path::Path;

/// Replaces a file in one step: a reader finds the old or the new one, whole.
fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // It may not even be there; the error to tell is the first one.
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file that may not be there.
fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
