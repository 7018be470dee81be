//! What a run stores: the journal of finished jobs, the tables made from it, manifest and lock.

#[macro_use]
mod keyed;

mod artefacts;
mod diagonals;
mod files;
mod journal;
mod left;
mod lock;
mod manifest;
mod part_folder;
mod pieces;
mod records;
mod results;
#[cfg(test)]
pub(super) mod sample;
mod session;
mod spectral;
mod tables;

pub use artefacts::add_artefacts;
pub use diagonals::Diagonal;
pub use files::File;
pub(super) use files::{remove_file, replace_file};
pub(super) use keyed::Keyed;
pub use left::left_in;
pub use manifest::{Manifest, Status};
pub use part_folder::{PartFolder, Progress};
pub use pieces::{Piece, Pieces};
pub use records::{FailureRecord, ParameterRecord, Record, read_records};
pub use results::Results;
pub use session::{Before, Ended, Session};
pub use spectral::{DensityRecord, EigenvalueRecord, VarianceRecord};
pub(super) use tables::replace;
pub use tables::{Done, Finished, Rows};
