//! What the command line prints of a plan and of its outcome.

use curvature_runner::estimator::{Budget, Identity, written};
use curvature_runner::lists::{Seed, VBatch};
use curvature_runner::output::format;
use curvature_runner::output::{Before, FailureRecord, Record, Rows};
use curvature_runner::plan::{Job, Plan, Setup};
use curvature_runner::problem::data::Dataset;
use curvature_runner::spec::{ExperimentKind, SpecText};
use std::fmt::Write;
use std::path::Path;

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
    let (device, dtype) = (plan.place(), plan.precision());
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
        Budget::Counts(counts) | Budget::First { counts, .. } => match counts[..] {
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

/// A job in a few words.
pub fn job(job: &Job) -> String {
    match job.seed {
        Some(Seed::Value(seed)) => format!("{}, seed {seed}", setting(job)),
        Some(Seed::Continue) => format!("{}, continuing", setting(job)),
        None => setting(job),
    }
}

/// What a job gave: its last estimate with its interval, or that it failed.
pub fn result(rows: &Rows) -> String {
    let Some(row) = rows.records.last() else {
        return "failed".into();
    };
    let half = row
        .ci_low
        .zip(row.ci_high)
        .map(|(low, high)| (high - low) / 2.0);
    let (value, time) = (
        format::within(row.estimate, half),
        format::seconds(row.seconds),
    );
    format!("{value} in {time}")
}

/// A job without its seed: "hutchinson hmp full, V 100, V_batch 10", "hutchinson forward full, to rtol 0.01".
pub fn setting(job: &Job) -> String {
    let v = match &job.budget {
        Budget::Counts(_) | Budget::First { .. } => job.budget.most(),
        Budget::Tolerance(_) => None,
    };
    let name = named(&Identity {
        v,
        ..job.setting.clone().into()
    });
    match &job.budget {
        Budget::Counts(_) | Budget::First { .. } => name,
        Budget::Tolerance(tolerance) => {
            let bounds = [("rtol", tolerance.rtol), ("atol", tolerance.atol)];
            let given = bounds.into_iter().filter(|(_, bound)| *bound > 0.0);
            let given: Vec<String> = given.map(|(key, bound)| format!("{key} {bound}")).collect();
            format!("{name}, to {}", given.join(" or "))
        }
    }
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
