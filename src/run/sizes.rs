//! The V_batch that jobs are run with: as it stands, as a trial found it, or what memory allows.

use super::caught::{Cancel, Cut};
use super::estimates::estimates;
use super::todo::{Todo, runs_of_a_job};
use crate::estimator::{Budget, Setting, Start, Trial, Work, v_batch, without_trial};
use crate::lists::VBatch;
use crate::memory::growth_of;
use crate::plan::{Job, Multiplies, Plan};
use crate::problem::Problem;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// The V_batch of every setting that does not simply stand in the spec.
pub(super) struct Sizes(Mutex<HashMap<Key, Size>>);

/// The setting, and the most probes.
type Key = (Setting, Option<u64>);

struct Size {
    v_batch: u64,
    /// How a trial found it, for a reader of the result.
    note: Option<String>,
}

fn key(job: &Job) -> Key {
    (setting(job).clone(), job.budget.most())
}

fn setting(job: &Job) -> &Setting {
    &job.setting
}

impl Sizes {
    /// Takes over what earlier jobs came to, and tries what is still to be found out: once for all
    /// jobs that multiply with the same matrix in the same way. `tell` is told what was found.
    ///
    /// # Errors
    /// A trial that was cancelled.
    pub fn new(
        plan: &Plan,
        todo: &Todo,
        problems: &[Problem],
        cancel: &Cancel,
        tell: impl Fn(&str),
    ) -> Result<Self, Cut> {
        let mut sizes: HashMap<Key, Size> = HashMap::new();
        for &(index, v_batch) in &todo.v_batch {
            take(&mut sizes, &plan.jobs[index], v_batch);
        }
        let jobs = todo.portions.iter().map(|portion| &plan.jobs[portion.job]);
        let auto = jobs.filter(|job| job.v_batch == Some(VBatch::Auto));
        let open: Vec<&Job> = auto.filter(|job| !sizes.contains_key(&key(job))).collect();
        let mut found: HashMap<Multiplies, Found> = HashMap::new();
        for job in &open {
            let product = job.multiplies();
            if !found.contains_key(&product) {
                let jobs = open.iter().filter(|other| other.multiplies() == product);
                let work = work(plan, &problems[job.problem], jobs.copied());
                let size = match todo.apart {
                    true => Found {
                        v_batch: without_trial(&work),
                        seconds: None,
                    },
                    false => tried(job, &problems[job.problem], &work, cancel)?,
                };
                found.insert(product.clone(), size);
            }
            let Found { v_batch, seconds } = found[&product];
            let v_batch = v_batch.min(job.budget.most().unwrap_or(1));
            sizes.entry(key(job)).or_insert_with(|| {
                let how = match seconds {
                    None => "the same in every part, without a trial".into(),
                    Some(0.0) => "too little to do for a trial".into(),
                    Some(seconds) => format!("trial {seconds:.1} s"),
                };
                let note = format!("{}: V_batch = auto takes {v_batch} ({how})", setting(job));
                tell(&note);
                let note = Some(note);
                Size { v_batch, note }
            });
        }
        Ok(Self(Mutex::new(sizes)))
    }

    /// The V_batch of a job; `None` where that means nothing.
    pub fn of(&self, job: &Job) -> Option<u64> {
        let found = self.lock().get(&key(job)).map(|size| size.v_batch);
        match (job.v_batch?, found) {
            (_, Some(size)) | (VBatch::Fixed(size), None) => Some(size),
            (VBatch::Auto, None) => unreachable!("sizes are found before the jobs begin"),
        }
    }

    /// How the V_batch of a job was found, where a trial of this run did.
    pub fn note(&self, job: &Job) -> Option<String> {
        self.lock().get(&key(job))?.note.clone()
    }

    /// Jobs of this setting are to use no more than `v_batch` from now on.
    pub fn reduce(&self, job: &Job, v_batch: u64) {
        take(&mut self.lock(), job, v_batch);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Size>> {
        self.0.lock().expect("no panic inside")
    }
}

/// Lets jobs of this setting use no more than `v_batch`.
fn take(sizes: &mut HashMap<Key, Size>, job: &Job, v_batch: u64) {
    let note = None;
    let size = sizes.entry(key(job)).or_insert(Size { v_batch, note });
    size.v_batch = v_batch.min(size.v_batch);
}

/// A V_batch, and how long the trial took that found it, if one did.
#[derive(Clone, Copy)]
struct Found {
    v_batch: u64,
    seconds: Option<f64>,
}

/// How far a run to a tolerance goes, nobody knows: a trial is to pay where it ends after so many probes.
const TO_A_TOLERANCE: u64 = 1000;

/// What there is to do in `jobs`, which are alike.
fn work<'a>(plan: &Plan, problem: &Problem, jobs: impl Iterator<Item = &'a Job>) -> Work {
    let batches = match problem {
        Problem::Network(problem) => problem.batches.len() as u64,
        Problem::Matrix(_) => 1,
    };
    let (mut most, mut total) = (1, 0u64);
    for job in jobs {
        let probes = job.budget.most().unwrap_or(1);
        most = most.max(probes);
        let probes = match job.budget {
            Budget::Tolerance(_) => probes.min(TO_A_TOLERANCE),
            _ => probes,
        };
        // An estimator may need several products to have k at once.
        let alone = probes / job.task.trial(1000).div_ceil(1000).max(1);
        let times = runs_of_a_job(plan).saturating_mul(batches);
        total = total.saturating_add(alone.saturating_mul(times));
    }
    Work {
        most,
        total,
        memory: plan.memory,
        bytes_per_probe: problem.bytes_per_probe().max(1),
    }
}

/// Tries to multiply as `job` does.
///
/// # Errors
/// A trial that was cancelled.
fn tried(job: &Job, problem: &Problem, work: &Work, cancel: &Cancel) -> Result<Found, Cut> {
    // Any batch of data is as costly as the others.
    let problem = &problem.first_batch();
    let (v_batch, seconds) = v_batch(work, &mut |v, k| {
        let budget = Budget::from([job.task.trial(v)]);
        let clock = Instant::now();
        let work = || estimates(job, problem, &Start::Philox(0), &budget, k);
        let run = || growth_of(problem.device(), work);
        let ((_, growth), _) = cancel.attempt(|_| {}, run).ok()?;
        Some(Trial {
            seconds: clock.elapsed().as_secs_f64(),
            growth,
        })
    });
    match cancel.is_set() {
        true => Err(Cut::Cancelled),
        false => Ok(Found {
            v_batch,
            seconds: Some(seconds),
        }),
    }
}
