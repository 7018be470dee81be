//! The rows of a job.

use crate::estimator::{Estimate, Identity, Quantity};
use crate::lists::Seed;
use crate::output::{Diagonal, FailureRecord, File, ParameterRecord, Record, Rows, add_artefacts};
use crate::plan::{Job, Plan, device_name};
use crate::problem::Problem;
use tch::Device;

/// The estimates of a job, and by how many bytes memory grew.
pub(super) type Measured = (Vec<Estimate>, Option<u64>);

/// Makes the rows of a plan's jobs.
pub(super) struct RowMaker<'a> {
    plan: &'a Plan,
    /// Name and number of entries of every parameter.
    parameters: Vec<(String, i64)>,
    /// Of every job: what its estimates are determined by, as a hash.
    result_keys: Vec<String>,
    /// Of every problem that is in memory: its eigenvalues, where it is given by them.
    spectra: Vec<Option<Vec<f64>>>,
}

impl<'a> RowMaker<'a> {
    pub(super) fn new(plan: &'a Plan, problems: &[Problem]) -> Self {
        let spectrum = |problem: &Problem| match problem {
            Problem::Network(_) => None,
            Problem::Matrix(matrix) => Some(matrix.eigenvalues.clone()),
        };
        Self {
            plan,
            parameters: plan.setup.parameters(),
            result_keys: plan.result_keys(),
            spectra: problems.iter().map(spectrum).collect(),
        }
    }

    /// The rows and files of a job, `repeated` holding its estimates for every repetition, `place` its
    /// device and threads.
    pub(super) fn rows(
        &self,
        index: usize,
        v_batch: Option<u64>,
        repeated: &[Measured],
        place: (Device, usize),
    ) -> (Rows, Vec<File>) {
        let (mut rows, mut files) = (Rows::default(), Vec::new());
        let job = &self.plan.jobs[index];
        for (repeat, (estimates, memory)) in (job.repeat..).zip(repeated) {
            for estimate in estimates {
                let identity = identity(job, v_batch, repeat, estimate);
                let record = Record {
                    memory: *memory,
                    ..self.record(job, &identity, estimate, place)
                };
                let parts = self.parameters.iter().zip(&estimate.parameters);
                rows.parameters.extend(parts.map(|((name, numel), part)| {
                    ParameterRecord::new(&record, name, *numel, part, self.plan.confidence)
                }));
                let found = &estimate.artefacts;
                let tag = self.tag(index);
                let more = add_artefacts(&mut rows, &record, found, &self.parameters, tag);
                files.extend(more);
                rows.records.push(record);
            }
        }
        (rows, files)
    }

    /// The diagonals among the estimates; repetitions have the same.
    pub(super) fn diagonals(
        &self,
        index: usize,
        problem: &Problem,
        repeated: &[Measured],
    ) -> Vec<Diagonal> {
        let job = &self.plan.jobs[index];
        let estimates = repeated.first().into_iter().flat_map(|(all, _)| all);
        let found = estimates.filter_map(|estimate| {
            let entries = estimate.diagonal.as_ref()?;
            Some((
                identity(job, job.setting.v_batch, job.repeat, estimate),
                entries,
            ))
        });
        let diagonal = |(identity, entries): (Identity, &Vec<f64>)| Diagonal {
            name: diagonal_name(&identity, self.tag(index)),
            metadata: metadata(&identity, self.plan),
            parameters: self.by_parameter(problem, entries),
        };
        found.map(diagonal).collect()
    }

    /// The name, shape and entries of every parameter in a vector over all of them.
    fn by_parameter(
        &self,
        problem: &Problem,
        entries: &[f64],
    ) -> Vec<(String, Vec<i64>, Vec<f64>)> {
        let mut rest = entries;
        let parameter = |((name, _), shape): (&(String, i64), Vec<i64>)| {
            let (own, after) = rest.split_at(shape.iter().product::<i64>() as usize);
            rest = after;
            (name.clone(), shape, own.to_vec())
        };
        self.parameters
            .iter()
            .zip(problem.shapes())
            .map(parameter)
            .collect()
    }

    fn record(
        &self,
        job: &Job,
        identity: &Identity,
        estimate: &Estimate,
        (device, threads): (Device, usize),
    ) -> Record {
        let (ci_low, ci_high) = estimate.value.bounds(self.plan.confidence).unzip();
        Record {
            estimate: estimate.value.mean,
            std_error: estimate.value.std_error,
            exact: self.exact(job.problem, estimate.quantity),
            products: estimate.products,
            seconds: estimate.seconds,
            device: device_name(device),
            dtype: self.plan.precision(),
            threads,
            ci_low,
            ci_high,
            interval: estimate.value.interval.name().map(str::to_string),
            stop: estimate.stop.map(|stop| stop.name().to_string()),
            ..Record::keyed(&self.plan.spec.name, identity)
        }
    }

    /// The row of a job that could not be done.
    pub(super) fn failure(&self, job: &Job, v_batch: Option<u64>, error: String) -> Rows {
        let identity = Identity {
            v: job.budget.most(),
            v_batch,
            seed: seed(job),
            repeat: job.repeat,
            ..job.setting.clone().into()
        };
        let failure = FailureRecord {
            error,
            ..FailureRecord::keyed(&self.plan.spec.name, &identity)
        };
        Rows {
            failures: vec![failure],
            ..Rows::default()
        }
    }

    /// The exact value of a quantity of a problem, where nothing has to be computed for it.
    fn exact(&self, problem: usize, quantity: Quantity) -> Option<f64> {
        quantity.of_spectrum(self.spectra.get(problem)?.as_ref()?)
    }

    /// What tells the files of a job from those of all others, whatever the plan: a part of the hash
    /// of everything that determines its estimates.
    fn tag(&self, index: usize) -> &str {
        &self.result_keys[index][..8]
    }
}

/// What tells an estimate of `job` from others.
fn identity(job: &Job, v_batch: Option<u64>, repeat: u64, estimate: &Estimate) -> Identity {
    Identity {
        v: estimate.v,
        v_batch,
        seed: seed(job),
        repeat,
        ..job.setting.of(estimate.quantity)
    }
}

/// What a diagonal's file is called: what a reader looks for in words, and the tag of its job.
fn diagonal_name(identity: &Identity, tag: &str) -> String {
    let columns = identity.columns().into_iter();
    let words = columns.filter_map(|(column, value)| match (column, value?) {
        ("V" | "seed", value) => Some(format!("{column}{value}")),
        ("repeat" | "stream" | "V_batch" | "quantity" | "delta" | "settings", _) => None,
        (_, value) => Some(value.replace([' ', '/'], "_")),
    });
    words.chain([tag.to_string()]).collect::<Vec<_>>().join("-")
}

/// Everything that tells a diagonal from others, for the metadata of its file.
fn metadata(identity: &Identity, plan: &Plan) -> Vec<(String, String)> {
    let columns = identity.columns().into_iter();
    let columns = columns.filter_map(|(column, value)| Some((column.to_string(), value?)));
    let problem = [
        ("experiment", plan.spec.name.clone()),
        ("dtype", plan.precision()),
    ];
    let problem = problem.map(|(key, value)| (key.to_string(), value));
    columns.chain(problem).collect()
}

fn seed(job: &Job) -> Option<u64> {
    match job.seed {
        Some(Seed::Value(seed)) => Some(seed),
        Some(Seed::Continue) | None => None,
    }
}
