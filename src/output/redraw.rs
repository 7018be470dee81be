//! Everything that follows from the CSV files of a results folder: summary, figures, report.

use super::conclusions::{
    LayerRow, SummaryRow, at_any_checkpoint, grouped, most_precise, summarise,
};
use super::figures;
use super::figures::Cost;
use super::page::{self, page};
use super::store::{Results, remove_file, replace, replace_file};
use crate::problem::ProblemSpec;
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
const FIGURES: [Figure; 8] = [
    Figure {
        name: "convergence",
        caption: "Estimates against the number of probes, and the exact trace where it is known.",
        draw: convergence,
    },
    Figure {
        name: "error_products",
        caption: "Root mean square error relative to the exact trace, against matrix-vector products.",
        draw: |results| errors(results, Cost::Products),
    },
    Figure {
        name: "error_seconds",
        caption: "The same errors against the time of one estimate.",
        draw: |results| errors(results, Cost::Seconds),
    },
    Figure {
        name: "timing",
        caption: "Time of one estimate, from the network and the batch in memory.",
        draw: timing,
    },
    Figure {
        name: "layers",
        caption: "The trace of every parameter tensor, in all and per weight, as it is known best.",
        draw: layers,
    },
    Figure {
        name: "trajectory",
        caption: "The trace along the checkpoints, in all and of every parameter tensor.",
        draw: trajectory,
    },
    Figure {
        name: "density",
        caption: "Spectral density by stochastic Lanczos quadrature, smoothed.",
        draw: density,
    },
    Figure {
        name: "variance",
        caption: "Variance of one probe of every kind: predicted from the matrix, and sampled.",
        draw: variance,
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
    let rows = super::conclusions::layers(&results.parameters);
    if !rows.is_empty() {
        let layers = folder.join("layers.csv");
        replace(&layers, rows.iter())?;
        files.push(layers);
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

fn convergence(results: &Results) -> Result<Option<String>> {
    let drawable = results
        .records
        .iter()
        .any(|r| r.is_trace() && r.v.is_some() && r.estimate.is_finite());
    // Traces of different given matrices have no scale in common.
    let apart = results.spec.as_ref().is_some_and(
        |spec| matches!(&spec.problem, ProblemSpec::Matrix(matrix) if matrix.spectra.len() > 1),
    );
    match results.kind() {
        ExperimentKind::Convergence if drawable && !apart => {
            figures::convergence(&results.records).map(Some)
        }
        _ => Ok(None),
    }
}

fn errors(results: &Results, cost: Cost) -> Result<Option<String>> {
    match results.kind() {
        ExperimentKind::Convergence => figures::errors(&results.records, cost),
        ExperimentKind::Timing => Ok(None),
    }
}

fn timing(results: &Results) -> Result<Option<String>> {
    let measured = results.records.iter().any(|record| record.seconds > 0.0);
    match results.kind() {
        ExperimentKind::Timing if measured => figures::timing(&results.records).map(Some),
        _ => Ok(None),
    }
}

/// What stands over a figure of one setting.
fn subtitle(row: &LayerRow) -> Vec<String> {
    let matrix = figures::matrix_name(&row.matrix).to_string();
    let setting = at_any_checkpoint(&row.identity());
    vec![row.experiment.clone(), matrix, setting.name()]
}

/// The setting known best, at the last checkpoint.
fn layers(results: &Results) -> Result<Option<String>> {
    let all = super::conclusions::layers(&results.parameters);
    let mut rows = most_precise(&all);
    let last = rows.last().and_then(|row| row.checkpoint.clone());
    rows.retain(|row| row.checkpoint == last);
    let finite = rows.iter().any(|row| row.trace.is_finite());
    if rows.len() < 2 || !finite || results.kind() == ExperimentKind::Timing {
        return Ok(None);
    }
    let subtitle = subtitle(rows[0]).into_iter().chain(last);
    Ok(Some(figures::layers(&subtitle.collect::<Vec<_>>(), &rows)))
}

/// The setting known best, at every checkpoint.
fn trajectory(results: &Results) -> Result<Option<String>> {
    let all = super::conclusions::layers(&results.parameters);
    let rows = most_precise(&all);
    let checkpoints: Vec<String> = grouped(&rows, |row| row.checkpoint.clone())
        .into_iter()
        .filter_map(|(name, _)| name)
        .collect();
    if checkpoints.len() < 2 || !rows.iter().any(|row| row.trace.is_finite()) {
        return Ok(None);
    }
    let place = |name: &Option<String>| checkpoints.iter().position(|c| Some(c) == name.as_ref());
    let setting = at_any_checkpoint(&rows[0].identity());
    let same = |row: &&SummaryRow| at_any_checkpoint(&row.identity()) == setting;
    let total = |row: &SummaryRow| {
        let error = row.std_error.map(|error| error / (row.runs as f64).sqrt());
        Some((place(&row.checkpoint)?, row.mean, error))
    };
    let totals = summarise(&results.records);
    let mut tracks = vec![figures::Track {
        label: "total".into(),
        points: totals.iter().filter(same).filter_map(total).collect(),
    }];
    for (parameter, rows) in grouped(&rows, |row| row.parameter.clone()) {
        let point = |row: &&&LayerRow| Some((place(&row.checkpoint)?, row.trace, row.std_error));
        tracks.push(figures::Track {
            label: parameter,
            points: rows.iter().filter_map(point).collect(),
        });
    }
    let subtitle = subtitle(rows[0]);
    Ok(Some(figures::trajectory(&subtitle, &checkpoints, &tracks)))
}

fn density(results: &Results) -> Result<Option<String>> {
    match results.density.iter().any(|row| row.node.is_finite()) {
        true => figures::density(&results.density).map(Some),
        false => Ok(None),
    }
}

fn variance(results: &Results) -> Result<Option<String>> {
    match results
        .variance
        .iter()
        .any(|row| row.predicted > Some(0.0) || row.empirical > 0.0)
    {
        true => figures::variance(&results.variance).map(Some),
        false => Ok(None),
    }
}
