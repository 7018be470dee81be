//! `runner SPEC...`: experiments, one after another.

use super::experiment::experiment;
use super::interrupt::Interrupt;
use super::{End, Failure, consent, predictions, print};
use curvature_runner::error::UserError;
use curvature_runner::output::Session;
use curvature_runner::plan::{Job, Plan};
use curvature_runner::run::Trials;
use curvature_runner::spec::{Override, Spec, SpecError, SpecText};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args)]
pub struct Arguments {
    /// Experiments to run, one after another
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,

    /// Set any key over the spec, as sampling.V_batch=[20]; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::parse)]
    settings: Vec<Override>,

    /// Compute on this device: auto, cpu, cuda, cuda:N
    #[arg(long)]
    device: Option<String>,

    /// Compute in float32 or float64
    #[arg(long)]
    dtype: Option<String>,

    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    threads: Option<u64>,

    /// Write to this folder instead of results/<name>
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Run only estimators with these words, as hutchinson or "hutchinson hmp"; may be repeated
    #[arg(long, value_name = "ESTIMATOR")]
    only: Vec<String>,

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
    yes: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Check everything and print the plan: jobs, products, memory and time
    #[arg(long)]
    dry_run: bool,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    check_out(arguments.out.as_deref())?;
    let plans = plans(arguments)?;
    let stop = Interrupt::listen();
    if arguments.dry_run {
        return Ok(dry_run(&plans, &stop));
    }
    for (source, plan) in plans.iter().filter(|_| !arguments.yes) {
        consent::check(source, plan, &left(arguments, plan), &stop)?;
    }
    let mut end = End::Success;
    for (source, plan) in &plans {
        if stop.came() {
            return Ok(End::Interrupted);
        }
        end = end.max(experiment(arguments, source, plan, &stop).map_err(Failure::Output)?);
    }
    Ok(end)
}

/// How long the trials of a dry run may take, a spec.
const TRIALS: Duration = Duration::from_secs(20);

/// Prints every plan, and what it will cost.
fn dry_run(plans: &[(SpecText, Arc<Plan>)], stop: &Interrupt) -> End {
    let mut trials = Trials::new(TRIALS);
    for (source, plan) in plans {
        print!("{}", print::plan(source, plan));
        for warning in plan.warnings() {
            tracing::warn!("{warning}");
        }
        let predictions = trials.predict(plan, &|| stop.came());
        if stop.came() {
            return End::Interrupted;
        }
        print!("{}", predictions::text(plan, &predictions));
    }
    End::Success
}

/// Refuses a file where a folder is asked for.
fn check_out(out: Option<&Path>) -> Result<(), UserError> {
    match out.and_then(|out| in_the_way(out).map(|file| (out, file))) {
        None => Ok(()),
        Some((out, file)) => Err(UserError::new(
            "--out",
            format!(
                "--out: found the file {}, expected {} to be a folder for results, or nothing yet",
                file.display(),
                out.display()
            ),
            "name another folder; it is made where it is not there",
        )),
    }
}

/// The file that keeps `folder` from being made.
pub fn in_the_way(folder: &Path) -> Option<&Path> {
    let named = |path: &&Path| !path.as_os_str().is_empty() && path.exists();
    let there = folder.ancestors().find(named)?;
    (!there.is_dir()).then_some(there)
}

/// The jobs of `plan` that a run has to do.
fn left(arguments: &Arguments, plan: &Plan) -> Vec<usize> {
    let folder = folder(arguments, plan);
    let missing = match arguments.fresh {
        true => (0..plan.jobs.len()).collect(),
        false => Session::missing(&folder, plan, arguments.retry_failed),
    };
    let asked = |index: &usize| arguments.asks_for(&plan.jobs[*index]);
    missing.into_iter().filter(asked).collect()
}

/// All specs are checked before the first is run.
fn plans(arguments: &Arguments) -> Result<Vec<(SpecText, Arc<Plan>)>, SpecError> {
    let settings = settings(arguments);
    let plan = |path: &PathBuf| {
        let source = SpecText::read(path)?.with(&settings);
        let plan = Plan::new(Spec::parse(&source)?, &source)?;
        check_only(&arguments.only, &plan).map_err(|error| source.error(error))?;
        Ok((source, Arc::new(plan)))
    };
    let plans = arguments
        .specs
        .iter()
        .map(plan)
        .collect::<Result<Vec<_>, _>>()?;
    for (index, (source, plan)) in plans.iter().enumerate() {
        let taken = |(_, before): &&(SpecText, Arc<Plan>)| {
            folder(arguments, before) == folder(arguments, plan)
        };
        if let Some((before, _)) = plans[..index].iter().find(taken) {
            let key = match arguments.out {
                Some(_) => "--out",
                None => "name",
            };
            let folder = folder(arguments, plan);
            let found = format!(
                "found {} for the results of both {} and {}",
                folder.display(),
                before.path.display(),
                source.path.display()
            );
            let help = "give each experiment a folder of its own, or run them one by one";
            return Err(source.error(UserError::new(key, found, help)));
        }
    }
    Ok(plans)
}

/// What the command line sets over the spec; an option of its own wins over `--set`.
fn settings(arguments: &Arguments) -> Vec<Override> {
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

/// Whether a job is of a setting that has all of `words`.
fn has_words(job: &Job, words: &str) -> bool {
    words.split_whitespace().all(|word| job.setting.has(word))
}

/// Refuses words that no setting has.
fn check_only(only: &[String], plan: &Plan) -> Result<(), UserError> {
    let is_known = |words: &&String| plan.jobs.iter().any(|job| has_words(job, words));
    let Some(unknown) = only.iter().find(|words| !is_known(words)) else {
        return Ok(());
    };
    let known = plan.jobs.iter().map(|job| job.setting.to_string());
    let known: BTreeSet<String> = known.collect();
    Err(UserError::new(
        "--only",
        format!("found \"{unknown}\", which no estimator of the spec is called"),
        format!(
            "it has: {}",
            known.into_iter().collect::<Vec<_>>().join("; ")
        ),
    ))
}
