//! Draws the figures of `make compare` from its CSV files, and writes its table: `figures results/compare`.

mod rows;
mod table;

use curvature_runner::output::figures::{Bar, Cost, ErrorPoint, bars, error_curves, write};
use rows::{Row, machine, read};
use std::path::{Path, PathBuf};

/// A peer as it calls itself.
fn library(peer: &str) -> &str {
    match peer {
        "backpack" => "BackPACK",
        "autograd" | "functorch" => "PyTorch",
        "jax" => "JAX",
        other => other,
    }
}

/// Our methods that the figure of errors shows: another estimator, and the peers' own estimator.
const SHOWN: [&str; 2] = ["propagation", "forward"];

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).expect("usage: figures FOLDER");
    let mut problems: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    problems.retain(|path| path.join("timing.csv").exists());
    problems.sort();
    problems.iter().try_for_each(|folder| draw(folder))
}

/// The two figures and the table of one problem; errors are drawn where a library has a curve of them, not single points.
fn draw(folder: &Path) -> anyhow::Result<()> {
    let problem = folder.file_name().unwrap_or_default().to_string_lossy();
    let (place, _) = machine(folder)?;
    let title = format!("Hessian trace of {problem}");
    let timing = read(&folder.join("timing.csv"))?;
    let most = timing.iter().filter_map(|row| row.v).max();
    let all = most.map(|v| format!("V {v} where not said, each library's fastest setting"));
    let titled: Vec<String> = [title.clone(), place.clone()]
        .into_iter()
        .chain(all)
        .collect();
    let each: Vec<Bar> = fastest(&timing)
        .into_iter()
        .filter_map(|row| bar(row, most))
        .collect();
    show(write(folder, "seconds", &bars(&titled, &each, &[]))?);
    let curves = read(&folder.join("error_curve.csv"))?;
    let lines = lines(&curves);
    if lines.iter().any(|line| line.len() > 1) {
        let svg = error_curves(&[title, place], &lines.concat(), Cost::Seconds, 1e-6)?;
        show(write(folder, "error", &svg)?);
    }
    for (name, text) in [
        ("table.md", table::table(folder)?),
        ("short.md", table::short(folder)?),
    ] {
        std::fs::write(folder.join(name), text)?;
        println!("{}", folder.join(name).display());
    }
    Ok(())
}

/// The fastest row of every library for each quantity, ours by method.
fn fastest(timing: &[Row]) -> Vec<&Row> {
    let key = |row: &Row| {
        let method = (row.peer == "runner").then(|| row.method.clone());
        (library(&row.peer).to_string(), method, row.quantity.clone())
    };
    let mut best: Vec<&Row> = Vec::new();
    for row in timing.iter().filter(|row| row.seconds_median.is_some()) {
        match best.iter_mut().find(|known| key(known) == key(row)) {
            None => best.push(row),
            Some(known) if row.seconds_median < known.seconds_median => *known = row,
            Some(_) => {}
        }
    }
    best
}

fn bar(row: &Row, most: Option<u64>) -> Option<Bar> {
    let quantity = match row.quantity == row.method {
        true => String::new(),
        false => format!(", {}", row.quantity),
    };
    // Methods that need all products at once may have run fewer.
    let v = row.v.filter(|&v| Some(v) != most);
    let v = v.map(|v| format!(", V {v}"));
    let scaled = row.scaled_from();
    let scaled = scaled.map(|run| format!(", scaled from {run}"));
    let notes: String = [v, scaled].into_iter().flatten().collect();
    let method = row.method.replace('_', " ");
    Some(Bar {
        label: format!("{}: {method}{quantity}{notes}", library(&row.peer)),
        group: library(&row.peer).into(),
        low: row.seconds_min?,
        median: row.seconds_median?,
        high: row.seconds_max?,
        count: row.rounds?,
    })
}

/// A setting that a line can be of.
type Setting = (String, String, String, Option<u64>);

/// Our lines, and of every library the one that needs least time for its errors.
fn lines(curves: &[Row]) -> Vec<Vec<ErrorPoint>> {
    let mut settings: Vec<(Setting, Vec<&Row>)> = Vec::new();
    let usable = |row: &&Row| row.relative_rmse.is_some_and(|error| error > 1e-6);
    for row in curves.iter().filter(usable) {
        let names = (row.peer.clone(), row.method.clone(), row.quantity.clone());
        let key = (names.0, names.1, names.2, row.v_batch);
        match settings.iter_mut().find(|(known, _)| *known == key) {
            Some((_, rows)) => rows.push(row),
            None => settings.push((key, vec![row])),
        }
    }
    // An error falls with the root of the time: its product with that root is what a setting costs.
    let costs = |rows: &[&Row]| {
        let last = rows.iter().max_by_key(|row| row.v);
        let cost = last.and_then(|row| Some(row.relative_rmse? * row.seconds_median?.sqrt()));
        cost.unwrap_or(f64::INFINITY)
    };
    settings.retain(|((peer, method, ..), _)| peer != "runner" || SHOWN.contains(&method.as_str()));
    let label = |(peer, method, quantity, _): &Setting| match peer.as_str() {
        "runner" if method == quantity => format!("runner, {method}"),
        "runner" => format!("runner, Hutchinson ({method})"),
        peer => library(peer).to_string(),
    };
    let mut best: Vec<(String, f64, Vec<&Row>)> = Vec::new();
    for (setting, rows) in settings {
        let (label, cost) = (label(&setting), costs(&rows));
        match best.iter_mut().find(|(known, ..)| *known == label) {
            None => best.push((label, cost, rows)),
            Some(known) if cost < known.1 => *known = (label, cost, rows),
            Some(_) => {}
        }
    }
    best.sort_by_key(|(label, ..)| !label.starts_with("runner"));
    let point = |label: &str, row: &Row| {
        Some(ErrorPoint {
            label: label.into(),
            quiet: !label.starts_with("runner"),
            cost: row.seconds_median?,
            error: row.relative_rmse?,
        })
    };
    let line = |(label, _, rows): &(String, f64, Vec<&Row>)| {
        rows.iter().filter_map(|row| point(label, row)).collect()
    };
    best.iter().map(line).collect()
}

fn show(paths: [PathBuf; 2]) {
    for path in paths {
        println!("{}", path.display());
    }
}
