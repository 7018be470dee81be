//! What an experiment leaves behind, in four steps that each build on those before: what is
//! [stored](store), what is [concluded](conclusions) from it, [figures], and the page.
//!
//! Conclusions, figures and page are pure functions of the stored files.

#[macro_use]
pub mod store;

pub mod conclusions;
pub mod figures;
mod page;
mod redraw;

pub use conclusions::{
    Compared, Comparison, LayerRow, Precision, Speed, SummaryRow, compare, layers, summarise,
};
pub use redraw::redraw;
pub use store::{
    Before, DensityRecord, Diagonal, EigenvalueRecord, Ended, FailureRecord, File, Finished,
    Manifest, ParameterRecord, PartFolder, Progress, Record, Results, Rows, Session, Status,
    VarianceRecord, add_artefacts, read_records,
};
