//! Figures for papers, drawn from the rows of `records.csv` and nothing else.
//!
//! A figure is a function from rows to the text of an SVG; [`write`] lays it down as SVG and PNG. They are
//! seven inches wide and measured in points, so that a 9 in the code is 9 pt on paper.
//!
//! A new figure is one file here: what it shows, from the shared parts. `settings` sorts rows into what is
//! one line or bar and names it, `axis` scales and ticks, `plot` lays out header, legend and axes,
//! `style` keeps lines apart in colour and without, `canvas` writes SVG.

mod axis;
mod canvas;
mod convergence;
mod plot;
mod raster;
#[cfg(test)]
mod sample;
mod settings;
mod style;
mod timing;

pub use convergence::convergence;
pub use raster::write;
pub use timing::timing;
