//! One experiment, from the rows that are there to the figures.

use super::End;
use super::arguments::{Arguments, in_the_way};
use super::interrupt::Interrupt;
use super::outcome::outcome;
use super::print;
use super::progress::Progress;
use anyhow::bail;
use curvature_runner::estimator::{Budget, Progress as Sampled};
use curvature_runner::output::{Finished, Results, Session, redraw};
use curvature_runner::plan::Plan;
use curvature_runner::run::{Impossible, Observer, Todo, run};
use curvature_runner::spec::SpecText;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Runs what is missing of an experiment, and writes what follows from all that is there.
///
/// # Errors
/// A folder that cannot be written.
pub fn experiment(
    arguments: &Arguments,
    source: &SpecText,
    plan: &Arc<Plan>,
    interrupt: &Interrupt,
) -> anyhow::Result<End> {
    let folder = arguments.folder(plan);
    if let Some(file) = in_the_way(&folder) {
        let (file, folder) = (file.display(), folder.display());
        bail!(
            "{file} is a file, where {folder} is to be a folder for results: move it, or name another folder with --out"
        );
    }
    for warning in plan.warnings() {
        tracing::warn!("{warning}");
    }
    let mut session = Session::start(&folder, plan, source, arguments.shard, arguments.fresh)?;
    let todo = todo(arguments, plan, &session);
    if !arguments.quiet {
        if let Some(choice) = &plan.choice {
            eprintln!("{choice}");
        }
        eprint!(
            "{}",
            print::before(&folder, session.before(), todo.jobs.len())
        );
    }
    let confidence = plan.spec.sampling.confidence().unwrap_or(0.95);
    let observer = Arc::new(RunObserver {
        names: plan.jobs.iter().map(print::job).collect(),
        progress: Progress::start(todo.jobs.len(), confidence, arguments.quiet),
        budgets: plan.jobs.iter().map(|job| job.budget.clone()).collect(),
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
    let interrupted = interrupt.came();
    let mut ended = session.end(interrupted)?;
    let results = Results::read(&folder)?;
    ended.files.extend(redraw(&results)?);
    if !arguments.quiet {
        print!("{}", outcome(&results, &ended.files));
    }
    for record in &ended.non_finite {
        tracing::warn!("{}", print::non_finite(record));
    }
    let bad = impossible || !ended.non_finite.is_empty() || !ended.failures.is_empty();
    Ok(match interrupted {
        true => End::Interrupted,
        false if bad => End::Bad,
        false => End::Success,
    })
}

/// The jobs that are missing and asked for.
fn todo(arguments: &Arguments, plan: &Plan, session: &Session) -> Todo {
    let missing = |index: &usize| session.is_missing(*index, arguments.retry_failed);
    let v_batch = |index: usize| Some((index, session.rows(index)?.records.first()?.v_batch?));
    Todo {
        jobs: arguments.asked(plan).into_iter().filter(missing).collect(),
        v_batch: (0..plan.jobs.len()).filter_map(v_batch).collect(),
    }
}

/// Shows a run, and ends it early at the user's wish.
struct RunObserver {
    /// Of every job.
    names: Vec<String>,
    /// Of every job what it may spend.
    budgets: Vec<Budget>,
    progress: Progress,
    interrupt: Interrupt,
    failed_fast: AtomicBool,
    /// Notes that were shown already.
    told: Mutex<HashSet<String>>,
}

impl RunObserver {
    fn told(&self) -> MutexGuard<'_, HashSet<String>> {
        self.told.lock().expect("no panic while it is held")
    }

    fn finished(&self, finished: &Finished, fail_fast: bool) {
        self.progress
            .finished(&self.names[finished.index], finished);
        for note in &finished.notes {
            if self.told().insert(note.clone()) {
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
        let most = match &self.budgets[index] {
            Budget::Counts(_) | Budget::First { .. } => progress.most,
            Budget::Tolerance(tolerance) => {
                let left = tolerance.foresee(progress.done, &progress.estimate);
                left.unwrap_or(progress.most)
            }
        };
        let progress = Sampled { most, ..progress };
        self.progress
            .progressed(&self.names[index], index, progress);
    }

    fn tuned(&self, note: &str) {
        // It comes again with the jobs, where it would be a warning.
        if self.told().insert(note.to_string()) {
            self.progress.say(note);
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupt.came()
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
            budgets: Vec::new(),
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

    /// An interruption ends the run, and what is under way; a failure does not end that.
    #[test]
    fn only_an_interruption_ends_what_is_under_way() {
        let observer = RunObserver {
            names: vec!["exact".into()],
            budgets: Vec::new(),
            progress: Progress::Quiet,
            interrupt: Interrupt::default(),
            failed_fast: AtomicBool::new(true),
            told: Mutex::default(),
        };
        assert!(observer.stopped() && !observer.interrupted());
    }
}
