//! Everything that follows from the CSV files of a results folder: summary, figures, report.

use super::page::{self, page};
use super::results::Results;
use super::summary::summarise;
use super::tables::replace;
use super::{figures, remove_file, replace_file};
use crate::spec::ExperimentKind;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// A figure: its name, what it shows, and its SVG where the results have something to draw.
struct Figure {
    name: &'static str,
    caption: &'static str,
    draw: fn(&Results) -> Result<Option<String>>,
}

/// Every figure that there is, in the order in which a report shows them.
const FIGURES: [Figure; 2] = [
    Figure {
        name: "convergence",
        caption: "Estimates against the number of probes, and the exact trace where it is known.",
        draw: convergence,
    },
    Figure {
        name: "timing",
        caption: "Time of one estimate, from the network and the batch in memory.",
        draw: timing,
    },
];

/// Writes summary, figures and report of `results` anew, and removes figures that they no longer
/// have; returns the files that there are.
///
/// # Errors
/// A folder that cannot be read or written.
pub fn redraw(results: &Results) -> Result<Vec<PathBuf>> {
    let folder = &results.folder;
    let summary = folder.join("summary.csv");
    replace(&summary, summarise(&results.records).iter())?;
    let mut files = vec![summary];
    for Figure { name, draw, .. } in FIGURES {
        match draw(results).with_context(|| format!("cannot draw {name}"))? {
            Some(svg) => files.extend(figures::write(folder, name, &svg)?),
            None => ["svg", "png"]
                .iter()
                .try_for_each(|ending| remove_file(&folder.join(format!("{name}.{ending}"))))?,
        }
    }
    let known = FIGURES.map(|figure| (figure.name, figure.caption));
    let page = page(results, &page::figures(folder, &known)?)?;
    let report = folder.join("report.html");
    replace_file(&report, page.as_bytes())?;
    files.push(report);
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
