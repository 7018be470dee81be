//! Draws the figures of `make compare` from its CSV files: `figures results/compare`.

use curvature_runner::output::figures::{Bar, Cost, ErrorPoint, bars, error_curves, write};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Row {
    problem: String,
    peer: String,
    method: String,
    quantity: String,
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
}

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).expect("usage: figures FOLDER");
    let folder = Path::new(&folder);
    let (timing, curves) = (
        read(&folder.join("timing.csv"))?,
        read(&folder.join("error_curve.csv"))?,
    );
    let mut problems: Vec<&str> = timing.iter().map(|row| row.problem.as_str()).collect();
    problems.dedup();
    for problem in problems {
        let subtitle = [format!("Hessian trace of {problem}")];
        let of_problem = |row: &&Row| row.problem == problem;
        let bar = |row: &Row| {
            let batch = row
                .v_batch
                .map_or(String::new(), |v| format!(", V_batch {v}"));
            Some(Bar {
                label: row.name() + &batch,
                group: row.peer.clone(),
                low: row.seconds_min?,
                median: row.seconds_median?,
                high: row.seconds_max?,
                count: row.rounds?,
            })
        };
        let each: Vec<Bar> = timing.iter().filter(of_problem).filter_map(bar).collect();
        show(write(
            folder,
            &format!("seconds_{problem}"),
            &bars(&subtitle, &each, &[]),
        )?);
        let point = |row: &Row| {
            Some(ErrorPoint {
                label: row.name(),
                cost: row.seconds_median?,
                error: row.relative_rmse?,
            })
        };
        let points: Vec<ErrorPoint> = curves.iter().filter(of_problem).filter_map(point).collect();
        show(write(
            folder,
            &format!("error_{problem}"),
            &error_curves(&subtitle, &points, Cost::Seconds, 1e-6)?,
        )?);
    }
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
