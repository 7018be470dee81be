//! Figures for papers, drawn from the rows of `records.csv` and nothing else.
//!
//! A figure is a function from rows to the text of an SVG; [`write()`] lays it down as SVG and PNG. They are
//! seven inches wide and measured in points, so that a 9 in the code is 9 pt on paper.
//!
//! A new figure is one file here: what it shows, from the shared parts. `series` sorts rows into what is
//! one line or bar and names it, `curve` averages over seeds, `axis` scales and ticks, `numbers` writes
//! numbers, `plot` lays out header, legend, axes and notes, `style` keeps lines apart in colour and without,
//! `canvas` writes SVG, `raster` measures text and draws PNG.

mod axis;
mod bars;
mod canvas;
mod convergence;
mod curve;
mod density;
mod error_curves;
mod errors;
mod grid;
mod labels;
mod layers;
mod numbers;
mod plot;
mod raster;
mod series;
mod style;
mod timing;
mod trajectory;
mod variance;

pub use bars::{Bar, bars};
pub use convergence::convergence;
pub use density::density;
pub use error_curves::{Cost, ErrorPoint, error_curves};
pub use errors::errors;
pub use layers::layers;
pub use numbers::significant;
pub use raster::write;
pub(super) use series::matrix_name;
pub use timing::timing;
pub use trajectory::{Track, trajectory};
pub use variance::variance;
