//! The jobs that a spec asks for, in its order, none of them twice.

use super::Setup;
use crate::error::UserError;
use crate::estimator::{BatchSum, Budget, Expanded, Setting, Task};
use crate::lists::{Seed, VBatch};
use crate::spec::{ExperimentKind, Spec};
use std::collections::HashMap;
use std::sync::Arc;

/// One task from one seed: an estimate, or one for each of several numbers of probes.
#[derive(Clone, Debug)]
pub struct Job {
    /// The estimator with its settings.
    pub task: Arc<dyn Task>,
    /// Which of the spec's estimators it is of.
    pub estimator: usize,
    /// Which of the setup's problems it is about.
    pub problem: usize,
    /// What its estimates have in common; V_batch is left open where it is still to be found.
    pub setting: Setting,
    /// Probes at once; `None` where that means nothing.
    pub v_batch: Option<VBatch>,
    /// How many probes.
    pub budget: Budget,
    /// Where the probes begin; `None` without probes.
    pub seed: Option<Seed>,
    /// How many jobs before this one have the same key.
    pub repeat: u64,
}

/// What takes the same time for the same V_batch: a problem, and a way to multiply with its matrix,
/// whichever estimator asks for it, or an estimator that has a way of its own.
pub type Multiplies = (usize, String);

impl Job {
    /// What it multiplies with and how.
    pub fn multiplies(&self) -> Multiplies {
        let setting = &self.setting;
        let way = match &setting.product {
            Some(product) => format!("{product} {:?} of {}", setting.blocks, setting.matrix),
            None => format!("{setting:?}"),
        };
        (self.problem, way)
    }

    /// The sum over batches of data that it is, if it is one.
    pub fn batch_sum(&self) -> Option<&dyn BatchSum> {
        self.task.batch_sum(&self.budget)
    }

    /// Everything in it that determines its result, as text.
    pub(super) fn determinants(&self) -> String {
        let Self {
            task,
            problem,
            v_batch,
            budget,
            seed,
            repeat,
            ..
        } = self;
        format!("{task:?} {problem} {v_batch:?} {budget:?} {seed:?} {repeat}")
    }
}

/// Most estimates that make sense; more are taken for a slip of the pen.
const MOST_ROWS: usize = 1_000_000;

/// The jobs of `spec` about the problems of `setup`.
///
/// # Errors
/// No estimator, too many estimates, or two that are the same.
pub(super) fn jobs(spec: &Spec, setup: &Setup) -> Result<Vec<Job>, UserError> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut taken = Taken::default();
    let mut rows: usize = 0;
    for (index, estimator) in spec.estimator.iter().enumerate() {
        let section = format!("estimator[{index}]");
        let expanded = estimator.expand(&spec.sampling, &spec.problem);
        let expanded = expanded.map_err(|error| match error.key.starts_with("sampling") {
            true => error,
            false => error.within(&section),
        })?;
        rows = rows.saturating_add(expanded.rows().saturating_mul(setup.problems()));
        if rows > MOST_ROWS {
            return Err(UserError::new(
                section,
                format!("found {rows} estimates up to here, expected at most {MOST_ROWS}"),
                "shorten V, V_batch or seeds",
            ));
        }
        for mut job in jobs_of(index, &expanded, setup, spec.kind) {
            job.repeat = taken.take(&job).map_err(|error| error.within(&section))?;
            jobs.push(job);
        }
    }
    Ok(jobs)
}

/// Every task, for its budget, from every seed, on every problem of `setup`.
fn jobs_of(estimator: usize, expanded: &Expanded, setup: &Setup, kind: ExperimentKind) -> Vec<Job> {
    // One estimate per V is timed alone; a convergence run shares its probes among all V.
    let budgets: Vec<Budget> = match (kind, expanded.budget.counts()) {
        (ExperimentKind::Timing, counts @ [_, ..]) => {
            counts.iter().map(|&count| [count].into()).collect()
        }
        _ => vec![expanded.budget.clone()],
    };
    let mut jobs = Vec::new();
    for problem in 0..setup.problems() {
        for &v_batch in &expanded.batches {
            let setting = setting(expanded.task.as_ref(), setup, problem, v_batch);
            for budget in &budgets {
                jobs.extend(expanded.seeds.iter().map(|&seed| Job {
                    task: expanded.task.clone(),
                    estimator,
                    problem,
                    setting: setting.clone(),
                    v_batch,
                    budget: budget.clone(),
                    seed,
                    repeat: 0,
                }));
            }
        }
    }
    jobs
}

/// The setting of a task's estimates of a problem, with all that the task does not know.
fn setting(task: &dyn Task, setup: &Setup, problem: usize, v_batch: Option<VBatch>) -> Setting {
    task.setting().with(|columns| {
        if let Some(name) = setup.matrix_name(problem) {
            columns.matrix = name;
        }
        columns.checkpoint = setup.checkpoint(problem).and_then(|c| c.name.clone());
        columns.v_batch = match v_batch {
            Some(VBatch::Fixed(v_batch)) => Some(v_batch),
            Some(VBatch::Auto) | None => None,
        };
    })
}

/// The estimates that there are already.
#[derive(Default)]
struct Taken {
    /// Every setting has a number, so that keys are small.
    settings: HashMap<Setting, usize>,
    estimates: HashMap<Key, Last>,
}

/// What tells the estimates of one repetition from each other: the number of their setting, seed, V.
type Key = (usize, Option<Seed>, Option<u64>);

/// How often an estimate has come, and which of the spec's estimators had it last.
#[derive(Clone, Copy)]
struct Last {
    times: u64,
    estimator: usize,
}

impl Taken {
    /// Takes the estimates of `job`; returns how often they have come before.
    ///
    /// # Errors
    /// Estimates that are there already, unless they go on in one stream of random numbers.
    fn take(&mut self, job: &Job) -> Result<u64, UserError> {
        let keys = self.keys(job);
        let before = keys.iter().filter_map(|key| self.estimates.get(key));
        let before = before.max_by_key(|last| last.times).copied();
        let times = match before {
            None => 0,
            Some(last) if job.seed == Some(Seed::Continue) => last.times,
            Some(Last { estimator, .. }) => {
                return Err(UserError::new(
                    "",
                    format!(
                        "found the same settings and seed as estimator[{estimator}], so the same result"
                    ),
                    "remove one of them, or give it other seeds",
                ));
            }
        };
        let last = Last {
            times: times + 1,
            estimator: job.estimator,
        };
        self.estimates
            .extend(keys.into_iter().map(|key| (key, last)));
        Ok(times)
    }

    /// The keys of a job's estimates: of every quantity, for every V.
    fn keys(&mut self, job: &Job) -> Vec<Key> {
        let mut keys = Vec::new();
        for quantity in job.task.quantities() {
            let next = self.settings.len();
            let setting = job.setting.of(quantity).into();
            let setting = *self.settings.entry(setting).or_insert(next);
            match job.budget.counts() {
                [] => keys.push((setting, job.seed, None)),
                counts => keys.extend(counts.iter().map(|&v| (setting, job.seed, Some(v)))),
            }
        }
        keys
    }
}
