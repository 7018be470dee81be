//! `runner SPEC...`: experiments, one after another.

use super::interrupt::Interrupt;
use super::predictions::predictions;
use super::print;
use super::progress::Progress;
use super::{End, Failure};
use curvature_runner::error::UserError;
use curvature_runner::estimator::Progress as Sampled;
use curvature_runner::output::{Finished, Results, Session, redraw, summarise};
use curvature_runner::plan::{Job, Plan};
use curvature_runner::run::{Impossible, Observer, Todo, run};
use curvature_runner::spec::{Override, Spec, SpecError, SpecText};
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

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
    out: Option<PathBuf>,

    /// Run only estimators with these words, as hutchinson or "hutchinson hmp"; may be repeated
    #[arg(long, value_name = "ESTIMATOR")]
    only: Vec<String>,

    /// Run everything again, whatever is done already
    #[arg(long)]
    fresh: bool,

    /// Run again what failed before
    #[arg(long)]
    retry_failed: bool,

    /// Stop at the first job that fails
    #[arg(long)]
    fail_fast: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short)]
    quiet: bool,

    /// Check everything and print the plan: jobs, products, memory and time
    #[arg(long)]
    dry_run: bool,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let plans = plans(arguments)?;
    let stop = Interrupt::listen();
    limit_threads(&plans);
    let mut end = End::Success;
    for (source, plan) in &plans {
        if arguments.dry_run {
            print!("{}", print::plan(source, plan));
            for warning in plan.warnings() {
                tracing::warn!("{warning}");
            }
            print!("{}", predictions(plan));
            continue;
        }
        end = end.max(experiment(arguments, source, plan, &stop).map_err(Failure::Output)?);
        if end == End::Interrupted {
            break;
        }
    }
    Ok(end)
}

/// Keeps what is computed beside libtorch, such as probes, to the threads that were asked for.
fn limit_threads(plans: &[(SpecText, Arc<Plan>)]) {
    let threads = plans.iter().map(|(_, plan)| plan.threads).max();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    // Fails only where there is such a pool already, which there is not.
    let _ = pool.build_global();
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

/// Where the results of `plan` go.
fn folder(arguments: &Arguments, plan: &Plan) -> PathBuf {
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

fn experiment(
    arguments: &Arguments,
    source: &SpecText,
    plan: &Plan,
    interrupt: &Interrupt,
) -> anyhow::Result<End> {
    let folder = folder(arguments, plan);
    for warning in plan.warnings() {
        tracing::warn!("{warning}");
    }
    let mut session = Session::start(&folder, plan, source, arguments.fresh)?;
    let todo = todo(arguments, plan, &session);
    if !arguments.quiet {
        eprint!(
            "{}",
            print::before(&folder, session.before(), todo.jobs.len())
        );
    }
    let observer = Arc::new(RunObserver {
        names: plan.jobs.iter().map(print::job).collect(),
        progress: Progress::start(todo.jobs.len(), arguments.quiet),
        interrupt: interrupt.clone(),
        failed_fast: AtomicBool::new(false),
        told: Mutex::default(),
    });
    let watch: Arc<dyn Observer> = observer.clone();
    let ran = run(plan, &todo, &watch, |finished| {
        observer.finished(&finished, arguments.fail_fast);
        session.append(finished)
    });
    observer.progress.end();
    let impossible = match ran {
        Err(error) if error.is::<Impossible>() => {
            tracing::error!("{error}");
            true
        }
        other => other.map(|()| false)?,
    };
    let mut ended = session.end(interrupt.came())?;
    let results = Results::read(&folder)?;
    ended.files.extend(redraw(&results)?);
    if !arguments.quiet {
        let summary = summarise(&results.records);
        print!("{}", print::outcome(plan, &summary, &ended.files));
    }
    for record in &ended.non_finite {
        tracing::warn!("{}", print::non_finite(record));
    }
    let bad = impossible || !ended.non_finite.is_empty() || !ended.failures.is_empty();
    Ok(match interrupt.came() {
        true => End::Interrupted,
        false if bad => End::Bad,
        false => End::Success,
    })
}

/// The jobs that are missing and asked for.
fn todo(arguments: &Arguments, plan: &Plan, session: &Session) -> Todo {
    let asked = |job: &Job| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|words| has_words(job, words))
    };
    let missing = |&index: &usize| {
        asked(&plan.jobs[index]) && session.is_missing(index, arguments.retry_failed)
    };
    let v_batch = |index: usize| Some((index, session.rows(index)?.records.first()?.v_batch?));
    let all = 0..plan.jobs.len();
    Todo {
        jobs: all.clone().filter(missing).collect(),
        v_batch: all.filter_map(v_batch).collect(),
    }
}

/// Shows a run, and ends it early at the user's wish.
struct RunObserver {
    /// Of every job.
    names: Vec<String>,
    progress: Progress,
    interrupt: Interrupt,
    failed_fast: AtomicBool,
    /// Notes that were shown already.
    told: Mutex<HashSet<String>>,
}

impl RunObserver {
    fn finished(&self, finished: &Finished, fail_fast: bool) {
        self.progress
            .finished(&self.names[finished.index], finished);
        for note in &finished.notes {
            let mut told = self.told.lock().expect("no panic while it is held");
            if told.insert(note.clone()) {
                tracing::warn!("{note}");
            }
        }
        for failure in &finished.rows.failures {
            tracing::error!("{}", print::failure(failure));
            self.failed_fast.fetch_or(fail_fast, Ordering::Relaxed);
        }
    }
}

impl Observer for RunObserver {
    fn started(&self, index: usize) {
        self.progress.started(&self.names[index], index);
    }

    fn progressed(&self, index: usize, progress: Sampled) {
        self.progress.progressed(index, progress);
    }

    fn stopped(&self) -> bool {
        self.interrupt.came() || self.failed_fast.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curvature_runner::output::{FailureRecord, Rows};

    /// With --fail-fast, and only then, a failure ends the run.
    #[test]
    fn a_failure_ends_the_run_where_it_is_asked_to() {
        let failed = || {
            let failure = FailureRecord {
                error: "no".into(),
                ..FailureRecord::default()
            };
            Finished {
                rows: Rows {
                    failures: vec![failure],
                    ..Rows::default()
                },
                ..Finished::default()
            }
        };
        let observer = RunObserver {
            names: vec!["exact".into()],
            progress: Progress::Quiet,
            interrupt: Interrupt::default(),
            failed_fast: AtomicBool::new(false),
            told: Mutex::default(),
        };
        observer.finished(&failed(), false);
        assert!(!observer.stopped());
        observer.finished(&failed(), true);
        assert!(observer.stopped());
    }
}
