//! What is still to be done, going by what a journal holds.

use super::journal::{Entry, Journal};
use super::pieces::Pieces;
use crate::plan::{Plan, Portion};
use std::path::Path;

/// What is still to be done of `portion` in `folder`, jobs that failed being done again
/// only with `retry`; nothing is written there.
pub fn left_in(folder: &Path, plan: &Plan, portions: &[Portion], retry: bool) -> Vec<Portion> {
    let (held, keys) = (Journal::read(folder), plan.keys());
    let left = |portion: &Portion| {
        let key = &keys[portion.job];
        left(portion, held.jobs.get(key), held.pieces.get(key), retry)
    };
    portions.iter().filter_map(left).collect()
}

/// What is still to be done of `portion` of a job with this entry and these pieces.
pub(super) fn left(
    portion: &Portion,
    entry: Option<&Entry>,
    pieces: Option<&Pieces>,
    retry: bool,
) -> Option<Portion> {
    let ended = entry.is_some_and(|entry| !(retry && has_failed(entry)));
    if ended || are_there(portion, pieces) {
        return None;
    }
    let mut left = portion.clone();
    if let (Some(own), Some(there)) = (&mut left.pieces, pieces) {
        own.retain(|piece| !there.contains_key(piece));
    }
    Some(left)
}

/// Whether `portion` is of pieces, and all of them are there.
pub(super) fn are_there(portion: &Portion, pieces: Option<&Pieces>) -> bool {
    let own = portion.pieces.as_ref();
    own.zip(pieces)
        .is_some_and(|(own, there)| own.iter().all(|piece| there.contains_key(piece)))
}

/// Whether a job could not be done.
pub(super) fn has_failed(entry: &Entry) -> bool {
    !entry.rows.failures.is_empty()
}
