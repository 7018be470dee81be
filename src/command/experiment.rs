//! One experiment, from the rows that are there to the figures.

use super::End;
use super::arguments::{Arguments, in_the_way};
use super::interrupt::Interrupt;
use super::outcome::outcome;
use super::print;
use super::progress::Progress;
use anyhow::bail;
use curvature_runner::estimator::{Budget, Progress as Sampled};
use curvature_runner::output::{Done, Finished, Results, Session, redraw};
use curvature_runner::plan::{Plan, Portion};
use curvature_runner::run::{Impossible, Observer, Todo, run};
use curvature_runner::spec::SpecText;
use std::collections::{HashMap, HashSet};
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
            print::before(&folder, session.before(), todo.portions.len())
        );
    }
    let confidence = plan.spec.sampling.confidence().unwrap_or(0.95);
    let observer = Arc::new(RunObserver {
        names: plan.jobs.iter().map(print::job).collect(),
        progress: Progress::start(todo.portions.len(), confidence, arguments.quiet),
        budgets: plan.jobs.iter().map(|job| job.budget.clone()).collect(),
        left: Mutex::new(left_by_job(&todo)),
        interrupt: interrupt.clone(),
        failed_fast: AtomicBool::new(false),
        told: Mutex::default(),
    });
    let watch: Arc<dyn Observer> = observer.clone();
    let ran = run(plan, &todo, &watch, |done| {
        observer.handed_in(&done, arguments.fail_fast);
        session.append(done)
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

/// What is missing and asked for.
fn todo(arguments: &Arguments, plan: &Plan, session: &Session) -> Todo {
    let left = |portion: &Portion| session.left(portion, arguments.retry_failed);
    let portions: Vec<Portion> = arguments.asked(plan).iter().filter_map(left).collect();
    let v_batch = |index: usize| Some((index, session.rows(index)?.records.first()?.v_batch?));
    let whole = portions.iter().filter(|portion| portion.pieces.is_none());
    let pieces = |portion: &Portion| Some((portion.job, session.pieces(portion.job)?.clone()));
    Todo {
        v_batch: (0..plan.jobs.len()).filter_map(v_batch).collect(),
        pieces: whole.filter_map(pieces).collect(),
        apart: arguments.shard.is_some(),
        portions,
    }
}

/// How many pieces are to be done of every job that is not done here to its end.
fn left_by_job(todo: &Todo) -> HashMap<usize, usize> {
    let cut = todo
        .portions
        .iter()
        .filter(|portion| portion.pieces.is_some());
    cut.map(|portion| (portion.job, portion.units())).collect()
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
    /// Pieces still to come, of every job that has some of them done here.
    left: Mutex<HashMap<usize, usize>>,
    /// Notes that were shown already.
    told: Mutex<HashSet<String>>,
}

impl RunObserver {
    fn told(&self) -> MutexGuard<'_, HashSet<String>> {
        self.told.lock().expect("no panic while it is held")
    }

    fn handed_in(&self, done: &Done, fail_fast: bool) {
        match done {
            Done::Job(finished) => self.finished(finished, fail_fast),
            Done::Pieces { index, pieces } => {
                let mut left = self.left.lock().expect("no panic while it is held");
                let Some(left) = left.get_mut(index) else {
                    return;
                };
                *left = left.saturating_sub(pieces.len());
                if *left == 0 {
                    let name = &self.names[*index];
                    self.progress.ended(name, *index, "its pieces of this part");
                }
            }
        }
    }

    fn finished(&self, finished: &Finished, fail_fast: bool) {
        let (name, index) = (&self.names[finished.index], finished.index);
        let result = print::result(&finished.rows);
        self.progress.ended(name, index, &result);
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
            left: Mutex::default(),
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
            left: Mutex::default(),
            told: Mutex::default(),
        };
        assert!(observer.stopped() && !observer.interrupted());
    }
}
