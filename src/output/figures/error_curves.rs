//! Error against what it costs, a line per method: the lower and the further left, the better.

use super::axis::Axis;
use super::canvas::Point;
use super::numbers::significant;
use super::plot::{Entry, Plot};
use super::style;
use crate::output::store::Record;
use anyhow::{Result, ensure};

/// How wrong a method is after so much time.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorPoint {
    /// The method; points of one label make up a line.
    pub label: String,
    /// What the legend names; lines of one group look alike.
    pub group: String,
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
            Self::Products => "matrix-vector products per estimate",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Products => "products",
        }
    }
}

/// Lines of relative error against cost on two logarithmic axes, as an SVG.
///
/// An error of zero cannot stand on a logarithmic axis: a method whose errors are not above
/// `rounding` is drawn at the foot of the figure, which the legend says.
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
    let sampled = || {
        valid
            .iter()
            .map(|p| p.error)
            .filter(|&error| error > rounding)
    };
    let foot = sampled().fold(f64::INFINITY, f64::min).min(1.0) / 3.0;
    let groups = distinct(valid.iter().map(|p| p.group.as_str()));
    let is_exact = |group: &str| {
        let mut of_group = valid.iter().filter(|p| p.group == group);
        of_group.all(|p| p.error <= rounding)
    };
    let legend: Vec<Entry> = groups
        .iter()
        .enumerate()
        .map(|(i, group)| Entry {
            label: match is_exact(group) {
                true => format!("{group} (no error: at the foot)"),
                false => (*group).into(),
            },
            style: style::style(i),
            band: false,
        })
        .collect();
    let errors = valid.iter().map(|p| p.error.max(foot));
    let x = (Axis::log(valid.iter().map(|p| p.cost)), cost.axis());
    let y = (Axis::log(errors), "relative error (RMS over seeds)");
    let unit = cost.unit();
    let mut plot = Plot::new(subtitle, &legend, x, y);
    for label in distinct(valid.iter().map(|p| p.label.as_str())) {
        let mut of_label: Vec<&&ErrorPoint> = valid.iter().filter(|p| p.label == label).collect();
        let group = |name: &&str| *name == of_label[0].group;
        let style = style::style(groups.iter().position(group).unwrap_or(0));
        of_label.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let at = |p: &&&ErrorPoint| -> Point { (plot.x.at(p.cost), plot.y.at(p.error.max(foot))) };
        let line: Vec<Point> = of_label.iter().map(at).collect();
        plot.canvas.line(&line, style.stroke);
        for &point in &line {
            let marker = style.marker.expect("curves have markers");
            plot.canvas.marker(point, marker, style.stroke.colour);
        }
        for (point, &at) in of_label.iter().zip(&line) {
            let (error, spent) = (
                significant(100.0 * point.error, 2),
                significant(point.cost, 3),
            );
            let words = format!("{label}: error {error} % for {spent} {unit}");
            plot.canvas.hint(at, (9.0, 9.0), &words);
        }
    }
    Ok(plot.finish(&[]))
}

/// Every name once, in the order of their first appearance.
fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::raster::parse;
    use super::*;

    fn point(label: &str, seconds: f64, error: f64) -> ErrorPoint {
        ErrorPoint {
            label: label.into(),
            group: label.into(),
            cost: seconds,
            error,
        }
    }

    #[test]
    fn every_method_is_named_and_exact_ones_say_so() {
        let points = [
            point("hmp", 0.1, 0.1),
            point("hmp", 1.0, 0.03),
            point("exact", 0.001, 1e-9),
        ];
        let svg = error_curves(&["example".into()], &points, Cost::Seconds, 1e-6).unwrap();
        for text in [
            ">hmp<",
            ">exact (no error: at the foot)<",
            "seconds per estimate",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        parse(&svg).unwrap();
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        let error = error_curves(&[], &[point("hmp", 0.0, 0.1)], Cost::Seconds, 1e-6).unwrap_err();
        assert!(error.to_string().contains("no point"));
    }
}
