//! What is concluded from stored rows: groups of runs, their means, summaries, comparisons.

mod compare;
mod groups;
mod layers;
mod mean;
mod statistics;
mod summary;

pub use compare::{Compared, Comparison, Precision, Speed, compare};
pub(super) use groups::{distinct_runs, grouped};
pub use layers::{LayerRow, layers};
pub(super) use layers::{at_any_checkpoint, most_precise};
pub(super) use mean::Mean;
pub(super) use statistics::median;
pub use summary::{SummaryRow, summarise};
