//! What the estimators with probes of their own, in activation space, share in a spec.

use super::sampling::{batches, counts, seeds};
use super::{Expanded, Sampling, StreamKind, Task};
use crate::error::UserError;
use crate::lists::{Batches, Counts, Seed, Seeds};
use std::sync::Arc;

/// Expands the lists of an estimator whose probes only the Philox stream defines.
///
/// # Errors
/// A missing or senseless list, or another stream.
pub(super) fn expand(
    shared: &Sampling,
    v: &Option<Counts>,
    v_batch: &Option<Batches>,
    own_seeds: &Option<Seeds>,
    task: impl Task + 'static,
) -> Result<Expanded, UserError> {
    let seeds = seeds(own_seeds, &shared.seeds)?;
    if shared.stream != StreamKind::Philox || seeds.contains(&Seed::Continue) {
        return Err(UserError::new(
            "sampling.stream",
            "this estimator's probes live in activation space, where stream \"torch\" and seeds = \"continue\" are not defined",
            "use stream = \"philox\" with seeds, or kind = \"hutchinson\"",
        ));
    }
    Ok(Expanded {
        task: Arc::new(task),
        batches: batches(v_batch, &shared.v_batch)?,
        counts: counts(v, &shared.v, "V", "[10]")?,
        seeds: seeds.into_iter().map(Some).collect(),
    })
}
