//! What is concluded from stored rows: groups of runs, their means, summaries, comparisons, and the answer in
//! sentences.

mod answer;
mod compare;
mod groups;
mod layers;
mod mean;
mod outcome;
mod statistics;
mod summary;
mod unlike;
mod verdicts;

pub use answer::answers;
pub use compare::{Compared, Comparison, Precision, Speed, compare};
pub(super) use groups::grouped;
pub use layers::{LayerRow, layers};
pub(super) use layers::{at_any_checkpoint, most_precise};
pub(super) use mean::Mean;
pub use outcome::{Outcome, outcomes};
pub(super) use statistics::median;
pub use summary::{SummaryRow, summarise};
pub use unlike::unlike;
