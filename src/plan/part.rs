//! Parts of a plan, for several machines: which jobs, or pieces of jobs, each of them runs.

use super::{Job, Plan, Setup};
use crate::error::UserError;
use crate::estimator::{Budget, pieces};
use crate::spec::ExperimentKind;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;

/// One of `count` parts of a plan, counted from 1: "3/16".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    index: usize,
    count: usize,
}

/// What is to be done of a job: all of it, or some of its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Which job of the plan.
    pub job: usize,
    /// Which of its pieces, rising; `None`: all of it, to its estimates.
    pub pieces: Option<Vec<usize>>,
}

impl Portion {
    /// How many jobs or pieces it is.
    pub fn units(&self) -> usize {
        self.pieces.as_ref().map_or(1, Vec::len)
    }
}

/// How many products a run to a tolerance is taken to need: nobody knows before.
const TO_TOLERANCE: f64 = 1000.0;

impl Part {
    /// More parts are taken for a slip of the pen.
    const MOST: usize = 100_000;

    fn new(index: usize, count: usize) -> Option<Self> {
        let sensible = (1..=Self::MOST).contains(&count) && (1..=count).contains(&index);
        sensible.then_some(Self { index, count })
    }

    /// The part of a task of a Slurm job array, whose `variable`s say so: its place among the tasks,
    /// which need not be counted from 1. `None` outside of an array.
    ///
    /// # Errors
    /// Variables that make no sense.
    pub fn of_array(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, UserError> {
        const ID: &str = "SLURM_ARRAY_TASK_ID";
        if variable(ID).is_none() {
            return Ok(None);
        }
        let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
        let found = || {
            let step = number("SLURM_ARRAY_TASK_STEP").unwrap_or(1).max(1);
            let before = number(ID)?.checked_sub(number("SLURM_ARRAY_TASK_MIN")?)?;
            Self::new(before / step + 1, number("SLURM_ARRAY_TASK_COUNT")?)
        };
        match found() {
            Some(part) => Ok(Some(part)),
            None => Err(UserError::new(
                "--shard",
                format!(
                    "found {ID} = {}, but SLURM_ARRAY_TASK_MIN and SLURM_ARRAY_TASK_COUNT do not say which part of how many that is",
                    variable(ID).unwrap_or_default()
                ),
                "name the part with --shard 1/4, or unset the variable",
            )),
        }
    }

    /// The folder of its results within those of the whole.
    pub fn folder(&self) -> String {
        format!("parts/{}-of-{}", self.index, self.count)
    }

    /// All parts of as many, each with what is its own of `plan`.
    pub fn all(self, plan: &Plan) -> impl Iterator<Item = (Self, Vec<Portion>)> + use<> {
        let count = self.count;
        let parts = (1..=count).map(move |index| Self { index, count });
        parts.zip(deal(plan, count))
    }

    /// What is its own of `plan`, by rising jobs. Every piece of every job is in exactly one part, on
    /// every machine in the same one.
    pub fn portions(self, plan: &Plan) -> Vec<Portion> {
        deal(plan, self.count).swap_remove(self.index - 1)
    }
}

/// A job with more than a sixteenth of what falls to a part is cut, where it can be: then no part has
/// much more to do than another.
const LARGE: f64 = 16.0;

/// What each of `count` parts of `plan` has to do.
///
/// The most costly jobs and pieces go first, each to the part that has least to do; costs are counted
/// in products.
fn deal(plan: &Plan, count: usize) -> Vec<Vec<Portion>> {
    let costs: Vec<f64> = plan.jobs.iter().map(|job| cost(plan, job)).collect();
    let share = costs.iter().sum::<f64>() / count as f64;
    // What it costs, its job, and which piece of it, if the job is cut.
    let mut units: Vec<(u64, usize, Option<usize>)> = Vec::new();
    let mut whole = Vec::new();
    for (index, (job, cost)) in plan.jobs.iter().zip(&costs).enumerate() {
        let pieces = plan.pieces(job);
        whole.push(pieces);
        // Whole numbers, which every machine adds up alike.
        let each = |cut: usize| ((1000.0 * cost / cut as f64) as u64).max(1);
        match LARGE * cost > share && pieces > 1 {
            true => units.extend((0..pieces).map(|piece| (each(pieces), index, Some(piece)))),
            false => units.push((each(1), index, None)),
        }
    }
    units.sort_by_key(|&(cost, job, piece)| (Reverse(cost), job, piece));
    let mut lightest: BinaryHeap<_> = (0..count).map(|part| Reverse((0u64, part))).collect();
    let mut parts: Vec<Vec<(usize, Option<usize>)>> = vec![Vec::new(); count];
    for (cost, job, piece) in units {
        let Reverse((load, part)) = lightest.pop().expect("at least one part");
        lightest.push(Reverse((load.saturating_add(cost), part)));
        parts[part].push((job, piece));
    }
    let portions = |mut units: Vec<(usize, Option<usize>)>| {
        units.sort_unstable();
        let jobs = units.chunk_by(|a, b| a.0 == b.0);
        let portion = |units: &[(usize, Option<usize>)]| {
            let job = units[0].0;
            let pieces: Option<Vec<usize>> = units.iter().map(|unit| unit.1).collect();
            // All of its pieces are the job itself.
            let pieces = pieces.filter(|pieces| pieces.len() < whole[job]);
            Portion { job, pieces }
        };
        jobs.map(portion).collect()
    };
    parts.into_iter().map(portions).collect()
}

impl Plan {
    /// In how many pieces the work of a job can be cut, by the batches of its data; 1 where it cannot. The time of a
    /// timed job is that of one machine.
    pub fn pieces(&self, job: &Job) -> usize {
        let batches = match &self.setup {
            Setup::Network(setup) => setup.dataset.selection.batches,
            Setup::Matrix(_) => 1,
        };
        match self.spec.kind {
            ExperimentKind::Convergence if job.batch_sum().is_some() => pieces(batches).len(),
            _ => 1,
        }
    }

    /// Which share of its job a portion is.
    pub fn share(&self, portion: &Portion) -> f64 {
        match &portion.pieces {
            None => 1.0,
            Some(pieces) => pieces.len() as f64 / self.pieces(&self.jobs[portion.job]) as f64,
        }
    }

    /// All of its jobs.
    pub fn portions(&self) -> Vec<Portion> {
        let jobs = 0..self.jobs.len();
        jobs.map(|job| Portion { job, pieces: None }).collect()
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        numbers
            .and_then(|(index, count)| Self::new(index, count))
            .ok_or_else(|| {
                format!(
                    "expected a part and how many there are, counted from 1, as 3/16; at most {} parts",
                    Self::MOST
                )
            })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// What a job costs, in products, as far as that is known before it runs.
pub fn cost(plan: &Plan, job: &Job) -> f64 {
    match (&job.budget, &plan.setup) {
        (Budget::Tolerance(tolerance), _) => TO_TOLERANCE.min(tolerance.max_v as f64),
        (Budget::Counts(counts) | Budget::First { counts, .. }, setup) => {
            match (counts.last(), setup) {
                (Some(&most), _) => most as f64,
                // The exact trace: a column for every output.
                (None, Setup::Network(setup)) => {
                    setup.network.output().iter().product::<i64>() as f64
                }
                (None, Setup::Matrix(_)) => 1.0,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_written_as_a_fraction() {
        let part: Part = "3/16".parse().unwrap();
        assert_eq!(part.to_string(), "3/16");
        assert_eq!(part.folder(), "parts/3-of-16");
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0", "1/200000", "-1/3"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }

    fn array(variables: &[(&str, &str)]) -> Result<Option<Part>, UserError> {
        Part::of_array(|name| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_string())
        })
    }

    /// `--array=1-4`, `--array=0-3`, `--array=10-40:10`.
    #[test]
    fn a_task_of_an_array_is_a_part() {
        for (id, first, step) in [("3", "1", "1"), ("2", "0", "1"), ("30", "10", "10")] {
            let variables = [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", first),
                ("SLURM_ARRAY_TASK_STEP", step),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
            ];
            assert_eq!(array(&variables).unwrap(), Part::new(3, 4));
        }
        assert_eq!(array(&[]).unwrap(), None);
        assert!(array(&[("SLURM_ARRAY_TASK_ID", "3")]).is_err());
    }
}
