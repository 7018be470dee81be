//! Labels at the ends of lines, which spare the reader a legend.

use super::canvas::{Anchor, Canvas, Point, WIDTH};
use super::raster::{fit, text_width};
use super::style::{INK, SMALL, SOFT, Stroke, Style};

/// From the area of data to the labels: a leader, a marker, a gap.
const LEADER: f64 = 24.0;
/// From one label to the next.
const PITCH: f64 = 12.0;

/// The last point of a line, and what it is.
pub(super) struct End {
    pub(super) label: String,
    pub(super) style: Style,
    /// Whether it stands back behind others.
    pub(super) quiet: bool,
    pub(super) at: Point,
}

/// The room that `labels` take beside the area of data.
pub(super) fn room<'a>(labels: impl Iterator<Item = &'a str>) -> f64 {
    let widths = labels.map(|label| text_width(label, SMALL));
    LEADER + widths.fold(0.0, f64::max) + 4.0
}

/// Writes the labels in a column that begins at `right`, between `top` and `bottom`, each as near to the
/// end of its line as the others allow, with a leader and the line's own marker.
pub(super) fn draw(canvas: &mut Canvas, mut ends: Vec<End>, right: f64, (top, bottom): (f64, f64)) {
    ends.sort_by(|a, b| a.at.1.total_cmp(&b.at.1));
    let wanted: Vec<f64> = ends.iter().map(|end| end.at.1).collect();
    let places = spread(&wanted, PITCH, (top + PITCH / 2.0, bottom - PITCH / 2.0));
    for (end, y) in ends.iter().zip(places) {
        let marker_at = (right + LEADER - 9.0, y);
        let colour = end.style.stroke.colour;
        // Dotted, since it leads through the area of data where a line ends early.
        let leader = Stroke {
            dash: "0.6 3",
            ..Stroke::solid(colour, 0.6)
        };
        let bend = (right + 2.0, end.at.1);
        canvas.line(&[end.at, bend, (marker_at.0 - 4.0, y)], leader);
        if let Some(marker) = end.style.marker {
            canvas.marker(marker_at, marker, colour);
        }
        let ink = if end.quiet { SOFT } else { INK };
        let at = (right + LEADER, y);
        let label = fit(&end.label, SMALL, WIDTH - at.0 - 2.0);
        canvas.text(at, Anchor::Start, SMALL, ink, &label);
    }
}

/// Places near the `wanted` ones, which rise, at least `pitch` apart and within the bounds as far as
/// there is room.
fn spread(wanted: &[f64], pitch: f64, (least, most): (f64, f64)) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::new();
    for &want in wanted {
        let floor = places.last().map_or(least, |last| last + pitch);
        places.push(want.max(floor));
    }
    let mut ceiling = most;
    for place in places.iter_mut().rev() {
        *place = place.min(ceiling);
        ceiling = *place - pitch;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn labels_keep_apart_and_stay_where_there_is_room() {
        assert_eq!(spread(&[10.0, 50.0], 12.0, (0.0, 100.0)), [10.0, 50.0]);
        assert_eq!(
            spread(&[50.0, 51.0, 52.0], 12.0, (0.0, 100.0)),
            [50.0, 62.0, 74.0]
        );
        assert_eq!(
            spread(&[95.0, 96.0, 97.0], 12.0, (0.0, 100.0)),
            [76.0, 88.0, 100.0]
        );
    }
}
