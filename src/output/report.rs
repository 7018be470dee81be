//! What the command line prints of a plan and of its outcome.

use super::records::Record;
use super::session::Outcome;
use super::summary::SummaryRow;
use crate::estimator::written;
use crate::lists::{Batch, Seed};
use crate::plan::{Job, Plan, Setup, device_name};
use crate::spec::{ExperimentKind, Source};
use std::fmt::Write;

/// What running `plan` would do.
pub fn plan(source: &Source, plan: &Plan) -> String {
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
                data.batch,
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
    let _ = writeln!(text, "  jobs: {}", plan.jobs.len());
    for job in &plan.jobs {
        let _ = writeln!(text, "    {}{}", of(plan, job), describe(job));
    }
    text
}

/// Which matrix a job is about, where there are several.
fn of(plan: &Plan, job: &Job) -> String {
    match &plan.setup {
        Setup::Matrix(matrix) if matrix.spectra.len() > 1 => {
            format!("{}: ", matrix.spectra[job.subject].name())
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
    let columns = job.task.columns();
    let mut text = columns.estimator;
    let settings = [
        columns.product,
        columns.blocks,
        columns.probe,
        columns.stream,
    ];
    for setting in settings.into_iter().flatten() {
        let _ = write!(text, ", {setting}");
    }
    let _ = match job.counts[..] {
        [] => Ok(()),
        [v] => write!(text, ", V = {v}"),
        [first, .., last] => write!(
            text,
            ", {} values of V from {first} to {last}",
            job.counts.len()
        ),
    };
    let _ = match job.v_batch {
        None => Ok(()),
        Some(Batch::Auto) => write!(text, ", V_batch = auto"),
        Some(Batch::Fixed(v_batch)) => write!(text, ", V_batch = {v_batch}"),
    };
    match job.seed {
        None => text,
        Some(Seed::Value(seed)) => text + &format!(", seed {seed}"),
        Some(Seed::Continue) => text + ", continuing",
    }
}

/// The result in a table, and the files.
pub fn outcome(plan: &Plan, outcome: &Outcome) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<32} {:>7} {:>7} {:>5} {:>12} {:>10} {:>10} {:>8}",
        "estimator", "V", "V_batch", "runs", "trace", "std dev", "seconds", "speed"
    );
    for row in shown(plan, &outcome.summary) {
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
    let _ = writeln!(text, "\nwrote");
    for file in &outcome.files {
        let _ = writeln!(text, "  {}", file.display());
    }
    text
}

/// All rows of a timing experiment; of a convergence one every setting at its largest V.
fn shown<'a>(plan: &Plan, rows: &'a [SummaryRow]) -> Vec<&'a SummaryRow> {
    let all = plan.spec.kind == ExperimentKind::Timing;
    let exceeds = |other: &SummaryRow, row: &SummaryRow| {
        let same = label(other) == label(row) && other.v_batch == row.v_batch;
        same && other.probe == row.probe && other.v > row.v
    };
    let last = |row: &SummaryRow| !rows.iter().any(|other| exceeds(other, row));
    rows.iter().filter(|row| all || last(row)).collect()
}

fn label(row: &SummaryRow) -> String {
    // What is not said of a network.
    let matrix = (row.matrix != "hessian").then_some(&row.matrix);
    [
        matrix,
        Some(&row.estimator),
        row.product.as_ref(),
        row.blocks.as_ref(),
    ]
    .into_iter()
    .flatten()
    .map(String::as_str)
    .collect::<Vec<_>>()
    .join(" ")
}

fn cell(value: Option<u64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}

/// A row whose estimate is NaN or infinite, with what made it.
pub fn non_finite(record: &Record) -> String {
    let mut text = format!("the estimate is {}: {}", record.estimate, record.estimator);
    for setting in [&record.product, &record.blocks].into_iter().flatten() {
        let _ = write!(text, " {setting}");
    }
    for (name, value) in [
        ("V", record.v),
        ("V_batch", record.v_batch),
        ("seed", record.seed),
    ] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} {value}");
        }
    }
    text + "; look for NaN in data or weights, or overflow in float32 (try dtype = \"float64\")"
}
