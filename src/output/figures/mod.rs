//! Figures for papers, drawn from the rows of `records.csv` and nothing else.
//!
//! A figure is a function from rows to the text of an SVG; [`write()`] lays it down as SVG and PNG. They are
//! seven inches wide and measured in points, so that a 9 in the code is 9 pt on paper.
//!
//! A new figure is one file here: what it shows, from the shared parts. `series` sorts rows into what is
//! one line or bar and names it, `curve` averages over seeds, `axis` scales and ticks, `numbers` writes
//! numbers, `plot` lays out header, legend, axes and notes, `ends` labels lines where they end, `words` says how to read them, `style` keeps lines apart in colour and without,
//! `canvas` writes SVG, `raster` measures text and draws PNG.

mod axis;
mod bars;
mod canvas;
mod convergence;
mod curve;
mod density;
mod ends;
mod error_curves;
mod errors;
mod forest;
mod labels;
mod layers;
mod numbers;
mod plot;
mod raster;
mod series;
mod stack;
mod style;
mod timing;
mod trajectory;
mod variance;
mod words;

pub use bars::{Bar, bars};
pub use error_curves::{Cost, ErrorPoint, error_curves};
pub use numbers::significant;
pub use raster::write;

use super::store::Results;
use anyhow::Result;

/// A figure: its name, what it shows, and its SVG where the results have something to draw.
pub(super) struct Figure {
    pub(in crate::output) name: &'static str,
    pub(in crate::output) caption: &'static str,
    pub(in crate::output) draw: fn(&Results) -> Result<Option<String>>,
}

/// Every figure that there is, in the order in which a report shows them.
pub(super) const FIGURES: [Figure; 8] = [
    Figure {
        name: "convergence",
        caption: "Estimates against what V counts, and the exact trace where it is known.",
        draw: convergence::figure,
    },
    Figure {
        name: "error_products",
        caption: "Root mean square error relative to the exact trace, against matrix-vector products.",
        draw: |results| errors::figure(results, Cost::Products),
    },
    Figure {
        name: "error_seconds",
        caption: "The same errors against the time of one estimate.",
        draw: |results| errors::figure(results, Cost::Seconds),
    },
    Figure {
        name: "timing",
        caption: "Time of one estimate, from the network and the batch in memory.",
        draw: timing::figure,
    },
    Figure {
        name: "layers",
        caption: "The trace of every parameter tensor, in all and per weight, as it is known best.",
        draw: layers::figure,
    },
    Figure {
        name: "trajectory",
        caption: "The trace along the checkpoints, in all and of every parameter tensor.",
        draw: trajectory::figure,
    },
    Figure {
        name: "density",
        caption: "Spectral density by stochastic Lanczos quadrature, smoothed.",
        draw: density::figure,
    },
    Figure {
        name: "variance",
        caption: "Variance of one probe of every kind: predicted from the matrix, and sampled.",
        draw: variance::figure,
    },
];
