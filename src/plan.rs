//! From a spec to checked jobs: what can be wrong with a user's input is found here.

mod choice;
mod device;
mod jobs;
mod key;
mod memory;
mod part;
mod pilot;
mod setup;
mod warnings;

pub(crate) use choice::columns;
pub use device::device_name;
pub use jobs::{Job, Multiplies};
pub use key::Machine;
pub use part::{Part, Portion, cost};
pub use setup::{NetworkSetup, Setup};

use crate::environment;
use crate::error::UserError;
use crate::libtorch::end_openmp_threads;
use crate::memory::budget;
use crate::spec::{Dtype, Spec, SpecError, SpecText, Timing};
use tch::{Device, Kind};

/// A checked experiment: everything that running it needs.
#[derive(Debug)]
pub struct Plan {
    /// The spec as written, with an estimator.
    pub spec: Spec,
    /// Which estimator was taken and why, where the spec has none.
    pub choice: Option<String>,
    /// Where the problem lives: the first of `devices`.
    pub device: Device,
    /// What jobs may be spread over: one device, unless the spec says `cuda:*`.
    pub devices: Vec<Device>,
    /// Its floating-point type.
    pub dtype: Kind,
    /// libtorch threads, or jobs side by side.
    pub threads: usize,
    /// What it is about, read and checked.
    pub setup: Setup,
    /// Bytes that `V_batch = "auto"` may use.
    pub memory: u64,
    /// Of intervals.
    pub confidence: f64,
    /// What is to be computed, in order.
    pub jobs: Vec<Job>,
}

impl Plan {
    /// Checks `spec` and everything that it names.
    ///
    /// # Errors
    /// The first mistake, with its place in `source`.
    pub fn new(spec: Spec, source: &SpecText) -> Result<Self, SpecError> {
        let plan = Self::check(spec, source).map_err(|error| source.error(error));
        // Reading the data had some; jobs and trials run on threads of their own, which get theirs.
        end_openmp_threads();
        plan
    }

    fn check(mut spec: Spec, source: &SpecText) -> Result<Self, UserError> {
        check_name(&spec.name)?;
        check_timing(&spec.timing)?;
        setup::check_sections(&spec)?;
        let devices = device::parse(&spec.device).map_err(|e| e.within("device"))?;
        let device = devices[0];
        device::check_tf32(&spec)?;
        let threads = threads(spec.threads)?;
        let (dtype, bytes) = match spec.dtype {
            Dtype::Float32 => (Kind::Float, 4),
            Dtype::Float64 => (Kind::Double, 8),
        };
        let setup = Setup::new(&spec, source)?;
        let choice = choice::choose(&mut spec, &setup, (device, dtype));
        let jobs = jobs::jobs(&spec, &setup)?;
        check_tasks(&spec, &setup)?;
        memory::check(&spec, &setup, &jobs, (device, bytes))?;
        Ok(Self {
            device,
            devices,
            dtype,
            threads,
            setup,
            jobs,
            memory: budget(device, spec.sampling.memory()?),
            confidence: spec.sampling.confidence()?,
            choice,
            spec,
        })
    }
}

/// Whether every estimator can work on the matrix, and on the network.
fn check_tasks(spec: &Spec, setup: &Setup) -> Result<(), UserError> {
    let size = setup.parameters().iter().map(|(_, numel)| numel).sum();
    let network = match setup {
        Setup::Network(setup) => Some(&*setup.network),
        Setup::Matrix(_) => None,
    };
    for (index, estimator) in spec.estimator.iter().enumerate() {
        let task = estimator.expand(&spec.sampling, &spec.problem)?.task;
        let section = format!("estimator[{index}]");
        let product = task.setting().product.clone();
        if network.is_some_and(|n| n.script().is_some()) && product.as_deref() != Some("autodiff") {
            let kind = estimator.kind();
            return Err(without_rules(kind, product).within(&section));
        }
        task.check(network, size).map_err(|e| e.within(&section))?;
    }
    Ok(())
}

/// What cannot be computed of a TorchScript module.
fn without_rules(kind: &str, product: Option<String>) -> UserError {
    let found = match product {
        Some(product) => format!("{kind} with product \"{product}\""),
        None => kind.into(),
    };
    UserError::new(
        "",
        format!("found {found}, which needs layer rules; a TorchScript module has none"),
        "write product = \"autodiff\", with hutchinson or any estimator over products; for the others \
         write the network as layers (python -m curvature_runner.export)",
    )
}

fn check_name(name: &str) -> Result<(), UserError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(UserError::new(
            "name",
            format!("found \"{name}\", expected a name for a folder"),
            "use letters, digits, '-', '_' and '.', not starting with '.'",
        ));
    }
    Ok(())
}

fn check_timing(timing: &Timing) -> Result<(), UserError> {
    match timing.repeats {
        0 => Err(UserError::new(
            "timing.repeats",
            "found 0, expected at least 1",
            "write repeats = 5",
        )),
        _ => Ok(()),
    }
}

/// As many as asked for, or as there are cores.
fn threads(asked: Option<u64>) -> Result<usize, UserError> {
    match asked {
        None => Ok(environment::cores()),
        Some(threads @ 1..=4096) => Ok(threads as usize),
        Some(other) => Err(UserError::new(
            "threads",
            format!("found {other}, expected 1 to 4096"),
            "leave it out to use all cores",
        )),
    }
}
