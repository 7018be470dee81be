//! The parts around the data: subtitle, legend strip, axes, notes. None of them covers data.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, WIDTH};
use super::ends::{self, End};
use super::raster::{fit, text_width};
use super::style::{FAINT, INK, LABEL, NOTE, SMALL, SOFT, Stroke, Style};

/// White space at the edges of the page.
pub(super) const MARGIN: f64 = 8.0;
/// The upper edge of what stands at the top of the page.
const TOP: f64 = 12.0;
/// Height of the area of data.
const HEIGHT: f64 = 232.0;
/// Opacity of a band.
pub(super) const BAND: f64 = 0.16;
/// Length of a line in the legend.
const SWATCH: f64 = 28.0;

/// A line of the legend.
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) style: Style,
    /// Whether the line has a band.
    pub(super) band: bool,
}

/// A page with header and two axes, ready for data.
pub(super) struct Plot {
    pub(super) canvas: Canvas,
    pub(super) x: Axis,
    pub(super) y: Axis,
    bottom: f64,
}

impl Plot {
    /// Draws everything but data; axes are given with their labels.
    pub(super) fn new(
        subtitle: &[String],
        legend: &[Entry],
        x: (Axis, &str),
        y: (Axis, &str),
    ) -> Self {
        Self::beside(subtitle, legend, x, y, MARGIN)
    }

    /// The same, leaving `room` on the right for labels at the ends of lines.
    pub(super) fn beside(
        subtitle: &[String],
        legend: &[Entry],
        (x, x_label): (Axis, &str),
        (y, y_label): (Axis, &str),
        room: f64,
    ) -> Self {
        let mut canvas = Canvas::default();
        let top = header(&mut canvas, subtitle, legend);
        let widths = y
            .ticks()
            .major
            .into_iter()
            .map(|(_, text)| text_width(&text, SMALL));
        let left = MARGIN + LABEL + 14.0 + widths.fold(0.0, f64::max);
        let x = x.between(left, WIDTH - 8.0 - room.min(0.5 * WIDTH));
        let y = y.between(top + HEIGHT, top);
        y_axis(&mut canvas, &y, (x.from, x.to), y_label);
        let bottom = x_axis(&mut canvas, &x, (top, top + HEIGHT), x_label);
        Self {
            canvas,
            x,
            y,
            bottom,
        }
    }

    /// Labels lines at their ends, in the room that was left for that.
    pub(super) fn ends(&mut self, ends: Vec<End>) {
        let heights = (self.y.to, self.y.from);
        ends::draw(&mut self.canvas, ends, self.x.to, heights);
    }

    /// Adds notes at the foot and closes the page.
    pub(super) fn finish(self, notes: &[String]) -> String {
        finish(self.canvas, self.bottom, notes)
    }
}

/// Writes `subtitle` and `legend` at the top of the page; returns where they end.
pub(super) fn header(canvas: &mut Canvas, subtitle: &[String], legend: &[Entry]) -> f64 {
    let mut y = TOP;
    for line in wrap(subtitle, " · ") {
        canvas.text((MARGIN, y), Anchor::Start, NOTE, SOFT, &line);
        y += NOTE + 3.0;
    }
    y += 4.0;
    let room = WIDTH - 2.0 * MARGIN;
    let label = |entry: &Entry| fit(&entry.label, SMALL, room - SWATCH - 6.0);
    let labels: Vec<String> = legend.iter().map(label).collect();
    let widths: Vec<f64> = labels
        .iter()
        .map(|text| SWATCH + 6.0 + text_width(text, SMALL))
        .collect();
    let (rows, columns) = columns(&widths, room);
    for (i, (entry, label)) in legend.iter().zip(&labels).enumerate() {
        // Down the columns, as one reads a list.
        let x = MARGIN + columns[i / rows];
        let y = y + (SMALL + 5.0) * (i % rows) as f64;
        let Style { stroke, marker } = entry.style;
        if entry.band {
            let (top, bottom) = (y - 4.5, y + 4.5);
            let corners = [
                (x, top),
                (x + SWATCH, top),
                (x + SWATCH, bottom),
                (x, bottom),
            ];
            canvas.area(&corners, stroke.colour, BAND);
        }
        canvas.line(&[(x, y), (x + SWATCH, y)], stroke);
        if let Some(marker) = marker {
            canvas.marker((x + SWATCH / 2.0, y), marker, stroke.colour);
        }
        canvas.text((x + SWATCH + 6.0, y), Anchor::Start, SMALL, INK, label);
    }
    y + (SMALL + 5.0) * rows as f64 + if rows > 0 { 4.0 } else { 0.0 }
}

/// The fewest rows in which entries of these widths fit into `room`, and where each column starts.
fn columns(widths: &[f64], room: f64) -> (usize, Vec<f64>) {
    const BETWEEN: f64 = 16.0;
    for rows in 1..widths.len() {
        let mut starts = Vec::new();
        let mut x = 0.0;
        for column in widths.chunks(rows) {
            starts.push(x);
            x += column.iter().copied().fold(0.0, f64::max) + BETWEEN;
        }
        if x - BETWEEN <= room {
            return (rows, starts);
        }
    }
    (widths.len(), vec![0.0])
}

/// Draws the axis below the area between `top` and `bottom`; returns where its label ends.
pub(super) fn x_axis(
    canvas: &mut Canvas,
    axis: &Axis,
    (top, bottom): (f64, f64),
    label: &str,
) -> f64 {
    let ticks = axis.ticks();
    let stroke = Stroke::solid(INK, 0.8);
    canvas.line(&[(axis.from, bottom), (axis.to, bottom)], stroke);
    for value in ticks.minor {
        let x = axis.at(value);
        canvas.line(&[(x, bottom), (x, bottom + 2.5)], Stroke::solid(INK, 0.5));
    }
    let labelled = labelled(axis, &ticks.major);
    for ((value, text), labelled) in ticks.major.iter().zip(labelled) {
        let x = axis.at(*value);
        canvas.line(&[(x, top), (x, bottom)], Stroke::solid(FAINT, 0.6));
        canvas.line(&[(x, bottom), (x, bottom + 4.5)], stroke);
        if labelled {
            canvas.text((x, bottom + 11.0), Anchor::Middle, SMALL, INK, text);
        }
    }
    let label = fit(label, LABEL, WIDTH - 2.0 * MARGIN);
    // Below the middle of the axis, as far as the page allows.
    let half = MARGIN + text_width(&label, LABEL) / 2.0;
    let middle = ((axis.from + axis.to) / 2.0).clamp(half, (WIDTH - half).max(half));
    canvas.text((middle, bottom + 26.0), Anchor::Middle, LABEL, INK, &label);
    bottom + 34.0
}

/// Which ticks below the area have a label, so that none stands over another; powers of ten come first.
fn labelled(axis: &Axis, ticks: &[(f64, String)]) -> Vec<bool> {
    let is_power = |&index: &usize| {
        let power = ticks[index].0.log10();
        (power - power.round()).abs() < 1e-9
    };
    let (powers, others): (Vec<_>, Vec<_>) = (0..ticks.len()).partition(is_power);
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mut labelled = vec![false; ticks.len()];
    for index in powers.into_iter().chain(others) {
        let (value, text) = &ticks[index];
        let (x, half) = (axis.at(*value), text_width(text, SMALL) / 2.0 + 1.0);
        if taken
            .iter()
            .all(|&(from, to)| x + half < from || to < x - half)
        {
            labelled[index] = true;
            taken.push((x - half, x + half));
        }
    }
    labelled
}

/// Draws the axis on the left of the area between `left` and `right`.
pub(super) fn y_axis(canvas: &mut Canvas, axis: &Axis, (left, right): (f64, f64), label: &str) {
    let ticks = axis.ticks();
    let stroke = Stroke::solid(INK, 0.8);
    canvas.line(&[(left, axis.from), (left, axis.to)], stroke);
    for value in ticks.minor {
        let y = axis.at(value);
        canvas.line(&[(left - 2.5, y), (left, y)], Stroke::solid(INK, 0.5));
    }
    for (value, text) in ticks.major {
        let y = axis.at(value);
        canvas.line(&[(left, y), (right, y)], Stroke::solid(FAINT, 0.6));
        canvas.line(&[(left - 4.5, y), (left, y)], stroke);
        canvas.text((left - 7.0, y), Anchor::End, SMALL, INK, &text);
    }
    let label = fit(label, LABEL, (axis.to - axis.from).abs());
    canvas.text_up(
        (MARGIN + LABEL / 2.0, (axis.from + axis.to) / 2.0),
        LABEL,
        &label,
    );
}

/// Writes `notes` below `bottom` and closes the page under them.
pub(super) fn finish(mut canvas: Canvas, bottom: f64, notes: &[String]) -> String {
    let mut y = bottom + 8.0;
    for line in wrap(notes, " ") {
        canvas.text((MARGIN, y), Anchor::Start, NOTE, SOFT, &line);
        y += NOTE + 3.0;
    }
    canvas.finish(y)
}

/// `parts` in as few lines as the page is wide, broken between parts.
fn wrap(parts: &[String], between: &str) -> Vec<String> {
    let room = WIDTH - 2.0 * MARGIN;
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        let longer = lines.last().map(|line| format!("{line}{between}{part}"));
        match longer.filter(|line| text_width(line, NOTE) <= room) {
            Some(line) => *lines.last_mut().expect("it has a last") = line,
            None => lines.push(fit(part, NOTE, room)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_beside_each_other_powers_of_ten_first() {
        let axis = Axis::log([0.004, 0.05]);
        let ticks = axis.ticks().major;
        let texts: Vec<&str> = ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["0.005", "0.01", "0.02", "0.05"]);
        let in_width = |width| labelled(&axis.between(0.0, width), &ticks);
        assert_eq!(in_width(300.0), [true; 4]);
        assert_eq!(in_width(60.0), [false, true, false, true]);
    }

    #[test]
    fn columns_are_as_wide_as_their_entries() {
        assert_eq!(columns(&[], 100.0), (0, vec![0.0]));
        assert_eq!(columns(&[300.0], 100.0), (1, vec![0.0]));
        assert_eq!(columns(&[40.0, 44.0], 100.0), (1, vec![0.0, 56.0]));
        assert_eq!(columns(&[40.0, 10.0, 44.0], 100.0), (2, vec![0.0, 56.0]));
        assert_eq!(columns(&[40.0, 80.0, 44.0], 100.0), (3, vec![0.0]));
    }

    #[test]
    fn lines_break_between_parts() {
        let part = "a part of some length";
        let lines = wrap(&vec![part.to_string(); 9], " · ");
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" · ").split(" · ").count(), 9);
        assert!(
            lines
                .iter()
                .all(|line| text_width(line, NOTE) <= WIDTH - 2.0 * MARGIN)
        );
        let long = wrap(&["m".repeat(500)], " · ");
        assert!(long.len() == 1 && long[0].ends_with('…'));
    }
}
