//! The rows of a job.

use super::job::JobRunner;
use crate::estimator::{Estimate, written};
use crate::lists::Seed;
use crate::output::{Diagonal, FailureRecord, File, ParameterRecord, Record, Rows, add_artefacts};
use crate::plan::{Job, device_name};
use crate::problem::Problem;
use crate::problem::data::hex;
use sha2::{Digest, Sha256};

/// The estimates of a job, and by how many bytes the process grew.
pub(super) type Measured = (Vec<Estimate>, Option<u64>);

impl JobRunner<'_> {
    /// The rows and files of a job, `repeated` holding its estimates for every repetition.
    pub(super) fn rows(
        &self,
        job: &Job,
        v_batch: Option<u64>,
        repeated: &[Measured],
    ) -> (Rows, Vec<File>) {
        let (mut rows, mut files) = (Rows::default(), Vec::new());
        let name = name(job);
        for (repeat, (estimates, memory)) in (job.repeat..).zip(repeated) {
            for estimate in estimates {
                let record = Record {
                    v_batch,
                    memory: *memory,
                    ..self.record(job, repeat, estimate)
                };
                let parts = self.parameters.iter().zip(&estimate.parameters);
                rows.parameters.extend(parts.map(|((name, numel), part)| {
                    ParameterRecord::new(&record, name, *numel, part, self.plan.confidence)
                }));
                let found = &estimate.artefacts;
                let more = add_artefacts(&mut rows, &record, found, &self.parameters, &name);
                files.extend(more);
                rows.records.push(record);
            }
        }
        (rows, files)
    }

    /// The diagonals among the estimates; repetitions have the same.
    pub(super) fn diagonals(
        &self,
        job: &Job,
        problem: &Problem,
        repeated: &[Measured],
    ) -> Vec<Diagonal> {
        let estimates = repeated.first().into_iter().flat_map(|(all, _)| all);
        let found = estimates.filter_map(|estimate| {
            let record = self.record(job, job.repeat, estimate);
            Some((record, estimate.diagonal.as_ref()?))
        });
        found
            .map(|(record, entries)| {
                let number = |n: Option<u64>| n.map(|n| n.to_string());
                let settings = [
                    ("estimator", Some(record.estimator)),
                    ("matrix", Some(record.matrix)),
                    ("blocks", record.blocks),
                    ("product", record.product),
                    ("probe", record.probe),
                    ("V", number(record.v)),
                    ("seed", number(record.seed)),
                ];
                let metadata: Vec<(String, String)> = settings
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_string(), value?)))
                    .collect();
                let part = |(key, value): &(String, String)| match key.as_str() {
                    "V" | "seed" => format!("{key}{value}"),
                    _ => value.replace(' ', "_"),
                };
                let mut rest = entries.as_slice();
                let parameter = |((name, _), shape): (&(String, i64), Vec<i64>)| {
                    let (own, after) = rest.split_at(shape.iter().product::<i64>() as usize);
                    rest = after;
                    (name.clone(), shape, own.to_vec())
                };
                let parameters = self.parameters.iter().zip(problem.shapes());
                Diagonal {
                    name: metadata.iter().map(part).collect::<Vec<_>>().join("-"),
                    parameters: parameters.map(parameter).collect(),
                    metadata,
                }
            })
            .collect()
    }

    fn record(&self, job: &Job, repeat: u64, estimate: &Estimate) -> Record {
        let columns = job.task.columns();
        let (ci_low, ci_high) = estimate.value.bounds(self.plan.confidence).unzip();
        Record {
            experiment: self.plan.spec.name.clone(),
            estimator: columns.estimator,
            matrix: self.matrix(job, columns.matrix),
            blocks: columns.blocks,
            product: columns.product,
            probe: columns.probe,
            stream: columns.stream,
            v: estimate.v,
            v_batch: None,
            seed: seed(job),
            repeat,
            estimate: estimate.value.mean,
            std_error: estimate.value.std_error,
            exact: self.known(job.problem, estimate.quantity),
            products: estimate.products,
            seconds: estimate.seconds,
            device: device_name(self.plan.device),
            dtype: written(self.plan.spec.dtype),
            threads: self.threads,
            memory: None,
            quantity: estimate.quantity.name().into(),
            delta: estimate.quantity.delta(),
            settings: columns.settings,
            checkpoint: self.checkpoint(job),
            ci_low,
            ci_high,
            interval: estimate.value.interval.name().map(str::to_string),
            stop: estimate.stop.map(|stop| stop.name().to_string()),
        }
    }

    fn checkpoint(&self, job: &Job) -> Option<String> {
        self.plan.setup.checkpoint(job.problem)?.name.clone()
    }

    /// What its matrix is called: a given one has a name of its own.
    fn matrix(&self, job: &Job, of_network: Option<String>) -> String {
        of_network.unwrap_or_else(|| self.matrices[job.problem].clone())
    }

    /// The row of a job that could not be done.
    pub(super) fn failure(&self, job: &Job, v_batch: Option<u64>, error: String) -> Rows {
        let columns = job.task.columns();
        let failure = FailureRecord {
            experiment: self.plan.spec.name.clone(),
            estimator: columns.estimator,
            matrix: self.matrix(job, columns.matrix),
            blocks: columns.blocks,
            product: columns.product,
            probe: columns.probe,
            stream: columns.stream,
            v: job.budget.most(),
            v_batch,
            seed: seed(job),
            repeat: job.repeat,
            error,
            checkpoint: self.checkpoint(job),
        };
        Rows {
            failures: vec![failure],
            ..Rows::default()
        }
    }
}

/// What tells the files of a job from those of others, whatever the plan.
fn name(job: &Job) -> String {
    hex(&Sha256::digest(format!("{job:?}")))[..8].to_string()
}

fn seed(job: &Job) -> Option<u64> {
    match job.seed {
        Some(Seed::Value(seed)) => Some(seed),
        Some(Seed::Continue) | None => None,
    }
}
