//! The rows of a job.

use super::perform::Performer;
use crate::estimator::{Estimate, written};
use crate::lists::Seed;
use crate::output::{FailureRecord, ParameterRecord, Record, Rows};
use crate::plan::{Job, device_name};

/// The estimates of a job, and by how many bytes the process grew.
pub(super) type Measured = (Vec<Estimate>, Option<u64>);

impl Performer<'_> {
    /// The rows of a job, `repeated` holding its estimates for every repetition.
    pub(super) fn rows(&self, job: &Job, v_batch: Option<u64>, repeated: &[Measured]) -> Rows {
        let mut rows = Rows::default();
        for (repeat, (estimates, memory)) in (job.repeat..).zip(repeated) {
            for estimate in estimates {
                let record = Record {
                    v_batch,
                    memory: *memory,
                    ..self.record(job, repeat, estimate)
                };
                let parts = self.parameters.iter().zip(&estimate.parameters);
                rows.parameters.extend(parts.map(|((name, numel), part)| {
                    ParameterRecord::new(&record, name, *numel, part)
                }));
                rows.records.push(record);
            }
        }
        rows
    }

    fn record(&self, job: &Job, repeat: u64, estimate: &Estimate) -> Record {
        let columns = job.task.columns();
        Record {
            experiment: self.plan.spec.name.clone(),
            estimator: columns.estimator,
            matrix: self.matrices[job.subject].clone(),
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
            exact: self.known(job.subject, estimate.quantity),
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
        }
    }

    fn checkpoint(&self, job: &Job) -> Option<String> {
        self.plan.setup.checkpoint(job.subject)?.name.clone()
    }

    /// The row of a job that could not be done.
    pub(super) fn failure(&self, job: &Job, v_batch: Option<u64>, error: String) -> Rows {
        let columns = job.task.columns();
        let failure = FailureRecord {
            experiment: self.plan.spec.name.clone(),
            estimator: columns.estimator,
            matrix: self.matrices[job.subject].clone(),
            blocks: columns.blocks,
            product: columns.product,
            probe: columns.probe,
            stream: columns.stream,
            v: job.counts.last().copied(),
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

fn seed(job: &Job) -> Option<u64> {
    match job.seed {
        Some(Seed::Value(seed)) => Some(seed),
        Some(Seed::Continue) | None => None,
    }
}
