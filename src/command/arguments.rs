//! What the command line says of a run.

use curvature_runner::plan::{Job, Plan};
use curvature_runner::spec::Override;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// Experiments to run, one after another
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<PathBuf>,

    /// Set any key over the spec, as sampling.V_batch=[20]; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::parse)]
    pub settings: Vec<Override>,

    /// Compute on this device: auto, cpu, cuda, cuda:N
    #[arg(long)]
    pub device: Option<String>,

    /// Compute in float32 or float64
    #[arg(long)]
    pub dtype: Option<String>,

    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub threads: Option<u64>,

    /// Write to this folder instead of results/<name>
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Run only estimators with these words, as hutchinson or "hutchinson hmp"; may be repeated
    #[arg(long, value_name = "ESTIMATOR")]
    pub only: Vec<String>,

    /// Run everything again, whatever is done already
    #[arg(long)]
    pub fresh: bool,

    /// Run again what failed before
    #[arg(long)]
    pub retry_failed: bool,

    /// Stop at the first job that fails
    #[arg(long)]
    pub fail_fast: bool,

    /// Run what is predicted to last over an hour without asking
    #[arg(long, short)]
    pub yes: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Check everything and print the plan: jobs, products, memory and time
    #[arg(long)]
    pub dry_run: bool,
}

impl Arguments {
    /// Whether `--only` leaves a job in.
    pub fn asks_for(&self, job: &Job) -> bool {
        self.only.is_empty() || self.only.iter().any(|words| has_words(job, words))
    }
}

/// Where the results of `plan` go.
pub fn folder(arguments: &Arguments, plan: &Plan) -> PathBuf {
    match &arguments.out {
        Some(folder) => folder.clone(),
        None => PathBuf::from("results").join(&plan.spec.name),
    }
}

/// The file that keeps `folder` from being made.
pub fn in_the_way(folder: &Path) -> Option<&Path> {
    let named = |path: &&Path| !path.as_os_str().is_empty() && path.exists();
    let there = folder.ancestors().find(named)?;
    (!there.is_dir()).then_some(there)
}

/// What the command line sets over the spec; an option of its own wins over `--set`.
pub fn settings(arguments: &Arguments) -> Vec<Override> {
    let mut settings = arguments.settings.clone();
    let texts = [
        ("--device", "device", &arguments.device),
        ("--dtype", "dtype", &arguments.dtype),
    ];
    for (option, key, value) in texts {
        settings.extend(value.iter().map(|value| Override::text(option, key, value)));
    }
    let threads = arguments.threads;
    settings.extend(threads.map(|threads| Override::number("--threads", "threads", threads)));
    settings
}

/// Whether a job is of a setting that has all of `words`.
pub fn has_words(job: &Job, words: &str) -> bool {
    words.split_whitespace().all(|word| job.setting.has(word))
}
