//! What a run prints at its end: the answer, a table, and where the files are.

use super::columns::columns;
use curvature_runner::output::format;
use curvature_runner::output::{Outcome, Results, answers, outcomes};
use curvature_runner::spec::ExperimentKind;
use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Characters in a line of text.
const WIDTH: usize = 100;

/// The answer of `results` in sentences, a table of all settings, and `files`.
pub fn outcome(results: &Results, files: &[PathBuf]) -> String {
    let mut text = String::new();
    for answer in answers(results) {
        text += &wrapped(&answer);
    }
    let all = outcomes(results);
    let rows = shown(results.kind(), &all);
    if !rows.is_empty() {
        text += "\n";
        text += &table(results, &rows);
    }
    text + "\n" + &places(&results.folder, files)
}

/// A sentence in lines that a terminal shows whole.
fn wrapped(sentence: &str) -> String {
    let (mut text, mut length) = (String::new(), 0);
    for word in sentence.split(' ') {
        let more = word.chars().count() + 1;
        if length > 0 && length + more > WIDTH {
            text += "\n  ";
            length = 2;
        } else if length > 0 {
            text += " ";
        }
        text += word;
        length += more;
    }
    text + "\n"
}

/// All settings of a timing experiment; of a convergence one every setting at its largest V.
fn shown(kind: ExperimentKind, all: &[Outcome]) -> Vec<&Outcome> {
    let exceeds = |other: &Outcome, row: &Outcome| {
        other.summary.v > row.summary.v && other.summary.setting() == row.summary.setting()
    };
    let last = |row: &Outcome| !all.iter().any(|other| exceeds(other, row));
    let keep = |row: &&Outcome| kind == ExperimentKind::Timing || last(row);
    all.iter().filter(keep).collect()
}

fn table(results: &Results, rows: &[&Outcome]) -> String {
    let interval = format!("± {}", format::percent(results.confidence()));
    let [value, off_by, time] = match rows.iter().any(|row| row.summary.runs > 1) {
        true => ["mean", "mean off by", "one run takes"],
        false => ["estimate", "off by", "time"],
    };
    let head = [
        "estimator",
        "V",
        "V_batch",
        "runs",
        value,
        interval.as_str(),
        off_by,
        "one run off by",
        "products",
        time,
        "speed",
        "ended by",
    ];
    let labels = labels(rows);
    let timing = results.kind() == ExperimentKind::Timing;
    let cells = |(row, label): (&&Outcome, String)| {
        let summary = &row.summary;
        let runs = Some(summary.runs as u64).filter(|&runs| runs > 1);
        let speed = summary.speed.filter(|_| timing);
        // Of a run to a tolerance V is a result.
        let products = Some(summary.products).filter(|_| row.stop.is_some());
        vec![
            label,
            number(summary.v),
            number(summary.v_batch),
            number(runs),
            estimate(row),
            interval_of(row),
            off(row),
            one_run_off(row),
            number(products),
            format::seconds(summary.seconds),
            speed.map_or(String::new(), |speed| format!("{speed:.2}×")),
            row.stop.clone().unwrap_or_default(),
        ]
    };
    let body: Vec<Vec<String>> = rows.iter().zip(labels).map(cells).collect();
    columns(&head, &body)
}

fn number(value: Option<u64>) -> String {
    value.map_or(String::new(), format::count)
}

/// To the digits that its interval leaves.
fn estimate(row: &Outcome) -> String {
    match row.exact || row.half.is_none() {
        true => format::exact(row.summary.mean),
        false => halves(row).0,
    }
}

fn interval_of(row: &Outcome) -> String {
    match row.exact {
        true => "exact".into(),
        false => halves(row).1,
    }
}

/// Both sides of "12.43 ± 0.12"; the second is empty where there is no interval.
fn halves(row: &Outcome) -> (String, String) {
    let text = format::within(row.summary.mean, row.half);
    match text.split_once(" ± ") {
        Some((mean, half)) => (mean.into(), half.into()),
        None => (text, String::new()),
    }
}

/// How far the mean is from the exact value.
fn off(row: &Outcome) -> String {
    let relative = |exact: f64| ((row.summary.mean - exact) / exact).abs();
    let known = row.summary.exact.filter(|_| !row.exact);
    known.map_or(String::new(), |exact| format::percent(relative(exact)))
}

/// How far a single run is from the exact value.
fn one_run_off(row: &Outcome) -> String {
    let error = row.summary.error_of_a_run().filter(|_| !row.exact);
    error.map_or(String::new(), format::percent)
}

/// What tells a setting from the others of the table: its settings only where nothing else does.
fn labels(rows: &[&Outcome]) -> Vec<String> {
    let short = |row: &&Outcome| {
        let summary = &row.summary;
        let identity = summary.identity();
        // What is not said of most estimates: a quantity, a checkpoint, another matrix.
        let quantity = (!identity.is_trace()).then(|| match identity.delta {
            Some(delta) => format!("{} δ = {delta}", identity.quantity),
            None => identity.quantity.clone(),
        });
        let matrix = (summary.matrix != "hessian").then(|| summary.matrix.clone());
        let before = [quantity, summary.checkpoint.clone(), matrix];
        let parts = before.into_iter().flatten().chain([identity.method()]);
        parts.collect::<Vec<_>>().join(" ")
    };
    let key = |row: &&Outcome| (short(row), row.summary.v, row.summary.v_batch);
    let (mut once, mut twice) = (HashSet::new(), HashSet::new());
    for row in rows {
        if !once.insert(key(row)) {
            twice.insert(key(row));
        }
    }
    let label = |row: &&Outcome| match (&row.summary.settings, twice.contains(&key(row))) {
        (Some(settings), true) => format!("{} ({settings})", short(row)),
        _ => short(row),
    };
    rows.iter().map(label).collect()
}

/// The files by what they are, the page first.
fn places(folder: &Path, files: &[PathBuf]) -> String {
    let named = |ending: &str| -> Vec<String> {
        let of_kind = files
            .iter()
            .filter(|file| file.extension().is_some_and(|e| e == ending));
        let name = |file: &PathBuf| Some(file.file_name()?.to_str()?.to_string());
        of_kind.filter_map(name).collect()
    };
    let others = |file: &&PathBuf| {
        let known = ["html", "png", "svg", "csv", "toml"];
        !file
            .extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| known.contains(&e))
    };
    let mut text = String::new();
    for page in named("html") {
        let _ = writeln!(text, "page     {}", folder.join(page).display());
    }
    for (name, names, more) in [
        ("figures", named("png"), " (and .svg)"),
        ("tables", named("csv"), ""),
        ("again", named("toml"), ""),
    ] {
        if !names.is_empty() {
            let _ = writeln!(text, "{name:<8} {}{more}", names.join(", "));
        }
    }
    let others = files.iter().filter(others).count();
    if others > 0 {
        let _ = writeln!(text, "tensors  {others} files");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_wrapped_between_words() {
        let text = wrapped(&"word ".repeat(40));
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(text.split_whitespace().count(), 40);
    }

    #[test]
    fn files_are_told_by_what_they_are() {
        let files = [
            "report.html",
            "layers.png",
            "layers.svg",
            "records.csv",
            "manifest.toml",
        ];
        let files = files.map(|name| Path::new("results/a").join(name));
        assert_eq!(
            places(Path::new("results/a"), &files),
            "page     results/a/report.html\nfigures  layers.png (and .svg)\ntables   records.csv\nagain    manifest.toml\n"
        );
    }
}
