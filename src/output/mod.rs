//! What an experiment leaves behind, in four steps that each build on those before: what is
//! [stored](store), what is [concluded](conclusions) from it, [figures], and the page; [mod@format] says how all of
//! them write numbers.
//!
//! Conclusions, figures and page are pure functions of the stored files.

#[macro_use]
pub mod store;

pub mod conclusions;
pub mod figures;
pub mod format;
mod page;
mod redraw;

pub use conclusions::{
    Compared, Comparison, LayerRow, Outcome, Precision, Speed, SummaryRow, answers, compare,
    layers, outcomes, summarise, unlike,
};
pub use redraw::redraw;
pub use store::{
    Before, DensityRecord, Diagonal, Done, EigenvalueRecord, Ended, FailureRecord, File, Finished,
    Manifest, ParameterRecord, PartFolder, Piece, Pieces, Progress, Record, Results, Rows, Session,
    Status, VarianceRecord, add_artefacts, left_in, read_records,
};
