//! Which way to the trace takes least on a network: a few draws of two ways of sampling tell, beside what the exact
//! trace takes by count.

use super::Setup;
use crate::curvature::exact;
use crate::estimator::{Budget, EstimatorSpec, Sampling, Start};
use crate::problem::{Problem, ProblemSpec};
use tch::{Device, Kind};

/// Draws of every way. With so few the ratio of two variances is known within a factor of about 4.
const DRAWS: u64 = 8;

/// Draws at once: few, so that memory is that of the smallest run.
const AT_ONCE: u64 = 2;

/// Where a probe fills more bytes than this, a pilot would take minutes.
const MOST_BYTES: u64 = 1 << 28;

/// No seed of a run: what a choice was made by is no part of what it finds.
const SEED: u64 = 0x7069_6c6f_7473;

/// What a pilot has found.
pub(super) struct Pilot {
    /// Standard deviations of a draw relative to the mean of all of them.
    pub(super) spreads: [f64; 2],
    /// What the exact trace takes of a batch, in columns that go through the whole network.
    pub(super) exact_columns: f64,
}

/// What [`DRAWS`] draws of both estimators spread, on the first batch of the last checkpoint.
///
/// Cost: so many passes over one batch, whatever the data set holds; the result is a function of the
/// problem alone, and not of how fast a machine is. `None` if one of them cannot sample it, or the network
/// is too large for a pilot.
pub(super) fn pilot(
    setup: &Setup,
    (device, kind): (Device, Kind),
    estimators: [&EstimatorSpec; 2],
    shared: &Sampling,
) -> Option<Pilot> {
    let (problems, _) = setup.build(device, kind);
    let network = match problems.into_iter().next_back()? {
        Problem::Network(problem) => problem.on_batch(0),
        Problem::Matrix(_) => return None,
    };
    if network.bytes_per_probe() > MOST_BYTES {
        return None;
    }
    let exact_columns = exact::cost_in_columns(&network.first_samples(1).linearize());
    let problem = Problem::from(network);
    let sampling = Sampling {
        v: None,
        rtol: Some(1.0),
        ..shared.clone()
    };
    let spread = |estimator: &EstimatorSpec| {
        let task = estimator.expand(&sampling, &ProblemSpec::default()).ok()?;
        let budget = Budget::from([DRAWS]);
        let found = task
            .task
            .run(&problem, &Start::Philox(SEED), &budget, AT_ONCE);
        let value = &found.first()?.value;
        Some((value.mean, value.std_error? * (DRAWS as f64).sqrt()))
    };
    let found = [spread(estimators[0])?, spread(estimators[1])?];
    // The mean of the one that is surer of it.
    let surer = found.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Pilot {
        spreads: found.map(|(_, deviation)| deviation / surer.0.abs()),
        exact_columns,
    })
}
