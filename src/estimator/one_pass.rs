//! What the estimators with probes of their own, in activation space, share in a spec.

use super::sampling::{batches, counts, seeds};
use super::{Expanded, Sampling, StreamKind, Task};
use crate::error::UserError;
use crate::lists::{Batches, Counts, Seed, Seeds};
use crate::problem::ProblemSpec;
use std::sync::Arc;

/// Expands the lists of an estimator whose probes only the Philox stream defines.
///
/// # Errors
/// A missing or senseless list, another stream, or a problem without layers.
pub(super) fn expand(
    shared: &Sampling,
    problem: &ProblemSpec,
    v: &Option<Counts>,
    v_batch: &Option<Batches>,
    own_seeds: &Option<Seeds>,
    task: impl Task + 'static,
) -> Result<Expanded, UserError> {
    let seeds = seeds(own_seeds, &shared.seeds)?;
    let refused = |setting: &str, help: &str| {
        let message = format!(
            "{setting} is not defined for this estimator, whose probes live in activation space"
        );
        Err(UserError::new("", message, help))
    };
    if !problem.is_network() {
        return Err(UserError::new(
            "",
            "found a given matrix, which has no layers; this estimator goes through layers",
            "take kind = \"hutchinson\", which needs products only",
        ));
    }
    if shared.stream != StreamKind::Philox {
        return refused(
            "`stream = \"torch\"`",
            "write `stream = \"philox\"` in [sampling], or take kind = \"hutchinson\"",
        );
    }
    if seeds.contains(&Seed::Continue) {
        return refused(
            "`seeds = \"continue\"`",
            "add for example `seeds = [0]` here",
        );
    }
    Ok(Expanded {
        task: Arc::new(task),
        batches: batches(v_batch, &shared.v_batch)?,
        counts: counts(v, &shared.v, "V", "[10]")?,
        seeds: seeds.into_iter().map(Some).collect(),
    })
}
