//! Draws the figures of `make compare` from its CSV files: `figures results/compare`.

use curvature_runner::output::figures::{Bar, Cost, ErrorPoint, bars, error_curves, write};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Row {
    peer: String,
    method: String,
    quantity: String,
    #[serde(rename = "V")]
    v: Option<u64>,
    #[serde(rename = "V_batch")]
    v_batch: Option<u64>,
    #[serde(default)]
    rounds: Option<usize>,
    seconds_median: Option<f64>,
    #[serde(default)]
    seconds_min: Option<f64>,
    #[serde(default)]
    seconds_max: Option<f64>,
    #[serde(default)]
    relative_rmse: Option<f64>,
}

impl Row {
    fn name(&self) -> String {
        let quantity = match self.quantity == self.method {
            true => String::new(),
            false => format!(", {}", self.quantity),
        };
        format!("{}: {}{quantity}", self.peer, self.method)
    }

    /// Lines of one library look alike, but for those without error; ours by method.
    fn group(&self) -> String {
        match self.peer == "runner" || self.quantity == "exact" {
            true => format!("{}: {}", self.peer, self.method),
            false => self.peer.clone(),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).expect("usage: figures FOLDER");
    let mut problems: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    problems.retain(|path| path.join("timing.csv").exists());
    problems.sort();
    problems.iter().try_for_each(|folder| draw(folder))
}

/// The two figures of one problem.
fn draw(folder: &Path) -> anyhow::Result<()> {
    let timing = read(&folder.join("timing.csv"))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let subtitle = [format!("Hessian trace of {name}")];
    let most = timing.iter().filter_map(|row| row.v).max();
    let all = most.map(|v| format!("V {v} where not said"));
    let titled: Vec<String> = subtitle.iter().cloned().chain(all).collect();
    let bar = |row: &Row| {
        let batch = row.v_batch.map(|v| format!(", V_batch {v}"));
        // Methods that need all products at once may have run fewer.
        let v = row.v.filter(|&v| Some(v) != most);
        let v = v.map(|v| format!(", V {v}")).unwrap_or_default();
        Some(Bar {
            label: row.name() + &v + &batch.unwrap_or_default(),
            group: row.peer.clone(),
            low: row.seconds_min?,
            median: row.seconds_median?,
            high: row.seconds_max?,
            count: row.rounds?,
        })
    };
    let each: Vec<Bar> = timing.iter().filter_map(bar).collect();
    show(write(folder, "seconds", &bars(&titled, &each, &[]))?);
    let curves = read(&folder.join("error_curve.csv"))?;
    let point = |row: &Row| {
        Some(ErrorPoint {
            label: row.name(),
            group: row.group(),
            cost: row.seconds_median?,
            error: row.relative_rmse?,
        })
    };
    let points: Vec<ErrorPoint> = curves.iter().filter_map(point).collect();
    show(write(
        folder,
        "error",
        &error_curves(&subtitle, &points, Cost::Seconds, 1e-6)?,
    )?);
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::Reader::from_path(path)?;
    Ok(reader.deserialize().collect::<Result<_, _>>()?)
}

fn show(paths: [PathBuf; 2]) {
    for path in paths {
        println!("{}", path.display());
    }
}
