//! A row for every setting: its value with its interval, beside the exact one.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, WIDTH};
use super::curve::Curve;
use super::numbers::significant;
use super::plot::{Entry, MARGIN, finish, header, x_axis};
use super::raster::{fit, text_width};
use super::style::{self, EXACT, INK, SMALL, Stroke};
use super::words::hint;
use crate::estimator::counted;

/// From one row to the next.
const PITCH: f64 = 18.0;
/// Half the height of a single run's tick.
const TICK: f64 = 4.0;

/// A setting at one V.
pub(super) struct ForestRow {
    /// What stands beside it.
    pub(super) label: String,
    pub(super) value: f64,
    /// Of a single run half its interval, of several their standard deviation.
    pub(super) reach: Option<f64>,
    pub(super) runs: usize,
    /// The runs.
    pub(super) each: Vec<f64>,
    /// Its numbers.
    pub(super) hint: String,
}

/// A row for every setting of one V.
pub(super) fn rows(curves: &[Curve]) -> Vec<ForestRow> {
    let row = |curve: &Curve| {
        let mean = &curve.means[0];
        ForestRow {
            label: format!("{}, {} {}", curve.label, mean.v, counted(curve.estimator)),
            value: mean.mean,
            reach: Some(mean.reach()).filter(|reach| *reach > 0.0),
            runs: mean.runs,
            each: curve
                .seeds
                .values()
                .flatten()
                .map(|&(_, value)| value)
                .collect(),
            hint: hint(curve, mean),
        }
    };
    curves.iter().map(row).collect()
}

/// The rows as an SVG below `subtitle`, on a linear axis of this label; `confidence` is that of intervals.
pub(super) fn forest(
    subtitle: &[String],
    rows: &[ForestRow],
    exact: &[f64],
    (label, confidence): (&str, &str),
    mut notes: Vec<String>,
) -> String {
    let mut canvas = Canvas::default();
    let entry = |value: &f64| Entry {
        label: format!("exact trace {}", significant(*value, 8)),
        style: EXACT,
        band: false,
    };
    let legend: Vec<Entry> = exact.iter().map(entry).collect();
    let top = header(&mut canvas, subtitle, &legend);
    let fitted = |row: &ForestRow| fit(&row.label, SMALL, 0.55 * WIDTH);
    let widths = rows.iter().map(|row| text_width(&fitted(row), SMALL));
    let left = MARGIN + widths.fold(0.0, f64::max) + 8.0;
    let bottom = top + PITCH * rows.len() as f64 + 4.0;
    let ends = rows.iter().flat_map(|row| {
        let reach = row.reach.unwrap_or(0.0);
        let ends = [row.value - reach, row.value + reach];
        ends.into_iter().chain(row.each.iter().copied())
    });
    let axis = Axis::linear(ends.chain(exact.iter().copied())).between(left, WIDTH - 2.0 * MARGIN);
    let foot = x_axis(&mut canvas, &axis, (top, bottom), label);
    for &value in exact {
        canvas.line(
            &[(axis.at(value), top), (axis.at(value), bottom)],
            EXACT.stroke,
        );
    }
    for (i, row) in rows.iter().enumerate() {
        let y = top + PITCH * (i as f64 + 0.5);
        canvas.text((left - 6.0, y), Anchor::End, SMALL, INK, &fitted(row));
        let style = style::style(0);
        let colour = style.stroke.colour;
        for &value in row.each.iter().filter(|_| row.runs > 1) {
            let tick = Stroke {
                opacity: 0.4,
                ..Stroke::solid(colour, 0.8)
            };
            let x = axis.at(value);
            canvas.line(&[(x, y - TICK), (x, y + TICK)], tick);
        }
        if let Some(reach) = row.reach {
            let ends = [row.value - reach, row.value + reach].map(|end| (axis.at(end), y));
            canvas.bracket(ends[0], ends[1], Stroke::solid(colour, 1.3));
        }
        if let Some(marker) = style.marker {
            canvas.marker((axis.at(row.value), y), marker, colour);
        }
        let middle = ((left + axis.to) / 2.0, y);
        canvas.hint(middle, (axis.to - left, PITCH), &row.hint);
    }
    notes.insert(0, reading(rows, confidence));
    finish(canvas, foot, &notes)
}

/// How to read the rows.
fn reading(rows: &[ForestRow], confidence: &str) -> String {
    let several = rows.iter().any(|row| row.runs > 1);
    let single = rows.iter().any(|row| row.runs == 1 && row.reach.is_some());
    let interval = format!("Bar: {confidence} interval of the estimate.");
    let spread = "Dot: mean over runs, thin ticks: each; bar: one standard deviation between runs.";
    match (several, single) {
        (false, false) => "Dot: the estimate.".into(),
        (false, true) => interval,
        (true, false) => spread.into(),
        (true, true) => format!("{spread} Of a single run: its {confidence} interval."),
    }
}
