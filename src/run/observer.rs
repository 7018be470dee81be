//! Who looks on while jobs run.

use crate::estimator::Progress;

/// Looks on while jobs run, from whichever threads they run on, and may end the run.
pub trait Observer: Send + Sync {
    /// Job `index` begins.
    fn started(&self, _index: usize) {}

    /// Job `index` has come so far.
    fn progressed(&self, _index: usize, _progress: Progress) {}

    /// A trial has found the V_batch of a setting; `note` says which, and is among the notes of its
    /// jobs as well.
    fn tuned(&self, _note: &str) {}

    /// Whether no further job is to begin.
    fn stopped(&self) -> bool {
        false
    }

    /// Whether the run is to end within [`GRACE`](crate::run::GRACE), whatever is under way.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Nobody looks on.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl Observer for NoObserver {}
