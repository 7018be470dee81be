//! Refuses what the memory of this machine or its card cannot hold, before any of it is allocated.
//!
//! Every bound is a lower one: what passes may still be too much, what is refused cannot run.

use super::{Job, NetworkSetup, Setup};
use crate::error::UserError;
use crate::libtorch::card_memory;
use crate::lists::{Counts, VBatch};
use crate::problem::Network;
use crate::problem::matrix::Basis;
use crate::spec::Spec;
use std::fs::read_to_string;
use tch::Device;

/// Checks what `jobs` need at least on a device, of `element` bytes a number.
///
/// # Errors
/// The first layer or list that asks for more than there is.
pub(super) fn check(
    spec: &Spec,
    setup: &Setup,
    jobs: &[Job],
    (device, element): (Device, u64),
) -> Result<(), UserError> {
    let Some(total) = Memory::of(device) else {
        return Ok(());
    };
    for job in jobs {
        kept(setup, job, element, total)?;
    }
    match setup {
        Setup::Network(setup) => network(spec, setup, jobs, element, total),
        Setup::Matrix(matrix) => {
            let vectors = jobs.iter().filter_map(probes_at_once).max().unwrap_or(0);
            // Probes and their products; the basis is drawn in float64 beside the matrices.
            let n = matrix.n as f64;
            let needed = match matrix.basis {
                Basis::Haar => 3.0 * 8.0 * n * n,
                Basis::Diagonal => 0.0,
            };
            refuse("problem.n", "the basis", needed, total, "make n smaller")?;
            let needed = vectors as f64 * 2.0 * n * element as f64;
            let what = format!("a batch of {vectors} probes");
            let key = key_of_v_batch(spec, vectors);
            refuse(&key, &what, needed, total, "make V_batch smaller")
        }
    }
}

/// Checks the vectors that a job keeps.
fn kept(setup: &Setup, job: &Job, element: u64, total: Memory) -> Result<(), UserError> {
    let parameters = setup.parameters();
    let size = parameters
        .iter()
        .map(|(_, numel)| *numel as f64)
        .sum::<f64>();
    // A space has no more dimensions than the matrix has columns, for each probe.
    let spaces = probes_at_once(job).unwrap_or(1);
    let kept = job.task.kept(job.budget.most().unwrap_or(0), spaces);
    let vectors = (kept as f64).min(spaces as f64 * size);
    let needed = vectors * size * element as f64;
    let what = format!("keeping {vectors} vectors");
    let help = "make V, V_batch, steps or block_size smaller";
    let key = format!("estimator[{}]", job.estimator);
    refuse(&key, &what, needed, total, help)
}

/// How much there is, and of what.
#[derive(Clone, Copy)]
struct Memory {
    bytes: u64,
    of: &'static str,
}

impl Memory {
    /// That of a card, or of this machine; `None` where nobody says.
    fn of(device: Device) -> Option<Self> {
        let (bytes, of) = match device {
            Device::Cuda(_) => (card_memory(device)?.total, "the GPU"),
            _ => (total()?, "this machine"),
        };
        Some(Self { bytes, of })
    }
}

/// Refuses `what` if it takes more than there is.
fn refuse(key: &str, what: &str, needed: f64, total: Memory, help: &str) -> Result<(), UserError> {
    let Memory { bytes, of } = total;
    if needed <= bytes as f64 {
        return Ok(());
    }
    let (needed, bytes) = (in_words(needed), in_words(bytes as f64));
    let found = format!("{what} takes at least {needed}, {of} has {bytes}");
    Err(UserError::new(key, found, help))
}

/// How many probes a job multiplies at once.
fn probes_at_once(job: &Job) -> Option<u64> {
    match job.v_batch? {
        VBatch::Fixed(v_batch) => Some(v_batch.min(job.budget.most()?)),
        VBatch::Auto => None,
    }
}

/// Checks the parameters, one batch and the probes of `jobs`.
fn network(
    spec: &Spec,
    setup: &NetworkSetup,
    jobs: &[Job],
    element: u64,
    total: Memory,
) -> Result<(), UserError> {
    let bytes = |numbers: f64| numbers * element as f64;
    let samples = setup.dataset.selection.batch as f64;
    let mut needed = 0.0;
    for size in setup.network.sizes() {
        needed += bytes(size.parameters as f64 + samples * size.outputs as f64);
        let key = format!("model.{}", size.key);
        let what = format!("the network up to this {} layer", size.kind);
        refuse(
            &key,
            &what,
            needed,
            total,
            "make the layers or the batch smaller",
        )?;
    }
    let (parameters, widest) = probe(&setup.network);
    let batch = |job: &Job| {
        let probes = probes_at_once(job)?;
        let numbers = job.task.probe_size(parameters, samples * widest);
        Some((probes, bytes(probes as f64 * numbers)))
    };
    let batches = jobs.iter().filter_map(batch);
    match batches.max_by(|(_, a), (_, b)| a.total_cmp(b)) {
        Some((probes, needed)) => {
            let what = format!("a batch of {probes} probes");
            let key = key_of_v_batch(spec, probes);
            refuse(&key, &what, needed, total, "make V_batch smaller")
        }
        None => Ok(()),
    }
}

/// How many parameters there are, and the most numbers that a layer puts out from the first one
/// with parameters on: what a single probe fills.
fn probe(network: &Network) -> (f64, f64) {
    network
        .sizes()
        .fold((0.0, 0.0), |(sum, widest): (f64, f64), size| {
            let sum = sum + size.parameters as f64;
            match sum > 0.0 {
                true => (sum, widest.max(size.outputs as f64)),
                false => (sum, widest),
            }
        })
}

/// Where a V_batch of at least `most` stands: with an estimator, or else in `[sampling]`.
fn key_of_v_batch(spec: &Spec, most: u64) -> String {
    let own = |estimator| {
        let table = toml::Value::try_from(estimator).ok()?;
        let list: Counts = table.get("V_batch")?.clone().try_into().ok()?;
        list.expand().ok()?.last().copied()
    };
    let index = spec
        .estimator
        .iter()
        .position(|estimator| own(estimator) >= Some(most));
    match index {
        Some(index) => format!("estimator[{index}].V_batch"),
        None => "sampling.V_batch".into(),
    }
}

/// The memory of this machine, or of the control group that this process runs in, in bytes;
/// `None` where the system does not say.
fn total() -> Option<u64> {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    });
    let group = read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    [machine, group].into_iter().flatten().min()
}

/// Bytes for people: "1.5 GiB"; what 64 bits cannot count is 16 EiB.
fn in_words(bytes: f64) -> String {
    bytesize::ByteSize(bytes as u64).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_for_people() {
        assert_eq!(in_words(1023.0), "1023 B");
        assert_eq!(in_words(1.5 * 1024f64.powi(3)), "1.5 GiB");
        assert_eq!(in_words(1024f64.powi(7)), "16.0 EiB");
    }

    #[test]
    fn a_machine_has_memory() {
        assert!(total().is_none_or(|bytes| bytes > 1 << 20));
    }
}
