//! Runs as the library does them, of tasks that look at what they are given.

use super::{MANY, Sweep};
use curvature_runner::estimator::{Budget, Estimate, Setting, Start, Task};
use curvature_runner::output::Finished;
use curvature_runner::plan::Plan;
use curvature_runner::problem::Problem;
use curvature_runner::run::{Observer, Todo, Trials, guess, run};
use curvature_runner::spec::{Override, Spec, SpecText};
use std::fmt::{self, Debug};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An estimator that does something first, and is otherwise the one that it stands for.
struct Spied {
    task: Arc<dyn Task>,
    first: Arc<dyn Fn() + Send + Sync>,
}

impl Debug for Spied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}

impl Task for Spied {
    fn setting(&self) -> Setting {
        self.task.setting()
    }

    fn trial(&self, k: u64) -> u64 {
        self.task.trial(k)
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        (self.first)();
        self.task.run(problem, start, budget, v_batch)
    }
}

fn plan(sweep: &Sweep) -> Plan {
    let source = SpecText::read(&sweep.0.path().join("spec.toml")).unwrap();
    Plan::new(Spec::parse(&source).unwrap(), &source).unwrap()
}

/// Lets every job of `plan` do `first(estimator)` first.
fn spied(mut plan: Plan, first: impl Fn(usize) + Send + Sync + Clone + 'static) -> Arc<Plan> {
    for job in &mut plan.jobs {
        let (task, first, estimator) = (job.task.clone(), first.clone(), job.estimator);
        let first = Arc::new(move || first(estimator));
        job.task = Arc::new(Spied { task, first });
    }
    Arc::new(plan)
}

/// Keeps what it is told, and interrupts if it is to.
#[derive(Default)]
struct Watch {
    interrupted: AtomicBool,
    notes: Mutex<Vec<String>>,
}

impl Observer for Watch {
    fn tuned(&self, note: &str) {
        self.notes.lock().unwrap().push(note.into());
    }

    fn stopped(&self) -> bool {
        self.interrupted()
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// All that a run of `plan` finishes.
fn finished(plan: &Arc<Plan>, watch: &Arc<Watch>) -> Vec<Finished> {
    let mut all = Vec::new();
    let observer: Arc<dyn Observer> = watch.clone();
    let done = run(plan, &Todo::all(plan), &observer, |done| {
        all.extend(done.job());
        Ok(())
    });
    done.unwrap();
    all
}

/// Sampled alone, one after another.
const TIMED: &str = r#"
kind = "timing"
timing = { warmup = 0, repeats = 1 }
sampling = { V = [10], V_batch = [5], seeds = [0] }
estimator = [{ kind = "hutchinson", blocks = "full" }]
"#;

/// Several specs in one call: each has the threads that its records name.
#[test]
fn every_plan_has_its_own_threads() {
    for (spec, threads, each) in [(TIMED, 1, 1), (TIMED, 3, 3), (MANY, 2, 1), (TIMED, 2, 2)] {
        let sweep = Sweep::new(&format!("threads = {threads}\n{spec}"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (see, plan) = (seen.clone(), plan(&sweep));
        let of_libtorch = move |_| {
            let both = (
                rayon::current_num_threads(),
                tch::get_num_threads() as usize,
            );
            see.lock().unwrap().push(both);
        };
        let jobs = finished(&spied(plan, of_libtorch), &Arc::default());
        let seen = seen.lock().unwrap();
        let sampled = |job: &&Finished| job.rows.records[0].seed.is_some();
        let records: Vec<_> = jobs.iter().filter(sampled).collect();
        assert!(
            records
                .iter()
                .all(|job| job.rows.records[0].threads == each)
        );
        let counted = seen.iter().filter(|&&both| both == (each, each)).count();
        assert!(counted >= records.len(), "{each} of {threads}: {seen:?}");
    }
}

/// The trials of a plan that are still under way are those of the next one's time.
#[test]
fn a_dry_run_tries_one_plan_after_another() {
    let sweep = Sweep::new(TIMED);
    let (held, under_way) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (hold, count) = (held.clone(), under_way.clone());
    let endless = spied(plan(&sweep), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        while hold.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        count.fetch_sub(1, Ordering::SeqCst);
    });
    let count = under_way.clone();
    let alone = spied(plan(&sweep), move |_| {
        assert_eq!(
            count.load(Ordering::SeqCst),
            0,
            "another trial is under way"
        );
    });
    let go_on = || false;
    let mut trials = Trials::new(Duration::from_millis(300));
    assert!(trials.predict(&endless, &go_on)[0].cost.is_none());
    assert!(trials.predict(&alone, &go_on)[0].cost.is_none());
    held.store(false, Ordering::SeqCst);
    // Bounded by far more than the trial of a small network takes.
    let tried = (0..400).any(|_| trials.predict(&alone, &go_on)[0].cost.is_some());
    assert!(tried, "no trial after the first has ended");
}

/// Work that never looks up is left alone: a job, and a trial for a V_batch.
#[test]
fn an_interruption_does_not_wait_for_what_is_under_way() {
    for v_batch in ["5", "\"auto\""] {
        let spec = TIMED.replace("[5]", v_batch).replace("[10]", "[5000]");
        let sweep = Sweep::new(&spec.replace("V_batch = 5", "V_batch = [5]"));
        let watch = Arc::new(Watch::default());
        let interrupt = watch.clone();
        let endless = spied(plan(&sweep), move |_| {
            interrupt.interrupted.store(true, Ordering::Relaxed);
            std::thread::park_timeout(Duration::from_secs(3600));
        });
        assert!(finished(&endless, &watch).is_empty(), "V_batch = {v_batch}");
    }
}

/// A job that the interruption breaks is not a failure.
#[test]
fn what_fails_while_it_is_cancelled_is_not_reported() {
    let sweep = Sweep::new(TIMED);
    let watch = Arc::new(Watch::default());
    let interrupt = watch.clone();
    let broken = spied(plan(&sweep), move |_| {
        interrupt.interrupted.store(true, Ordering::Relaxed);
        std::thread::sleep(2 * curvature_runner::run::GRACE);
        panic!("an assertion of a process that ends");
    });
    assert!(finished(&broken, &watch).is_empty());
}

/// Runs of seconds begin at once; the guess that tells them is too high, never far too low.
#[test]
fn short_runs_have_no_trial_before_them() {
    let guessed = |source: SpecText| {
        let plan = Plan::new(Spec::parse(&source).unwrap(), &source).unwrap();
        guess(&plan, &plan.portions())
    };
    for name in [
        "smoke",
        "convergence",
        "convergence_philox",
        "timing",
        "one_pass",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("experiments/{name}.toml"));
        let source = SpecText::read(&path).unwrap();
        let seconds = guessed(source.with(&[Override::text("--device", "device", "cpu")]));
        assert!(seconds < 600.0, "{name}: {seconds} s");
    }
    let sweep = Sweep::new(&TIMED.replace("[10]", "[100_000_000_000]"));
    let source = SpecText::read(&sweep.0.path().join("spec.toml")).unwrap();
    assert!(guessed(source) > 3600.0);
}

/// Probes at once, to be found for three estimators over two products.
const AUTO: &str = r#"
kind = "convergence"
sampling = { V = [600], V_batch = "auto", seeds = [0, 1] }
estimator = [
  { kind = "hutchinson", blocks = "full", product = "hmp" },
  { kind = "bekas", blocks = "full", product = "hmp" },
  { kind = "hutchinson", blocks = "parameter", product = "hmp" },
]
"#;

#[test]
fn one_trial_serves_all_estimators_over_a_product() {
    let sweep = Sweep::new(AUTO);
    let calls = Arc::new([const { AtomicUsize::new(0) }; 3]);
    let (count, watch) = (calls.clone(), Arc::new(Watch::default()));
    let counting = spied(plan(&sweep), move |estimator| {
        count[estimator].fetch_add(1, Ordering::Relaxed);
    });
    let jobs = finished(&counting, &watch);
    let calls: Vec<usize> = calls.iter().map(|n| n.load(Ordering::Relaxed)).collect();
    assert!(calls[0] > 2 && calls[2] > 2, "{calls:?}");
    assert_eq!(calls[1], 2, "it has a trial of its own: {calls:?}");

    let notes = watch.notes.lock().unwrap();
    assert_eq!(notes.len(), 3, "{notes:?}");
    let size = |estimator: usize| {
        let of = |job: &&Finished| counting.jobs[job.index].estimator == estimator;
        let mine = jobs.iter().find(of).unwrap();
        let size = mine.rows.records[0].v_batch.unwrap();
        let note = &notes[estimator];
        assert!(
            note.contains(&format!("V_batch = auto takes {size} (trial ")),
            "{note}"
        );
        assert!(mine.notes.contains(note), "{:?}", mine.notes);
        size
    };
    assert_eq!(size(0), size(1));
    size(2);
}
