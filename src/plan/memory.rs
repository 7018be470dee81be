//! Refuses what this machine's memory cannot hold, before any of it is allocated.
//!
//! Every bound is a lower one: what passes may still be too much, what is refused cannot run.

use super::{Job, Setup};
use crate::error::UserError;
use crate::lists::{Batch, Counts};
use crate::problem::Network;
use crate::spec::Spec;
use std::fs::read_to_string;

/// Checks the parameters, one batch and the probes of `jobs`, of `element` bytes a number.
///
/// # Errors
/// The first layer or list that asks for more than there is.
pub(super) fn check(
    spec: &Spec,
    setup: &Setup,
    jobs: &[Job],
    element: u64,
) -> Result<(), UserError> {
    let Some(total) = total() else { return Ok(()) };
    let bytes = |numbers: f64| numbers * element as f64;
    let refuse = |key: String, what: String, needed: f64, help: &str| {
        let (needed, total) = (in_words(needed), in_words(total as f64));
        let found = format!("{what} takes at least {needed}, this machine has {total}");
        Err(UserError::new(key, found, help))
    };
    let samples = setup.dataset.batch as f64;
    let mut needed = 0.0;
    for (index, (layer, size)) in spec
        .model
        .layers
        .iter()
        .zip(setup.network.sizes())
        .enumerate()
    {
        needed += bytes(size.parameters as f64 + samples * size.outputs as f64);
        if needed > total as f64 {
            return refuse(
                format!("model.layers[{index}]"),
                format!("the network up to this {} layer", layer.kind()),
                needed,
                "make the layers or the batch smaller",
            );
        }
    }
    // The roots of the loss at the output: as many columns as outputs.
    let exact = |job: &Job| job.task.columns().estimator == "exact";
    let outputs = setup.network.output().iter().product::<i64>() as f64;
    let needed = bytes(samples * outputs * outputs);
    if needed > total as f64 && jobs.iter().any(exact) {
        return refuse(
            "model.layers".into(),
            format!("the exact trace over {outputs} outputs"),
            needed,
            "make the output or the batch smaller, or remove the estimator \"exact\"",
        );
    }
    let (parameters, widest) = probe(&setup.network);
    let batch = |job: &Job| {
        let Batch::Fixed(v_batch) = job.v_batch? else {
            return None;
        };
        let probes = v_batch.min(*job.counts.last()?);
        // The others draw theirs at the layers' outputs.
        let drawn = match job.task.columns().estimator.as_str() {
            "hutchinson" => parameters,
            _ => 0.0,
        };
        Some((probes, bytes(probes as f64 * (drawn + samples * widest))))
    };
    let batches = jobs.iter().filter_map(batch);
    match batches.max_by(|(_, a), (_, b)| a.total_cmp(b)) {
        Some((probes, needed)) if needed > total as f64 => {
            let what = format!("a batch of {probes} probes");
            refuse(
                key_of_v_batch(spec, probes),
                what,
                needed,
                "make V_batch smaller",
            )
        }
        _ => Ok(()),
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

/// Bytes for people: "1.5 GiB".
fn in_words(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (bytes.log2() / 10.0).clamp(0.0, units.len() as f64 - 1.0) as usize;
    format!("{:.1} {}", bytes / 1024f64.powi(power as i32), units[power])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_for_people() {
        assert_eq!(in_words(0.0), "0.0 B");
        assert_eq!(in_words(1023.0), "1023.0 B");
        assert_eq!(in_words(1.5 * 1024f64.powi(3)), "1.5 GiB");
        assert_eq!(in_words(1024f64.powi(7)), "1024.0 EiB");
    }

    #[test]
    fn a_machine_has_memory() {
        assert!(total().is_none_or(|bytes| bytes > 1 << 20));
    }
}
