//! The variance of one probe, predicted and sampled: two points per kind of probe.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, WIDTH};
use super::labels::{Labels, labels, said};
use super::numbers::significant;
use super::plot::{MARGIN, finish, header, x_axis};
use super::raster::{fit, text_width};
use super::style::{INK, Marker, POINT, SMALL, Stroke, fill};
use crate::output::store::{Results, VarianceRecord};
use anyhow::{Result, ensure};

/// From one bar to the next.
const PITCH: f64 = 20.0;
/// A sampled variance.
const RING: Marker = Marker {
    corners: 24,
    turn: 0.0,
    radius: 4.0,
    hollow: true,
};

/// The variance of one probe of every kind as an SVG, on a logarithmic axis: a dot at what the matrix
/// predicts, a ring with whiskers at what samples show; beside it how many probes 1 % takes. Of several
/// numbers of samples the largest is drawn.
///
/// # Errors
/// No variance above zero.
pub fn variance(rows: &[VarianceRecord]) -> Result<String> {
    // In the order in which they first appear.
    let mut groups: Vec<(Vec<Option<String>>, &VarianceRecord)> = Vec::new();
    for row in rows.iter().filter(|row| values(row).next().is_some()) {
        let key = key(row);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            None => groups.push((key, row)),
            Some((_, largest)) if row.v > largest.v => *largest = row,
            Some(_) => {}
        }
    }
    ensure!(!groups.is_empty(), "found no variance above zero to draw");
    let Labels { each, common } = labels(groups.iter().map(|(key, _)| key));
    let label = |text: &String| fit(text, SMALL, 0.5 * WIDTH);
    let each: Vec<String> = each.iter().map(label).collect();
    let rows: Vec<&VarianceRecord> = groups.iter().map(|(_, row)| *row).collect();
    let notes: Vec<String> = rows.iter().map(|row| probes_to_1_percent(row)).collect();
    let widest = |texts: &[String]| {
        texts
            .iter()
            .map(|t| text_width(t, SMALL))
            .fold(0.0, f64::max)
    };
    let left = MARGIN + widest(&each) + 8.0;
    let right = WIDTH - MARGIN - widest(&notes) - 10.0;
    let mut canvas = Canvas::default();
    let top = header(&mut canvas, &common, &[]);
    let bottom = top + PITCH * rows.len() as f64;
    let all = || rows.iter().flat_map(|row| values(row));
    let axis = Axis {
        lo: all().fold(f64::INFINITY, f64::min) / 2.0,
        ..Axis::log([
            all().fold(f64::INFINITY, f64::min) / 2.0,
            1.2 * all().fold(0.0, f64::max),
        ])
    };
    let axis = axis.between(left, right);
    let foot = x_axis(
        &mut canvas,
        &axis,
        (top, bottom),
        "variance of one probe (log scale)",
    );
    for (i, ((row, label), note)) in rows.iter().zip(&each).zip(&notes).enumerate() {
        let y = top + PITCH * (i as f64 + 0.5);
        canvas.text((left - 6.0, y), Anchor::End, SMALL, INK, label);
        draw_sampled(&mut canvas, &axis, row, y);
        if let Some(predicted) = row.predicted.filter(|&value| value > 0.0) {
            let colour = fill(usize::from(row.blocks.as_deref() != Some("full")));
            canvas.marker((axis.at(predicted), y), POINT, colour);
        }
        canvas.text((right + 8.0, y), Anchor::Start, SMALL, INK, note);
    }
    canvas.line(&[(left, top), (left, bottom)], Stroke::solid(INK, 0.8));
    Ok(finish(canvas, foot, &reading(&rows)))
}

fn draw_sampled(canvas: &mut Canvas, axis: &Axis, row: &VarianceRecord, y: f64) {
    if row.empirical.is_nan() || row.empirical <= 0.0 {
        return;
    }
    if let Some(error) = row.std_error {
        let ends = [row.empirical - error, row.empirical + error];
        let [low, high] = ends.map(|value| axis.at(value.max(axis.lo)));
        canvas.bracket((low, y), (high, y), Stroke::solid(INK, 1.0));
    }
    canvas.marker((axis.at(row.empirical), y), RING, INK);
}

/// The variances of a row that a logarithmic axis can show.
fn values(row: &VarianceRecord) -> impl Iterator<Item = f64> + use<> {
    let both = [row.predicted, Some(row.empirical)];
    both.into_iter()
        .flatten()
        .filter(|value| *value > 0.0 && value.is_finite())
}

fn probes_to_1_percent(row: &VarianceRecord) -> String {
    row.probes_to_1_percent
        .map_or(String::new(), |probes| match probes {
            ..10.0 => format!("{} probes to 1 %", significant(probes, 2)),
            _ => format!("{probes:.0} probes to 1 %"),
        })
}

fn key(row: &VarianceRecord) -> Vec<Option<String>> {
    let same = [
        "product", "stream", "V", "V_batch", "quantity", "delta", "settings",
    ];
    said(&row.experiment, &row.identity(), &same)
}

fn reading(rows: &[&VarianceRecord]) -> Vec<String> {
    let counts = || rows.iter().filter_map(|row| row.v);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let n = match least == most {
        true => format!("{most}"),
        false => format!("{least} to {most}"),
    };
    vec![
        "Dot: predicted from the matrix.".into(),
        format!("Ring: sample variance of {n} probes, bar: one standard error to each side."),
    ]
}

/// The figure of a results folder; `None` where it has nothing to draw.
///
/// # Errors
/// None but those of a bug of ours.
pub(super) fn figure(results: &Results) -> Result<Option<String>> {
    match results
        .variance
        .iter()
        .any(|row| row.predicted > Some(0.0) || row.empirical > 0.0)
    {
        true => variance(&results.variance).map(Some),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Record;
    use super::super::super::store::sample::row;
    use super::super::raster::parse;
    use super::*;

    fn record(probe: &str, predicted: Option<f64>, empirical: f64) -> VarianceRecord {
        let of = Record {
            probe: Some(probe.into()),
            ..row(1000, 0, 1.0)
        };
        VarianceRecord {
            predicted,
            empirical,
            std_error: Some(0.1 * empirical),
            probes_to_1_percent: predicted,
            ..VarianceRecord::keyed(&of.experiment, &of.identity())
        }
    }

    #[test]
    fn says_what_it_shows() {
        let rows = [
            record("rademacher", Some(3.0), 3.1),
            record("gaussian", Some(1200.0), 1100.0),
            record("hadamard", None, 0.5),
        ];
        let svg = variance(&rows).unwrap();
        for text in [
            ">rademacher<",
            ">gaussian<",
            ">3.0 probes to 1 %<",
            ">1200 probes to 1 %<",
            "sample variance of 1000 probes",
            "block diagonal",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        parse(&svg).unwrap();
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        assert!(variance(&[]).is_err());
        assert!(variance(&[record("gaussian", Some(0.0), f64::NAN)]).is_err());
    }
}
