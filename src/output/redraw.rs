//! Everything that follows from the CSV files of a results folder: summary, figures, report.

use super::conclusions::{layers, summarise};
use super::figures::{self, FIGURES, Figure};
use super::page::{self, page};
use super::store::{Results, remove_file, replace, replace_file};
use anyhow::{Context, Result};
use std::path::PathBuf;

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
    let rows = layers(&results.parameters, results.confidence());
    if !rows.is_empty() {
        let path = folder.join("layers.csv");
        replace(&path, rows.iter())?;
        files.push(path);
    }
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
