//! Draws the figures of `make compare` from its CSV files, and writes its table: `figures results/compare`.

mod rows;
mod table;

use curvature_runner::output::figures::{Bar, Cost, ErrorPoint, bars, error_curves, write};
use rows::{Row, machine, read};
use std::path::{Path, PathBuf};

fn name(row: &Row) -> String {
    let quantity = match row.quantity == row.method {
        true => String::new(),
        false => format!(", {}", row.quantity),
    };
    format!("{}: {}{quantity}", row.peer, row.method)
}

/// Lines of one library look alike, but for those without error; ours by method.
fn group(row: &Row) -> String {
    match row.peer == "runner" || row.quantity == "exact" {
        true => format!("{}: {}", row.peer, row.method),
        false => row.peer.clone(),
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

/// The two figures and the table of one problem.
fn draw(folder: &Path) -> anyhow::Result<()> {
    let timing = read(&folder.join("timing.csv"))?;
    let problem = folder.file_name().unwrap_or_default().to_string_lossy();
    let (place, _) = machine(folder)?;
    let subtitle = [format!("Hessian trace of {problem}"), place];
    let most = timing.iter().filter_map(|row| row.v).max();
    let all = most.map(|v| format!("V {v} where not said"));
    let titled: Vec<String> = subtitle.iter().cloned().chain(all).collect();
    let bar = |row: &Row| {
        let batch = row.v_batch.map(|v| format!(", V_batch {v}"));
        // Methods that need all products at once may have run fewer.
        let v = row.v.filter(|&v| Some(v) != most);
        let v = v.map(|v| format!(", V {v}"));
        let scaled = row.scaled_from();
        let scaled = scaled.map(|run| format!(", scaled from {run}"));
        let notes = [v, batch, scaled].into_iter().flatten();
        Some(Bar {
            label: name(row) + &notes.collect::<String>(),
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
            label: name(row),
            group: group(row),
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
    let path = folder.join("table.md");
    std::fs::write(&path, table::table(folder)?)?;
    println!("{}", path.display());
    Ok(())
}

fn show(paths: [PathBuf; 2]) {
    for path in paths {
        println!("{}", path.display());
    }
}
