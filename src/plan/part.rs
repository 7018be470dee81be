//! Parts of a plan, for several machines: which jobs each of them runs.

use super::{Job, Plan, Setup};
use crate::error::UserError;
use crate::estimator::Budget;
use crate::lists::VBatch;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// One of `count` parts of a plan, counted from 1: "3/16".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    index: usize,
    count: usize,
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

    /// All parts of as many.
    pub fn all(self) -> impl Iterator<Item = Self> {
        let count = self.count;
        (1..=count).map(move |index| Self { index, count })
    }

    /// The jobs of `plan` that are its own, rising. Every job is in exactly one part, on every
    /// machine in the same one.
    ///
    /// The most costly jobs go first, each to the part that has least to do; costs are counted in
    /// products. Jobs whose V_batch is found by a trial stay together with all that share the trial.
    pub fn jobs(self, plan: &Plan) -> Vec<usize> {
        let mut units = units(plan);
        units.sort_by(|a, b| b.cost.total_cmp(&a.cost).then(a.jobs[0].cmp(&b.jobs[0])));
        let mut loads = vec![0.0; self.count];
        let mut own = Vec::new();
        for unit in units {
            let lightest = (0..self.count).min_by(|&a, &b| f64::total_cmp(&loads[a], &loads[b]));
            let part = lightest.expect("at least one part");
            loads[part] += unit.cost;
            if part + 1 == self.index {
                own.extend(unit.jobs);
            }
        }
        own.sort_unstable();
        own
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

/// Jobs that one machine has to run.
struct Unit {
    /// Rising.
    jobs: Vec<usize>,
    cost: f64,
}

fn units(plan: &Plan) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut shared: HashMap<_, usize> = HashMap::new();
    for (index, job) in plan.jobs.iter().enumerate() {
        let next = units.len();
        let place = match job.v_batch {
            Some(VBatch::Auto) => *shared.entry(job.multiplies()).or_insert(next),
            Some(VBatch::Fixed(_)) | None => next,
        };
        if place == next {
            let (jobs, cost) = (Vec::new(), 0.0);
            units.push(Unit { jobs, cost });
        }
        units[place].jobs.push(index);
        units[place].cost += cost(plan, job);
    }
    units
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
