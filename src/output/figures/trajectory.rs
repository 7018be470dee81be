//! The trace along checkpoints, in all and of every parameter tensor.

use super::axis::Axis;
use super::canvas::Point;
use super::ends::{self, End};
use super::labels::subtitle;
use super::plot::Plot;
use super::series::MOST;
use super::style::{self, INK, Stroke};
use crate::output::conclusions::{
    self, LayerRow, Outcome, at_any_checkpoint, grouped, most_precise, outcomes,
};
use crate::output::format;
use crate::output::store::Results;
use anyhow::Result;

/// A line of the figure: its name, and at every checkpoint (by its place) a value with half its
/// confidence interval.
pub struct Track {
    /// What stands at its end.
    pub label: String,
    /// Place, value, half the interval.
    pub points: Vec<(usize, f64, Option<f64>)>,
}

/// A line per track as an SVG, with its intervals: at most eight, the first and those that reach highest.
/// Checkpoints stand at the last number in their names, where each has one and these rise, or else at equal distances.
/// The axis is logarithmic where positive values are more than 30 times apart.
///
/// # Panics
/// Without a finite value.
pub fn trajectory(
    subtitle: &[String],
    checkpoints: &[String],
    tracks: Vec<Track>,
    confidence: f64,
) -> String {
    let (tracks, left_out) = highest(tracks);
    let steps = numbers(checkpoints);
    let x_label = match steps {
        Some(_) => "checkpoint (number in its name)",
        None => "checkpoint (in order)",
    };
    let at = |place: usize| match &steps {
        Some(steps) => steps[place],
        None => place as f64 + 1.0,
    };
    let finite = || {
        tracks
            .iter()
            .flat_map(|t| &t.points)
            .filter(|p| p.1.is_finite())
    };
    let least = finite().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let most = finite().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let log = least > 0.0 && most > 30.0 * least;
    let shown = |value: f64| !log || value > 0.0;
    let ends = finite().flat_map(|&(_, v, h)| [v - h.unwrap_or(0.0), v + h.unwrap_or(0.0)]);
    let y = match log {
        true => Axis::log(ends.filter(|&v| v > 0.1 * least)),
        false => Axis::linear(ends),
    };
    let y_label = if log { "trace (log scale)" } else { "trace" };
    let x = Axis::linear((0..checkpoints.len()).map(at));
    let room = ends::room(tracks.iter().map(|track| track.label.as_str()));
    let mut plot = Plot::beside(subtitle, &[], (x, x_label), (y, y_label), room);
    let mut labels = Vec::new();
    for (i, track) in tracks.iter().enumerate() {
        let style = style::style(i);
        let points = track
            .points
            .iter()
            .filter(|p| p.1.is_finite() && shown(p.1));
        let mut line: Vec<Point> = Vec::new();
        for &(place, value, half) in points {
            let point = (plot.x.at(at(place)), plot.y.at(value));
            line.push(point);
            let interval = half.map(|half| (value - half, value + half));
            if let Some((low, high)) = interval.filter(|(low, _)| shown(*low)) {
                let ends = [low, high].map(|v| (point.0, plot.y.at(v)));
                plot.canvas
                    .bracket(ends[0], ends[1], Stroke::solid(INK, 0.7));
            }
            let name = &checkpoints[place];
            let words = format!("{}: {} at {name}", track.label, format::within(value, half));
            plot.canvas.hint(point, (9.0, 9.0), &words);
        }
        plot.canvas.line(&line, style.stroke);
        for &point in &line {
            let marker = style.marker.expect("curves have markers");
            plot.canvas.marker(point, marker, style.stroke.colour);
        }
        if let Some(&at) = line.last() {
            labels.push(End {
                label: track.label.clone(),
                style,
                quiet: false,
                at,
            });
        }
    }
    plot.ends(labels);
    let mut notes = Vec::new();
    if finite().any(|(.., half)| half.is_some()) {
        notes.push(format!("Bars: {} interval.", format::percent(confidence)));
    }
    if left_out > 0 {
        notes.push(format!("The largest; {left_out} more are in layers.csv."));
    }
    if steps.is_none() {
        notes.push(format!("Checkpoints: {}.", checkpoints.join(", ")));
    }
    plot.finish(&notes)
}

/// The first track and those that reach highest, in their order, and how many more there are.
fn highest(tracks: Vec<Track>) -> (Vec<Track>, usize) {
    let height = |track: &Track| {
        let values = track.points.iter().map(|p| p.1.abs());
        values.filter(|v| v.is_finite()).fold(0.0, f64::max)
    };
    let mut order: Vec<usize> = (1..tracks.len()).collect();
    order.sort_by(|&a, &b| height(&tracks[b]).total_cmp(&height(&tracks[a])));
    order.truncate(MOST - 1);
    let left_out = tracks.len().saturating_sub(MOST);
    let kept = |index: &usize| *index == 0 || order.contains(index);
    let tracks = tracks
        .into_iter()
        .enumerate()
        .filter(|(index, _)| kept(index));
    (tracks.map(|(_, track)| track).collect(), left_out)
}

/// The last number in every name, if they rise.
fn numbers(names: &[String]) -> Option<Vec<f64>> {
    let last = |name: &String| {
        let mut words = name.rsplit(|c: char| !c.is_ascii_digit());
        words.find(|word| !word.is_empty())?.parse().ok()
    };
    let numbers: Vec<f64> = names.iter().map(last).collect::<Option<_>>()?;
    numbers.is_sorted_by(|a, b| a < b).then_some(numbers)
}

/// The figure of a results folder; `None` where it has nothing to draw.
///
/// # Errors
/// None but those of a bug of ours.
///
/// It shows the setting known best, at every checkpoint.
pub(super) fn figure(results: &Results) -> Result<Option<String>> {
    let all = conclusions::layers(&results.parameters, results.confidence());
    let rows = most_precise(&all);
    let checkpoints: Vec<String> = grouped(&rows, |row| row.checkpoint.clone())
        .into_iter()
        .filter_map(|(name, _)| name)
        .collect();
    if checkpoints.len() < 2 || !rows.iter().any(|row| row.trace.is_finite()) {
        return Ok(None);
    }
    let place = |name: &Option<String>| checkpoints.iter().position(|c| Some(c) == name.as_ref());
    let setting = at_any_checkpoint(&rows[0].identity());
    let same = |row: &&Outcome| at_any_checkpoint(&row.summary.identity()) == setting;
    let total = |row: &Outcome| Some((place(&row.summary.checkpoint)?, row.summary.mean, row.half));
    let totals = outcomes(results);
    let mut tracks = vec![Track {
        label: "total".into(),
        points: totals.iter().filter(same).filter_map(total).collect(),
    }];
    for (parameter, rows) in grouped(&rows, |row| row.parameter.clone()) {
        let point = |row: &&&LayerRow| Some((place(&row.checkpoint)?, row.trace, row.half_width()));
        tracks.push(Track {
            label: parameter,
            points: rows.iter().filter_map(point).collect(),
        });
    }
    let subtitle = subtitle(rows[0]);
    Ok(Some(trajectory(
        &subtitle,
        &checkpoints,
        tracks,
        results.confidence(),
    )))
}

#[cfg(test)]
mod tests {
    use super::super::raster::parse;
    use super::*;

    fn track(label: &str, values: &[f64]) -> Track {
        let points = values.iter().enumerate();
        Track {
            label: label.into(),
            points: points.map(|(i, &v)| (i, v, Some(0.01 * v.abs()))).collect(),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn checkpoints_stand_at_their_numbers() {
        let steps = names(&["run1_step_0", "run1_step_500", "run1_step_2000"]);
        assert_eq!(numbers(&steps), Some(vec![0.0, 500.0, 2000.0]));
        let svg = trajectory(&[], &steps, vec![track("total", &[3.0, 2.0, 1.0])], 0.95);
        parse(&svg).unwrap();
        for text in [">total<", ">trace<", "number in its name", ">2000<"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
    }

    #[test]
    fn names_without_numbers_stand_in_order_and_are_listed() {
        let svg = trajectory(
            &[],
            &names(&["first", "best"]),
            vec![track("total", &[-3.0, 2.0])],
            0.95,
        );
        assert!(svg.contains("in order") && svg.contains("Checkpoints: first, best.<"));
        assert_eq!(numbers(&names(&["b2", "a1"])), None);
    }

    #[test]
    fn far_apart_traces_are_logarithmic() {
        let tracks = vec![track("total", &[100.0, 90.0]), track("bias", &[1.0, 0.5])];
        let svg = trajectory(&[], &names(&["1", "2"]), tracks, 0.95);
        assert!(svg.contains(">trace (log scale)<"));
    }

    #[test]
    fn of_many_tracks_the_highest_are_drawn_beside_the_first() {
        let each = (1..=10).map(|i| track(&format!("w{i}"), &[f64::from(i), 2.0]));
        let tracks = [track("total", &[1.0, 1.0])]
            .into_iter()
            .chain(each)
            .collect();
        let svg = trajectory(&[], &names(&["1", "2"]), tracks, 0.95);
        assert!(svg.contains(">total<") && svg.contains(">w4<") && !svg.contains(">w3<"));
        assert!(svg.contains("3 more are in layers.csv"));
    }
}
