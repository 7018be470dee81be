//! The trace of every parameter tensor: in all, and per weight.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, WIDTH};
use super::labels::subtitle;
use super::plot::{MARGIN, finish, header, x_axis};
use super::raster::{fit_name, text_width};
use super::style::{INK, POINT, SMALL, Stroke, fill};
use crate::output::conclusions::{self, LayerRow, most_precise};
use crate::output::format;
use crate::output::store::Results;
use crate::spec::ExperimentKind;
use anyhow::Result;

/// From one bar to the next.
const PITCH: f64 = 14.0;
/// Thickness of a bar.
const BAR: f64 = 9.0;
/// Between the two halves.
const GUTTER: f64 = 22.0;

/// Rows that a page holds; of more the largest traces are drawn.
const MOST: usize = 60;

/// A value, and half its confidence interval.
type Value = (f64, Option<f64>);

/// Two values per row, of one setting, as an SVG: the trace of a parameter tensor's block, and its
/// mean per weight, with the intervals of sampled ones. They are bars from zero, or points on a logarithmic
/// axis where positive values are more than 30 times apart.
///
/// # Panics
/// Without rows.
pub fn layers(subtitle: &[String], rows: &[&LayerRow], confidence: f64) -> String {
    let (rows, left_out) = largest(rows);
    let mut canvas = Canvas::default();
    let top = header(&mut canvas, subtitle, &[]);
    let label = |row: &LayerRow| fit_name(&row.parameter, SMALL, 0.3 * WIDTH);
    let widths = rows.iter().map(|row| text_width(&label(row), SMALL));
    let left = MARGIN + widths.fold(0.0, f64::max) + 6.0;
    let half = (WIDTH - MARGIN - left - GUTTER) / 2.0;
    let bottom = top + PITCH * rows.len() as f64 + 4.0;
    for (i, row) in rows.iter().enumerate() {
        canvas.text(
            (left - 6.0, middle(top, i)),
            Anchor::End,
            SMALL,
            INK,
            &label(row),
        );
    }
    let totals: Vec<Value> = rows.iter().map(|r| (r.trace, r.half_width())).collect();
    let per_weight = |r: &&LayerRow| {
        let half = r.half_width().map(|half| half / r.numel as f64);
        (r.trace_per_weight, half)
    };
    let means: Vec<Value> = rows.iter().map(per_weight).collect();
    let second = left + half + GUTTER;
    let place = |from| ((from, from + half), (top, bottom));
    let foot = draw(&mut canvas, &totals, place(left), ("trace of the block", 0));
    draw(&mut canvas, &means, place(second), ("trace per weight", 1));
    for (i, row) in rows.iter().enumerate() {
        let value = format::within(row.trace, row.half_width());
        let words = format!(
            "{}: {value}, {} per weight",
            row.parameter,
            format::value(row.trace_per_weight)
        );
        let at = ((left + WIDTH - MARGIN) / 2.0, middle(top, i));
        canvas.hint(at, (WIDTH - MARGIN - left, PITCH), &words);
    }
    let mut notes = Vec::new();
    if rows.iter().any(|row| row.half_width().is_some()) {
        notes.push(format!("Bars: {} interval.", format::percent(confidence)));
    }
    if left_out > 0 {
        notes.push(format!(
            "The {MOST} largest traces; {left_out} more are in layers.csv."
        ));
    }
    finish(canvas, foot, &notes)
}

/// Those of the largest absolute traces, in their order, and how many more there are.
fn largest<'a>(rows: &[&'a LayerRow]) -> (Vec<&'a LayerRow>, usize) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| rows[b].trace.abs().total_cmp(&rows[a].trace.abs()));
    order.truncate(MOST);
    order.sort_unstable();
    let kept: Vec<&LayerRow> = order.iter().map(|&i| rows[i]).collect();
    let left_out = rows.len() - kept.len();
    (kept, left_out)
}

fn middle(top: f64, index: usize) -> f64 {
    top + PITCH * (index as f64 + 0.5)
}

/// Draws one half; returns where its axis ends.
fn draw(
    canvas: &mut Canvas,
    values: &[Value],
    ((left, right), (top, bottom)): ((f64, f64), (f64, f64)),
    (name, colour): (&str, usize),
) -> f64 {
    let axis = axis(values).between(left, right);
    let log = if axis.log { ", log scale" } else { "" };
    let foot = x_axis(canvas, &axis, (top, bottom), &format!("{name}{log}"));
    let colour = fill(colour);
    let zero = if axis.log { left } else { axis.at(0.0) };
    for (i, &(value, half)) in values.iter().enumerate() {
        let (x, y) = (axis.at(value), middle(top, i));
        if !axis.log {
            let (from, to) = (x.min(zero), x.max(zero));
            canvas.bar((from, y - BAR / 2.0), (to - from, BAR), colour);
        }
        if let Some(half) = half {
            let ends = [value - half, value + half].map(|v| match axis.log && v <= axis.lo {
                true => left,
                false => axis.at(v),
            });
            canvas.bracket((ends[0], y), (ends[1], y), Stroke::solid(INK, 0.9));
        }
        if axis.log && value > 0.0 {
            canvas.marker((x, y), POINT, colour);
        }
    }
    canvas.line(&[(zero, top), (zero, bottom)], Stroke::solid(INK, 0.8));
    foot
}

/// From zero, or logarithmic where that shows more.
fn axis(values: &[Value]) -> Axis {
    let finite = || values.iter().filter(|(v, _)| v.is_finite());
    let ends = || finite().flat_map(|&(v, e)| [v - e.unwrap_or(0.0), v + e.unwrap_or(0.0)]);
    let least = finite().map(|&(v, _)| v).fold(f64::INFINITY, f64::min);
    let most = finite().map(|&(v, _)| v).fold(f64::NEG_INFINITY, f64::max);
    match least > 0.0 && most > 30.0 * least {
        // An interval that reaches zero is cut off at the edge.
        true => Axis::log(ends().filter(|&v| v > least / 3.0)),
        false => Axis::linear(ends().chain([0.0])),
    }
}

/// The figure of a results folder; `None` where it has nothing to draw.
///
/// # Errors
/// None but those of a bug of ours.
///
/// It shows the setting known best, at the last checkpoint.
pub(super) fn figure(results: &Results) -> Result<Option<String>> {
    let all = conclusions::layers(&results.parameters, results.confidence());
    let mut rows = most_precise(&all);
    let last = rows.last().and_then(|row| row.checkpoint.clone());
    rows.retain(|row| row.checkpoint == last);
    let finite = rows.iter().any(|row| row.trace.is_finite());
    if rows.len() < 2 || !finite || results.kind() == ExperimentKind::Timing {
        return Ok(None);
    }
    let subtitle = subtitle(rows[0]).into_iter().chain(last);
    let subtitle: Vec<String> = subtitle.collect();
    Ok(Some(layers(&subtitle, &rows, results.confidence())))
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::row;
    use super::super::raster::parse;
    use super::*;
    use crate::estimator::Moments;
    use crate::output::ParameterRecord;
    use crate::output::conclusions::layers as rows_of;

    fn svg(parts: &[(&str, i64, f64)]) -> String {
        let record = row(4, 0, 0.0);
        let part = |&(name, numel, mean): &(&str, i64, f64)| {
            let std_error = Some(0.01 * mean.abs());
            ParameterRecord::new(
                &record,
                name,
                numel,
                &Moments {
                    mean,
                    std_error,
                    ..Moments::exact(mean)
                },
                0.95,
            )
        };
        let parts: Vec<ParameterRecord> = parts.iter().map(part).collect();
        let rows = rows_of(&parts, 0.95);
        layers(&["example".into()], &rows.iter().collect::<Vec<_>>(), 0.95)
    }

    #[test]
    fn every_parameter_has_two_bars() {
        let svg = svg(&[("0.weight", 100, 5.0), ("0.bias", 10, 2.0)]);
        parse(&svg).unwrap();
        for text in [
            ">0.weight<",
            ">0.bias<",
            ">trace of the block<",
            ">trace per weight<",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        let bars = svg
            .lines()
            .filter(|line| line.starts_with("<rect x=") && !line.contains("<title>"));
        assert_eq!(bars.count(), 4, "{svg}");
    }

    #[test]
    fn of_many_parameters_the_largest_are_drawn() {
        let names: Vec<String> = (0..70).map(|i| format!("w{i}.")).collect();
        let parts: Vec<(&str, i64, f64)> = (1..)
            .zip(&names)
            .map(|(i, n)| (&**n, 1, f64::from(i)))
            .collect();
        let svg = svg(&parts);
        assert!(svg.contains("10 more are in layers.csv") && svg.contains(">w10.<"));
        assert!(!svg.contains(">w9.<"));
    }

    #[test]
    fn far_apart_values_are_points_on_a_log_axis_and_negative_ones_are_not() {
        let apart = svg(&[("a", 1, 1e-4), ("b", 1, 1.0)]);
        assert!(apart.contains(">trace per weight, log scale<"));
        assert!(
            !apart
                .lines()
                .any(|line| line.starts_with("<rect x=") && !line.contains("<title>"))
        );
        let mixed = svg(&[("a", 1, -3.0), ("b", 1, 1e-3), ("c", 1, f64::NAN)]);
        assert!(mixed.contains(">trace per weight<"));
    }
}
