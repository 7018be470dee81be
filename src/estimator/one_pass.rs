//! What the estimators with probes of their own, in activation space, share in a spec.

use super::sampling::{counts, seeds};
use super::{Expanded, Sampling, StreamKind, Task};
use crate::error::UserError;
use crate::lists::{Counts, Seed, Seeds};
use std::sync::Arc;

/// Expands the lists of an estimator whose probes only the Philox stream defines.
///
/// # Errors
/// A missing or senseless list, or another stream.
pub(super) fn expand(
    shared: &Sampling,
    [v, v_batch]: [&Option<Counts>; 2],
    own_seeds: &Option<Seeds>,
    task: impl Fn(u64) -> Arc<dyn Task>,
) -> Result<Expanded, UserError> {
    let seeds = seeds(own_seeds, &shared.seeds)?;
    if shared.stream != StreamKind::Philox || seeds.contains(&Seed::Continue) {
        return Err(UserError::new(
            "sampling.stream",
            "this estimator's probes live in activation space, where stream \"torch\" and seeds = \"continue\" are not defined",
            "use stream = \"philox\" with seeds, or kind = \"hutchinson\"",
        ));
    }
    let batches = counts(v_batch, &shared.v_batch, "V_batch", "[20]")?;
    Ok(Expanded {
        tasks: batches.into_iter().map(task).collect(),
        counts: counts(v, &shared.v, "V", "[10]")?,
        seeds: seeds.into_iter().map(Some).collect(),
    })
}
