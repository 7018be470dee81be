//! Everything that follows from the CSV files of a results folder: summary, figures, report.

use super::figures;
use super::results::Results;
use super::summary::summarise;
use super::tables::replace;
use crate::spec::ExperimentKind;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// A figure: its name, and its SVG where the results have something to draw.
type Figure = (&'static str, fn(&Results) -> Result<Option<String>>);

/// Every figure that there is, in the order in which a report shows them.
const FIGURES: [Figure; 2] = [("convergence", convergence), ("timing", timing)];

/// Writes summary and figures of `results` anew; returns the files.
///
/// # Errors
/// A folder that cannot be written.
pub fn redraw(results: &Results) -> Result<Vec<PathBuf>> {
    let summary = results.folder.join("summary.csv");
    replace(&summary, summarise(&results.records).iter())?;
    let mut files = vec![summary];
    for (name, draw) in FIGURES {
        if let Some(svg) = draw(results).with_context(|| format!("cannot draw {name}"))? {
            files.extend(figures::write(&results.folder, name, &svg)?);
        }
    }
    Ok(files)
}

fn convergence(results: &Results) -> Result<Option<String>> {
    let drawable = results
        .records
        .iter()
        .any(|record| record.is_trace() && record.v.is_some() && record.estimate.is_finite());
    match results.kind() {
        ExperimentKind::Convergence if drawable => figures::convergence(&results.records).map(Some),
        _ => Ok(None),
    }
}

fn timing(results: &Results) -> Result<Option<String>> {
    let measured = results.records.iter().any(|record| record.seconds > 0.0);
    match results.kind() {
        ExperimentKind::Timing if measured => figures::timing(&results.records).map(Some),
        _ => Ok(None),
    }
}
