//! From a plan to records: jobs are run, each finished one is handed on at once.

use crate::curvature::{Autodiff, Hmp, exact};
use crate::estimator::{Estimate, Hutchinson, Moments, TorchStream};
use crate::output::{ParameterRecord, Record};
use crate::plan::{HutchinsonTask, Job, Plan, Start, Task};
use crate::problem::Problem;
use crate::problem::generator::TorchGenerator;
use crate::spec::{ExperimentKind, ProductKind};
use anyhow::Result;
use rayon::prelude::*;
use std::sync::mpsc;
use std::time::Instant;
use tch::{Cuda, Device};

/// The rows of one finished job, `index` counting the plan's jobs.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Which job of the plan.
    pub index: usize,
    /// Its rows of `records.csv`.
    pub records: Vec<Record>,
    /// Its rows of `parameters.csv`.
    pub parameters: Vec<ParameterRecord>,
}

/// Runs all jobs of `plan`; `finished` is called on this thread after each.
///
/// A convergence experiment on the CPU runs its jobs side by side, one libtorch thread each; timed
/// jobs, jobs on a GPU and jobs that continue each other's random numbers run alone.
///
/// # Errors
/// Those of `finished`; the jobs under way are completed first.
pub fn run(plan: &Plan, finished: impl FnMut(Finished) -> Result<()>) -> Result<()> {
    let (problem, generator) = plan.setup.build(plan.device, plan.dtype);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let exact = exact_trace(plan, &problem);
    let continues = plan
        .jobs
        .iter()
        .any(|job| job.start == Some(Start::Continue));
    let timed = plan.spec.kind == ExperimentKind::Timing;
    if timed || continues || plan.device != Device::Cpu || plan.jobs.len() < 3 {
        let context = Context {
            plan,
            exact,
            threads: cores,
        };
        serial(&context, &problem, generator, finished)
    } else {
        let context = Context {
            plan,
            exact,
            threads: 1,
        };
        parallel(&context, &problem, cores, finished)
    }
}

struct Context<'a> {
    plan: &'a Plan,
    exact: Option<f64>,
    threads: usize,
}

impl Context<'_> {
    /// The rows of a job, `repeated` holding its estimates for every repetition.
    fn finished(&self, index: usize, job: &Job, repeated: &[Vec<Estimate>]) -> Finished {
        let mut rows = Finished {
            index,
            records: Vec::new(),
            parameters: Vec::new(),
        };
        for (repeat, estimates) in (job.repeat..).zip(repeated) {
            for estimate in estimates {
                let record = self.record(job, repeat, estimate);
                let parts = self
                    .plan
                    .setup
                    .network
                    .parameters()
                    .iter()
                    .zip(&estimate.parameters);
                rows.parameters.extend(parts.map(|(info, part)| {
                    ParameterRecord::new(&record, &info.name, info.numel(), part)
                }));
                rows.records.push(record);
            }
        }
        rows
    }

    fn record(&self, job: &Job, repeat: u64, estimate: &Estimate) -> Record {
        let task = match &job.task {
            Task::Exact => None,
            Task::Hutchinson(task) => Some(task),
        };
        Record {
            experiment: self.plan.spec.name.clone(),
            estimator: match job.task {
                Task::Exact => "exact".into(),
                Task::Hutchinson(_) => "hutchinson".into(),
            },
            matrix: "hessian".into(),
            blocks: task.map(|task| written(task.blocks)),
            product: task.map(|task| written(task.product)),
            probe: task.map(|task| written(task.probe)),
            stream: task.map(|task| written(task.stream)),
            v: estimate.v,
            v_batch: task.and_then(|task| task.v_batch),
            seed: match job.start {
                Some(Start::Seed(seed)) => Some(seed),
                Some(Start::Continue) | None => None,
            },
            repeat,
            estimate: estimate.trace.mean,
            std_error: estimate.trace.std_error,
            exact: self.exact,
            products: estimate.products,
            seconds: estimate.seconds,
            device: device_name(self.plan.device),
            dtype: written(self.plan.spec.dtype),
            threads: self.threads,
        }
    }
}

/// A setting as a spec writes it.
fn written(setting: impl serde::Serialize) -> String {
    match toml::Value::try_from(setting) {
        Ok(toml::Value::String(name)) => name,
        other => unreachable!("a setting is written as a name, not {other:?}"),
    }
}

/// A device as a spec writes it.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    }
}

fn exact_trace(plan: &Plan, problem: &Problem) -> Option<f64> {
    let wanted = plan.jobs.iter().any(|job| job.task == Task::Exact);
    wanted.then(|| exact_estimate(problem).trace.mean)
}

fn serial(
    context: &Context<'_>,
    problem: &Problem,
    mut generator: TorchGenerator,
    mut finished: impl FnMut(Finished) -> Result<()>,
) -> Result<()> {
    let timing = context.plan.spec.timing;
    let (warmup, repeats) = match context.plan.spec.kind {
        ExperimentKind::Timing => (timing.warmup, timing.repeats),
        ExperimentKind::Convergence => (0, 1),
    };
    for (index, job) in context.plan.jobs.iter().enumerate() {
        let start = match job.start {
            Some(Start::Seed(seed)) => TorchGenerator::seeded(seed),
            Some(Start::Continue) | None => generator.clone(),
        };
        for _ in 0..warmup {
            estimates(problem, &job.task, start.clone());
        }
        let repeated: Vec<_> = (0..repeats)
            .map(|_| estimates(problem, &job.task, start.clone()))
            .collect();
        if let Task::Hutchinson(task) = &job.task {
            generator = after(problem, task, start);
        }
        finished(context.finished(index, job, &repeated))?;
    }
    Ok(())
}

fn parallel(
    context: &Context<'_>,
    problem: &Problem,
    cores: usize,
    mut finished: impl FnMut(Finished) -> Result<()>,
) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores)
        .start_handler(|_| tch::set_num_threads(1))
        .build()?;
    let (sender, receiver) = mpsc::channel();
    let problem = problem.clone();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            pool.install(|| {
                context
                    .plan
                    .jobs
                    .par_iter()
                    .enumerate()
                    .with_max_len(1)
                    .for_each_with((problem, sender), |(problem, sender), (index, job)| {
                        let start = match job.start {
                            Some(Start::Seed(seed)) => seed,
                            _ => 0,
                        };
                        let start = TorchGenerator::seeded(start);
                        let estimates = estimates(problem, &job.task, start);
                        // The receiver is gone only after an error that ends the run.
                        let _ = sender.send(context.finished(index, job, &[estimates]));
                    });
            });
        });
        receiver.into_iter().try_for_each(&mut finished)
    });
    // libtorch's BLAS keeps the last setting for the whole process.
    tch::set_num_threads(cores as i32);
    outcome
}

/// Every estimate of a task, each as if it alone had been asked for.
fn estimates(problem: &Problem, task: &Task, start: TorchGenerator) -> Vec<Estimate> {
    match task {
        Task::Exact => vec![exact_estimate(problem)],
        Task::Hutchinson(task) => hutchinson(problem, task, start),
    }
}

fn exact_estimate(problem: &Problem) -> Estimate {
    synchronize(problem.device());
    let start = Instant::now();
    let diagonal = exact::diagonal(&problem.linearize());
    let traces = exact::traces(&diagonal);
    let seconds = start.elapsed().as_secs_f64();
    Estimate {
        v: None,
        trace: Moments::exact(traces.iter().sum()),
        parameters: traces.into_iter().map(Moments::exact).collect(),
        products: 0,
        seconds,
    }
}

fn hutchinson(problem: &Problem, task: &HutchinsonTask, start: TorchGenerator) -> Vec<Estimate> {
    synchronize(problem.device());
    let clock = Instant::now();
    let mut stream = stream(problem, start);
    match task.product {
        ProductKind::Autodiff => {
            let product = Autodiff::new(problem, task.blocks);
            Hutchinson::new(&product, 1).estimates(clock, &mut stream, &task.counts)
        }
        ProductKind::Hmp => {
            let at = problem.linearize();
            let product = Hmp::new(&at, task.blocks);
            let v_batch = task.v_batch.expect("the plan gives hmp a V_batch");
            Hutchinson::new(&product, v_batch).estimates(clock, &mut stream, &task.counts)
        }
    }
}

fn stream(problem: &Problem, generator: TorchGenerator) -> TorchStream {
    let shapes = problem.parameters.iter().map(|p| p.size()).collect();
    TorchStream::new(generator, shapes, problem.kind(), problem.device())
}

/// The generator after the last of a task's estimates, as the next one finds it.
fn after(problem: &Problem, task: &HutchinsonTask, start: TorchGenerator) -> TorchGenerator {
    let mut stream = stream(problem, start);
    stream.skip(*task.counts.last().expect("a plan has counts"));
    stream.into_generator()
}

fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}
