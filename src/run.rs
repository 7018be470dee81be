//! From a plan to records: jobs are run, each finished one is handed on at once.

use crate::estimator::{
    Columns, Estimate, Start, StreamKind, TorchStream, exact_trace, tuned_v_batch, written,
};
use crate::lists::{Batch, Seed};
use crate::memory::growth_of;
use crate::output::{Finished, ParameterRecord, Record};
use crate::plan::{Job, Plan, device_name};
use crate::problem::Subject;
use crate::problem::generator::TorchGenerator;
use crate::spec::ExperimentKind;
use anyhow::Result;
use rayon::prelude::*;
use std::sync::mpsc;
use tch::{Cuda, Device};

/// Runs all jobs of `plan`; `finished` is called on this thread after each.
///
/// A convergence experiment on the CPU runs its jobs side by side, one libtorch thread each; timed
/// jobs, jobs on a GPU and jobs that continue each other's random numbers run alone.
///
/// # Errors
/// Those of `finished`; the jobs under way are completed first.
pub fn run(plan: &Plan, mut finished: impl FnMut(Finished) -> Result<()>) -> Result<()> {
    let (subjects, generator) = plan.setup.build(plan.device, plan.dtype);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wants_exact = plan.jobs.iter().any(|job| job.seed.is_none());
    let exact = |subject: &Subject| match subject {
        Subject::Network(_) if !wants_exact => None,
        // Known without computing anything where the subject is a matrix.
        _ => Some(exact_trace(subject)),
    };
    let context = Context {
        plan,
        parameters: plan.setup.parameters(),
        matrices: subjects.iter().map(matrix_name).collect(),
        exact: subjects.iter().map(exact).collect(),
        threads: cores,
    };
    let planned = tuned(plan, &subjects);
    let continues = plan.jobs.iter().any(|job| job.seed == Some(Seed::Continue));
    let timed = plan.spec.kind == ExperimentKind::Timing;
    let jobs = planned.iter().enumerate();
    if timed || continues || plan.device != Device::Cpu || plan.jobs.len() <= cores {
        return serial(&context, &subjects, generator, jobs, finished);
    }
    let (seeded, single): (Vec<_>, Vec<_>) = jobs.partition(|(_, job)| job.seed.is_some());
    serial(
        &context,
        &subjects,
        generator,
        single.into_iter(),
        &mut finished,
    )?;
    parallel(context, &subjects, seeded, finished)
}

/// The estimates of a job, and by how many bytes the process grew.
type Measured = (Vec<Estimate>, Option<u64>);

struct Context<'a> {
    plan: &'a Plan,
    /// Name and number of entries of every parameter.
    parameters: Vec<(String, i64)>,
    /// Of every subject: which matrix the trace is of, and the exact trace.
    matrices: Vec<String>,
    exact: Vec<Option<f64>>,
    threads: usize,
}

impl Context<'_> {
    /// The rows of a job, `repeated` holding its estimates for every repetition.
    fn finished(&self, index: usize, job: &Job, repeated: &[Measured]) -> Finished {
        let mut rows = Finished {
            index,
            records: Vec::new(),
            parameters: Vec::new(),
        };
        for (repeat, (estimates, memory)) in (job.repeat..).zip(repeated) {
            for estimate in estimates {
                let record = Record {
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

    /// Where a job's random numbers begin, `generator` being PyTorch's global one before it.
    fn start(&self, job: &Job, generator: &TorchGenerator) -> Start {
        match (self.plan.spec.sampling.stream, job.seed) {
            (StreamKind::Philox, Some(Seed::Value(seed))) => Start::Philox(seed),
            (StreamKind::Torch, Some(Seed::Value(seed))) => {
                Start::Torch(TorchGenerator::seeded(seed))
            }
            (_, Some(Seed::Continue) | None) => Start::Torch(generator.clone()),
        }
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
            v_batch: job.v_batch.map(size),
            seed: match job.seed {
                Some(Seed::Value(seed)) => Some(seed),
                Some(Seed::Continue) | None => None,
            },
            repeat,
            estimate: estimate.trace.mean,
            std_error: estimate.trace.std_error,
            exact: self.exact[job.subject],
            products: estimate.products,
            seconds: estimate.seconds,
            device: device_name(self.plan.device),
            dtype: written(self.plan.spec.dtype),
            threads: self.threads,
            memory: None,
        }
    }
}

fn serial<'a>(
    context: &Context<'_>,
    subjects: &[Subject],
    mut generator: TorchGenerator,
    jobs: impl Iterator<Item = (usize, &'a Job)>,
    mut finished: impl FnMut(Finished) -> Result<()>,
) -> Result<()> {
    let timing = context.plan.spec.timing;
    let (warmup, repeats) = match context.plan.spec.kind {
        ExperimentKind::Timing => (timing.warmup, timing.repeats),
        ExperimentKind::Convergence => (0, 1),
    };
    for (index, job) in jobs {
        let subject = &subjects[job.subject];
        let start = context.start(job, &generator);
        for _ in 0..warmup {
            estimates(subject, job, &start);
        }
        let repeated: Vec<_> = (0..repeats)
            .map(|_| growth_of(|| estimates(subject, job, &start)))
            .collect();
        if let (Start::Torch(start), Some(&last)) = (start, job.counts.last()) {
            generator = after(subject, start, last);
        }
        finished(context.finished(index, job, &repeated))?;
    }
    Ok(())
}

fn parallel(
    context: Context<'_>,
    subjects: &[Subject],
    jobs: Vec<(usize, &Job)>,
    mut finished: impl FnMut(Finished) -> Result<()>,
) -> Result<()> {
    let cores = context.threads;
    let context = Context {
        threads: 1,
        ..context
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores)
        .start_handler(|_| tch::set_num_threads(1))
        .build()?;
    let (sender, receiver) = mpsc::channel();
    let subjects = subjects.to_vec();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            let jobs = jobs.into_par_iter().with_max_len(1);
            let work = |(subjects, sender): &mut (Vec<Subject>, mpsc::Sender<Finished>),
                        (index, job): (usize, &Job)| {
                let start = context.start(job, &TorchGenerator::seeded(0));
                let estimates = estimates(&subjects[job.subject], job, &start);
                sender.send(context.finished(index, job, &[(estimates, None)]))
            };
            // The receiver is gone after an error, which it returns; then no new job is begun.
            let _ = pool.install(|| jobs.try_for_each_with((subjects, sender), work));
        });
        receiver.into_iter().try_for_each(&mut finished)
    });
    // libtorch's BLAS keeps the last setting for the whole process.
    tch::set_num_threads(cores as i32);
    outcome
}

/// The plan's jobs with every `V_batch = "auto"` found: once per estimator and largest V.
fn tuned(plan: &Plan, subjects: &[Subject]) -> Vec<Job> {
    let mut found: Vec<(Columns, u64, u64)> = Vec::new();
    let mut jobs = plan.jobs.clone();
    for job in jobs
        .iter_mut()
        .filter(|job| job.v_batch == Some(Batch::Auto))
    {
        let most = job.counts.last().copied().unwrap_or(1);
        let columns = job.task.columns();
        let known = found
            .iter()
            .find(|(known, v, _)| *known == columns && *v == most);
        let size = match known {
            Some((_, _, size)) => *size,
            None => {
                let task = job.task.as_ref();
                let size = tuned_v_batch(task, &subjects[job.subject], most, plan.memory);
                found.push((columns, most, size));
                size
            }
        };
        job.v_batch = Some(Batch::Fixed(size));
    }
    jobs
}

fn size(batch: Batch) -> u64 {
    match batch {
        Batch::Fixed(size) => size,
        Batch::Auto => unreachable!("sizes are found before the jobs begin"),
    }
}

/// Which matrix a trace is of.
fn matrix_name(subject: &Subject) -> String {
    match subject {
        Subject::Network(_) => "hessian".into(),
        Subject::Matrix(matrix) => matrix.name.clone(),
    }
}

/// Every estimate of a job, each as if it alone had been asked for.
fn estimates(subject: &Subject, job: &Job, start: &Start) -> Vec<Estimate> {
    synchronize(subject.device());
    let v_batch = job.v_batch.map_or(1, size);
    job.task.run(subject, start, &job.counts, v_batch)
}

/// PyTorch's generator after `probes` probes from `generator`.
fn after(subject: &Subject, generator: TorchGenerator, probes: u64) -> TorchGenerator {
    let (kind, device) = (subject.kind(), subject.device());
    let mut stream = TorchStream::new(generator, subject.shapes(), kind, device);
    stream.skip(probes);
    stream.into_generator()
}

fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}
