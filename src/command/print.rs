//! What the command line prints of a plan and of its outcome.

use curvature_runner::estimator::{Budget, Identity, Quantity, written};
use curvature_runner::lists::{Seed, VBatch};
use curvature_runner::output::figures::significant;
use curvature_runner::output::{Before, FailureRecord, Record, Rows, SummaryRow};
use curvature_runner::plan::{Job, Plan, Setup, device_name};
use curvature_runner::problem::data::Dataset;
use curvature_runner::spec::{ExperimentKind, SpecText};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What running `plan` would do.
pub fn plan(source: &SpecText, plan: &Plan) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} experiment \"{}\"",
        source.path.display(),
        kind(plan),
        plan.spec.name
    );
    let device = device_name(plan.device);
    let dtype = written(plan.spec.dtype);
    match &plan.setup {
        Setup::Network(setup) => {
            let (data, network) = (&setup.dataset, &setup.network);
            let _ = writeln!(
                text,
                "  data: {} of {} samples of shape {:?}; device {device}, {dtype}",
                samples(data),
                data.len(),
                data.input(),
            );
            let total: i64 = network.parameters().iter().map(|p| p.numel()).sum();
            let output = network.output();
            let _ = writeln!(text, "  network: {total} parameters, output {output:?}");
            for parameter in network.parameters() {
                let _ = writeln!(text, "    {} {:?}", parameter.name, parameter.shape);
            }
        }
        Setup::Matrix(matrix) => {
            let (n, basis) = (matrix.n, written(matrix.basis));
            let _ = writeln!(
                text,
                "  matrices: {n} x {n}, basis {basis}; device {device}, {dtype}"
            );
            for spectrum in &matrix.spectra {
                let _ = writeln!(text, "    {}", spectrum.name());
            }
        }
    }
    if let Some(choice) = &plan.choice {
        let _ = writeln!(text, "  {choice}");
    }
    let _ = writeln!(text, "  jobs: {}", plan.jobs.len());
    for job in &plan.jobs {
        let _ = writeln!(text, "    {}{}", of(plan, job), describe(job));
    }
    text
}

/// How many samples are looked at, and in how many batches.
fn samples(data: &Dataset) -> String {
    let selection = data.selection;
    let samples = selection.samples(data.len());
    match selection.batches {
        1 => samples.to_string(),
        batches => format!("{samples} (in {batches} batches of {})", selection.batch),
    }
}

/// Which matrix or checkpoint a job is about, where there are several.
fn of(plan: &Plan, job: &Job) -> String {
    match &plan.setup {
        Setup::Matrix(matrix) if matrix.spectra.len() > 1 => {
            format!("{}: ", matrix.spectra[job.problem].name())
        }
        Setup::Network(setup) if setup.checkpoints.len() > 1 => {
            let name = setup.checkpoints[job.problem].name.as_deref();
            format!("{}: ", name.unwrap_or_default())
        }
        _ => String::new(),
    }
}

fn kind(plan: &Plan) -> &'static str {
    match plan.spec.kind {
        ExperimentKind::Convergence => "convergence",
        ExperimentKind::Timing => "timing",
    }
}

fn describe(job: &Job) -> String {
    let mut text = job.setting.estimator.clone();
    for (column, value) in job.setting.columns() {
        // The matrix and its checkpoint stand before; the rest has words of its own below.
        let told = [
            "estimator",
            "matrix",
            "checkpoint",
            "V",
            "V_batch",
            "seed",
            "repeat",
        ];
        if let Some(value) = value.filter(|_| !told.contains(&column)) {
            let _ = write!(text, ", {value}");
        }
    }
    let _ = match &job.budget {
        Budget::Tolerance(t) => write!(
            text,
            ", until rtol {} or atol {} is met, at most {} products",
            t.rtol, t.atol, t.max_v
        ),
        Budget::Counts(counts) => match counts[..] {
            [] => Ok(()),
            [v] => write!(text, ", V = {v}"),
            [first, .., last] => {
                let values = counts.len();
                write!(text, ", {values} values of V from {first} to {last}")
            }
        },
    };
    let _ = match job.v_batch {
        None => Ok(()),
        Some(VBatch::Auto) => write!(text, ", V_batch = auto"),
        Some(VBatch::Fixed(v_batch)) => write!(text, ", V_batch = {v_batch}"),
    };
    match job.seed {
        None => text,
        Some(Seed::Value(seed)) => text + &format!(", seed {seed}"),
        Some(Seed::Continue) => text + ", continuing",
    }
}

/// The result in a table, and the files.
pub fn outcome(plan: &Plan, summary: &[SummaryRow], files: &[PathBuf]) -> String {
    let (traces, others): (Vec<_>, Vec<_>) = shown(plan, summary)
        .into_iter()
        .partition(|row| row.quantity == Quantity::Trace.name());
    let mut tables = Vec::new();
    if !traces.is_empty() {
        tables.push(table_of_traces(&traces));
    }
    if !others.is_empty() {
        tables.push(table_of_others(&others));
    }
    let mut text = tables.join("\n");
    let _ = writeln!(text, "\nwrote");
    for file in files {
        let _ = writeln!(text, "  {}", file.display());
    }
    text
}

fn table_of_traces(rows: &[&SummaryRow]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<32} {:>7} {:>7} {:>5} {:>12} {:>10} {:>10} {:>8}",
        "estimator", "V", "V_batch", "runs", "trace", "std dev", "seconds", "speed"
    );
    for row in rows {
        let _ = writeln!(
            text,
            "{:<32} {:>7} {:>7} {:>5} {:>12.6} {:>10} {:>10.6} {:>8}",
            label(row),
            cell(row.v),
            cell(row.v_batch),
            row.runs,
            row.mean,
            number(row.std_dev, 6),
            row.seconds,
            number(row.speed, 2),
        );
    }
    text
}

fn table_of_others(rows: &[&SummaryRow]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<44} {:>7} {:>7} {:>5} {:>14} {:>10} {:>10}",
        "quantity", "V", "V_batch", "runs", "mean", "std error", "seconds"
    );
    for row in rows {
        let delta = row
            .delta
            .map_or(String::new(), |delta| format!(" δ = {delta}"));
        let _ = writeln!(
            text,
            "{:<44} {:>7} {:>7} {:>5} {:>14} {:>10} {:>10.6}",
            format!("{}{delta}, {}", row.quantity, label(row)),
            cell(row.v),
            cell(row.v_batch),
            row.runs,
            significant(row.mean, 8),
            row.std_error
                .map_or(String::new(), |error| significant(error, 3)),
            row.seconds,
        );
    }
    text
}

/// All rows of a timing experiment; of a convergence one every setting at its largest V.
fn shown<'a>(plan: &Plan, rows: &'a [SummaryRow]) -> Vec<&'a SummaryRow> {
    let all = plan.spec.kind == ExperimentKind::Timing;
    let exceeds =
        |other: &SummaryRow, row: &SummaryRow| other.v > row.v && other.setting() == row.setting();
    let last = |row: &SummaryRow| !rows.iter().any(|other| exceeds(other, row));
    rows.iter().filter(|row| all || last(row)).collect()
}

fn label(row: &SummaryRow) -> String {
    // What is not said of a network.
    let matrix = (row.matrix != "hessian").then_some(row.matrix.as_str());
    let before = [row.checkpoint.as_deref(), matrix].into_iter().flatten();
    let parts: Vec<String> = before
        .map(str::to_string)
        .chain([row.identity().method()])
        .collect();
    parts.join(" ")
}

fn cell(value: Option<u64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}

/// A job in a few words.
pub fn job(job: &Job) -> String {
    match job.seed {
        Some(Seed::Value(seed)) => format!("{}, seed {seed}", setting(job)),
        Some(Seed::Continue) => format!("{}, continuing", setting(job)),
        None => setting(job),
    }
}

/// What a job gave: its last estimate, or that it failed.
pub fn result(rows: &Rows) -> String {
    match rows.records.last() {
        Some(row) => format!(
            "{} in {:.3} s",
            value(row.estimate, row.std_error),
            row.seconds
        ),
        None => "failed".into(),
    }
}

/// A value with its standard error, to two digits of that: "12.31 ± 0.15".
pub fn value(mean: f64, std_error: Option<f64>) -> String {
    match std_error {
        Some(error) if error.is_finite() && error > 0.0 => {
            let digits = (1.0 - error.log10().floor()).clamp(0.0, 17.0) as usize;
            format!("{mean:.digits$} ± {error:.digits$}")
        }
        _ => significant(mean, 8),
    }
}

/// A job without its seed.
pub fn setting(job: &Job) -> String {
    named(&Identity {
        v: job.budget.most(),
        ..job.setting.clone().into()
    })
}

/// What a run finds in its folder, and how many jobs it runs.
pub fn before(folder: &Path, before: Before, todo: usize) -> String {
    let mut text = String::new();
    let folder = folder.display();
    let Before {
        done,
        failed,
        unused,
    } = before;
    if done > 0 {
        let _ = writeln!(
            text,
            "{folder}: {done} jobs are done already, {todo} to run (--fresh runs all again)"
        );
    }
    if failed > 0 {
        let _ = writeln!(
            text,
            "{folder}: {failed} jobs failed before (--retry-failed runs them again)"
        );
    }
    if unused > 0 {
        let _ = writeln!(
            text,
            "{folder}: {unused} results of other settings or another build are left aside"
        );
    }
    text
}

/// A job that could not be done, with what it was.
pub fn failure(row: &FailureRecord) -> String {
    format!("{} failed: {}", named(&row.identity()), row.error)
}

/// A row whose estimate is NaN or infinite, with what made it.
pub fn non_finite(row: &Record) -> String {
    let help = "look for NaN in data or weights, or overflow in float32 (try dtype = \"float64\")";
    let job = named(&row.identity());
    format!("the estimate is {}: {job}; {help}", row.estimate)
}

/// An estimate in a few words: "hutchinson hmp full, V 100, V_batch 10, seed 0".
fn named(of: &Identity) -> String {
    let mut text = of.method();
    for (name, value) in [("V", of.v), ("V_batch", of.v_batch), ("seed", of.seed)] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} {value}");
        }
    }
    text
}
