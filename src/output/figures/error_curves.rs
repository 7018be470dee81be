//! Error against what it costs, a line per method: the lower and the further left, the better.

use super::axis::Axis;
use super::canvas::Point;
use super::ends::{self, End};
use super::numbers::significant;
use super::plot::Plot;
use super::series::MOST;
use super::style::{self, QUIET, Style};
use crate::output::store::Record;
use anyhow::{Result, ensure};

/// How wrong a method is after so much time.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorPoint {
    /// The method, at the end of its line; points of one label make up a line.
    pub label: String,
    /// Whether the line is there to compare with, in grey.
    pub quiet: bool,
    /// Seconds or products of one estimate.
    pub cost: f64,
    /// Root mean square error of an estimate, relative to the exact value.
    pub error: f64,
}

/// What an estimate costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Wall time.
    Seconds,
    /// Matrix-vector products.
    Products,
}

impl Cost {
    /// Of one row.
    pub(super) fn of(self, record: &Record) -> f64 {
        match self {
            Self::Seconds => record.seconds,
            Self::Products => record.products as f64,
        }
    }

    fn axis(self) -> &'static str {
        match self {
            Self::Seconds => "seconds per estimate",
            Self::Products => "products, probes or passes per estimate",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Products => "products",
        }
    }
}

/// A line: its label, and points by rising cost.
struct Line<'a> {
    label: &'a str,
    quiet: bool,
    points: Vec<&'a ErrorPoint>,
}

/// Lines of relative error against cost on two logarithmic axes, as an SVG: at most eight, those that
/// get closest. An error of no more than `rounding` stands at the foot of the figure, since zero has
/// no place on a logarithmic axis.
///
/// # Errors
/// No point with a positive cost.
pub fn error_curves(
    subtitle: &[String],
    points: &[ErrorPoint],
    cost: Cost,
    rounding: f64,
) -> Result<String> {
    let valid: Vec<&ErrorPoint> = points
        .iter()
        .filter(|p| p.cost > 0.0 && p.cost.is_finite() && p.error.is_finite())
        .collect();
    ensure!(
        !valid.is_empty(),
        "found no point with a cost and an error to draw"
    );
    let (lines, left_out) = lines(&valid);
    let drawn = || lines.iter().flat_map(|line| line.points.iter().copied());
    let sampled = drawn().map(|p| p.error).filter(|&error| error > rounding);
    let foot = sampled.fold(f64::INFINITY, f64::min).min(1.0) / 3.0;
    let x = (Axis::log(drawn().map(|p| p.cost)), cost.axis());
    let errors = drawn().map(|p| p.error.max(foot));
    let y = (Axis::log(errors), "relative error (RMS over seeds)");
    let room = ends::room(lines.iter().map(|line| line.label));
    let mut plot = Plot::beside(subtitle, &[], x, y, room);
    let styles = styles(&lines);
    let mut labels = Vec::new();
    // What is there to compare with lies below.
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&i| !lines[i].quiet);
    for i in order {
        let (line, style) = (&lines[i], styles[i]);
        let at = |p: &&ErrorPoint| -> Point { (plot.x.at(p.cost), plot.y.at(p.error.max(foot))) };
        let places: Vec<Point> = line.points.iter().map(at).collect();
        plot.canvas.line(&places, style.stroke);
        for (point, &at) in line.points.iter().zip(&places) {
            if let Some(marker) = style.marker {
                plot.canvas.marker(at, marker, style.stroke.colour);
            }
            let error = significant(100.0 * point.error, 2);
            let spent = significant(point.cost, 3);
            let words = format!(
                "{}: error {error} % for {spent} {}",
                line.label,
                cost.unit()
            );
            plot.canvas.hint(at, (9.0, 9.0), &words);
        }
        labels.push(End {
            label: line.label.into(),
            style,
            quiet: line.quiet,
            at: *places.last().expect("a line has points"),
        });
    }
    plot.ends(labels);
    let mut notes = Vec::new();
    if left_out > 0 {
        notes.push(format!(
            "The {MOST} that get closest; {left_out} more are in the tables."
        ));
    }
    if drawn().any(|p| p.error <= rounding) {
        notes.push(format!(
            "Errors up to {rounding:.0e}, which is rounding, stand at the foot."
        ));
    }
    Ok(plot.finish(&notes))
}

/// The lines in the order in which they first appear, and how many more there would be.
fn lines<'a>(points: &[&'a ErrorPoint]) -> (Vec<Line<'a>>, usize) {
    let mut lines: Vec<Line> = Vec::new();
    for point in points {
        match lines.iter_mut().find(|line| line.label == point.label) {
            Some(line) => line.points.push(point),
            None => lines.push(Line {
                label: &point.label,
                quiet: point.quiet,
                points: vec![point],
            }),
        }
    }
    for line in &mut lines {
        line.points.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    }
    let closest = |line: &Line| {
        line.points
            .iter()
            .map(|p| p.error)
            .fold(f64::INFINITY, f64::min)
    };
    let mut errors: Vec<f64> = lines.iter().map(closest).collect();
    errors.sort_by(f64::total_cmp);
    let all = lines.len();
    if let Some(&worst) = errors.get(MOST - 1) {
        lines.retain(|line| closest(line) <= worst);
        lines.truncate(MOST);
    }
    let left_out = all - lines.len();
    (lines, left_out)
}

fn styles(lines: &[Line]) -> Vec<Style> {
    let mut own = 0..;
    let style = |line: &Line| match line.quiet {
        true => QUIET,
        false => style::style(own.next().expect("endless")),
    };
    lines.iter().map(style).collect()
}

#[cfg(test)]
mod tests {
    use super::super::raster::parse;
    use super::*;

    fn point(label: &str, seconds: f64, error: f64) -> ErrorPoint {
        ErrorPoint {
            label: label.into(),
            quiet: false,
            cost: seconds,
            error,
        }
    }

    #[test]
    fn every_method_is_named_and_what_has_no_error_stands_at_the_foot() {
        let points = [
            point("hmp", 0.1, 0.1),
            point("hmp", 1.0, 0.03),
            point("exact", 0.001, 1e-9),
        ];
        let svg = error_curves(&["example".into()], &points, Cost::Seconds, 1e-6).unwrap();
        for text in [
            ">hmp<",
            ">exact<",
            "stand at the foot",
            "seconds per estimate",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        parse(&svg).unwrap();
    }

    #[test]
    fn no_figure_has_more_than_eight_lines_and_the_best_are_kept() {
        let all: Vec<ErrorPoint> = (1..=12)
            .map(|i| point(&format!("m{i}"), 1.0, 0.01 * f64::from(i)))
            .collect();
        let svg = error_curves(&[], &all, Cost::Seconds, 1e-6).unwrap();
        assert!(svg.contains(">m1<") && svg.contains(">m8<") && !svg.contains(">m9<"));
        assert!(svg.contains("4 more are in the tables"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        let error = error_curves(&[], &[point("hmp", 0.0, 0.1)], Cost::Seconds, 1e-6).unwrap_err();
        assert!(error.to_string().contains("no point"));
    }
}
