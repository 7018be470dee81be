//! The spectral density: smoothed quadrature rules, with their error over probes.

use super::axis::Axis;
use super::canvas::Point;
use super::labels::{Labels, labels, said};
use super::numbers::significant;
use super::plot::{BAND, Entry, Plot};
use super::style::{self, Style};
use crate::output::store::{DensityRecord, Results};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;

/// Standard deviation of the Gaussian that stands for a node, in parts of the width of the spectrum.
const SMOOTHING: f64 = 0.005;
/// Places at which a density is drawn.
const PLACES: usize = 1000;

/// The density of eigenvalues as an SVG, on a logarithmic axis: a line per rule, with a band of one
/// standard error over its probes.
///
/// A node θ of weight w is drawn as `w N(θ, σ²)`, σ half a percent of the distance between the lowest
/// and the highest node: narrow enough to set outliers apart, wide enough to make a line of the bulk.
/// The axis ends below the ends of the spectrum.
///
/// # Errors
/// No finite node.
pub fn density(rows: &[DensityRecord]) -> Result<String> {
    let finite = |row: &&DensityRecord| row.node.is_finite() && row.weight.is_finite();
    let rows: Vec<&DensityRecord> = rows.iter().filter(finite).collect();
    ensure!(
        !rows.is_empty(),
        "found no finite node of a density to draw"
    );
    let nodes = || rows.iter().map(|row| row.node);
    let (lo, hi) = (
        nodes().fold(f64::INFINITY, f64::min),
        nodes().fold(f64::NEG_INFINITY, f64::max),
    );
    let width = match (hi - lo) * SMOOTHING {
        0.0 => SMOOTHING * hi.abs().max(1.0),
        width => width,
    };
    let mut groups: BTreeMap<Vec<Option<String>>, Vec<&DensityRecord>> = BTreeMap::new();
    for row in &rows {
        groups.entry(key(row)).or_default().push(row);
    }
    let Labels { each, common } = labels(groups.keys());
    let curves: Vec<Curve> = groups
        .values()
        .map(|rows| Curve::new(rows, (lo, hi), width))
        .collect();
    let legend: Vec<Entry> = (0..)
        .zip(each.iter().zip(&curves))
        .map(|(i, (label, curve))| Entry {
            label: match label.as_str() {
                "" => "spectral density".into(),
                label => label.into(),
            },
            style: Style {
                marker: None,
                ..style::style(i)
            },
            band: curve.probes > 1,
        })
        .collect();
    let top = curves.iter().flat_map(|curve| &curve.points);
    let top = top.map(|p| p.mean + p.error).fold(0.0, f64::max);
    let ends = curves
        .iter()
        .map(|curve| curve.ends)
        .fold(f64::INFINITY, f64::min);
    let floor = (0.2 * ends).max(1e-9 * top);
    let x = (Axis::linear([lo, hi]), "eigenvalue λ");
    let y = (Axis::log([floor, top]), "density of eigenvalues (1 / λ)");
    let mut plot = Plot::new(&common, &legend, x, y);
    for (entry, curve) in legend.iter().zip(&curves) {
        curve.draw(&mut plot, entry.style);
    }
    Ok(plot.finish(&notes(&curves, width)))
}

/// What tells a rule from others, as one writes it.
fn key(row: &DensityRecord) -> Vec<Option<String>> {
    let same = ["estimator", "stream", "quantity", "delta"];
    said(&row.experiment, &row.identity(), &same)
}

/// A smoothed rule.
struct Curve {
    points: Vec<Place>,
    probes: usize,
    /// The lower density of those at the lowest and the highest node.
    ends: f64,
}

/// Over probes, at one place.
struct Place {
    x: f64,
    mean: f64,
    /// Standard error; zero for a single probe.
    error: f64,
}

impl Curve {
    fn new(rows: &[&DensityRecord], (lo, hi): (f64, f64), width: f64) -> Self {
        let mut probes: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
        for row in rows {
            probes
                .entry(row.sample)
                .or_default()
                .push((row.node, row.weight));
        }
        let place = |x: f64| {
            let count = probes.len() as f64;
            let each: Vec<f64> = probes
                .values()
                .map(|nodes| smoothed(nodes, x, width))
                .collect();
            let mean = each.iter().sum::<f64>() / count;
            let squares: f64 = each.iter().map(|value| (value - mean).powi(2)).sum();
            Place {
                x,
                mean,
                error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
            }
        };
        let (from, to) = (lo - 4.0 * width, hi + 4.0 * width);
        let at = |i: usize| place(from + (to - from) * i as f64 / (PLACES - 1) as f64);
        let nodes = || rows.iter().map(|row| row.node);
        let ends = [
            nodes().fold(f64::INFINITY, f64::min),
            nodes().fold(f64::NEG_INFINITY, f64::max),
        ];
        Self {
            points: (0..PLACES).map(at).collect(),
            probes: probes.len(),
            ends: ends
                .map(|end| place(end).mean)
                .into_iter()
                .fold(f64::INFINITY, f64::min),
        }
    }

    /// The parts above the foot of the axis, each down to it at both ends.
    fn draw(&self, plot: &mut Plot, style: Style) {
        let Plot { canvas, x, y, .. } = plot;
        let floor = y.lo;
        let at = |place: &Place, value: f64| -> Point { (x.at(place.x), y.at(value.max(floor))) };
        let above = |i: usize| self.points[i].mean > floor;
        let mut start = 0;
        while let Some(first) = (start..PLACES).find(|&i| above(i)) {
            let end = (first..PLACES).find(|&i| !above(i)).unwrap_or(PLACES - 1);
            let part = &self.points[first.saturating_sub(1)..=end];
            if self.probes > 1 {
                let upper = part.iter().map(|p| at(p, p.mean + p.error));
                let lower = part.iter().rev().map(|p| at(p, p.mean - p.error));
                let outline: Vec<Point> = upper.chain(lower).collect();
                canvas.area(&outline, style.stroke.colour, BAND);
            }
            let line: Vec<Point> = part.iter().map(|p| at(p, p.mean)).collect();
            canvas.line(&line, style.stroke);
            start = end + 1;
        }
    }
}

/// `Σ w N(x; θ, width²)`; beyond 8 widths nothing is left.
fn smoothed(nodes: &[(f64, f64)], x: f64, width: f64) -> f64 {
    let height = 1.0 / (width * std::f64::consts::TAU.sqrt());
    let near = nodes
        .iter()
        .map(|&(node, weight)| ((x - node) / width, weight));
    let near = near.filter(|(distance, _)| distance.abs() < 8.0);
    near.map(|(distance, weight)| weight * height * (-0.5 * distance * distance).exp())
        .sum()
}

fn notes(curves: &[Curve], width: f64) -> Vec<String> {
    let counts = || curves.iter().map(|curve| curve.probes);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let n = match least == most {
        true => format!("{most}"),
        false => format!("{least} to {most}"),
    };
    let line = match most {
        ..=1 => "One probe.".to_string(),
        _ => format!("Line: mean over {n} probes; band: one standard error to each side."),
    };
    let width = significant(width, 2);
    vec![
        line,
        format!("Gaussian smoothing, standard deviation {width}."),
    ]
}

/// The figure of a results folder; `None` where it has nothing to draw.
///
/// # Errors
/// None but those of a bug of ours.
pub(super) fn figure(results: &Results) -> Result<Option<String>> {
    match results.density.iter().any(|row| row.node.is_finite()) {
        true => density(&results.density).map(Some),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::row;
    use super::super::raster::parse;
    use super::*;

    fn rows(nodes: &[(u64, f64, f64)]) -> Vec<DensityRecord> {
        let of = row(2, 0, 1.0);
        let record = |&(sample, node, weight)| DensityRecord {
            sample,
            node,
            weight,
            ..DensityRecord::keyed(&of.experiment, &of.identity())
        };
        nodes.iter().map(record).collect()
    }

    #[test]
    fn says_what_it_shows() {
        let svg = density(&rows(&[
            (0, 0.0, 0.9),
            (0, 10.0, 0.1),
            (1, 0.0, 0.8),
            (1, 10.0, 0.2),
        ]));
        let svg = svg.unwrap();
        for text in [
            ">eigenvalue λ<",
            ">density of eigenvalues (1 / λ)<",
            "mean over 2 probes; band: one standard error to each side.",
            "standard deviation 0.050.",
            "Hessian",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(svg.contains("fill-opacity"));
        parse(&svg).unwrap();
    }

    /// A node is a Gaussian of its weight: the curve's area is the sum of weights.
    #[test]
    fn area_is_the_mass() {
        let rows = rows(&[(0, 1.0, 0.25), (0, 2.0, 0.75), (1, 1.5, 1.0)]);
        let rows: Vec<&DensityRecord> = rows.iter().collect();
        let curve = Curve::new(&rows, (1.0, 2.0), 0.01);
        let step = curve.points[1].x - curve.points[0].x;
        let area = curve.points.iter().map(|p| p.mean * step).sum::<f64>();
        assert!((area - 1.0).abs() < 1e-4, "{area}");
        // At 1.5 one probe has its whole mass, the other none.
        let middle = curve
            .points
            .iter()
            .min_by(|a, b| (a.x - 1.5).abs().total_cmp(&(b.x - 1.5).abs()));
        let middle = middle.unwrap();
        assert!((middle.error - middle.mean).abs() < 1e-9 * middle.mean);
    }

    #[test]
    fn one_probe_has_no_band_and_one_value_a_place() {
        let svg = density(&rows(&[(0, 3.0, 1.0)])).unwrap();
        assert!(svg.contains("One probe.") && !svg.contains("fill-opacity=\"0.16\""));
        assert!(density(&rows(&[(0, f64::NAN, 1.0)])).is_err() && density(&[]).is_err());
    }
}
