//! What an experiment leaves behind: CSV files, a manifest, figures.
//!
//! Summary and figures are pure functions of the CSV files.

mod environment;
pub mod figures;
mod manifest;
mod records;
mod redraw;
pub mod report;
mod results;
mod session;
mod summary;

pub use manifest::{Manifest, Status};
pub use records::{Finished, ParameterRecord, Record, RecordWriter, read_records};
pub use redraw::redraw;
pub use results::Results;
pub use session::{Outcome, Session};
pub use summary::{SummaryRow, summarise};

use anyhow::{Context, Result};
use std::path::Path;

/// Replaces a file in one step: a reader finds the old or the new one, whole.
fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, bytes)
        .and_then(|()| std::fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
