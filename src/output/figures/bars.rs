//! Bars of seconds, one per way of doing something.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, WIDTH};
use super::numbers::significant;
use super::plot::{MARGIN, finish, header, x_axis};
use super::raster::{fit, text_width};
use super::style::{INK, POINT, SMALL, Stroke, fill};
use crate::output::format;

/// From one bar to the next.
const PITCH: f64 = 18.0;
/// Thickness of a bar.
const BAR: f64 = 11.0;
/// Between bars of different products.
const GAP: f64 = 7.0;

/// The seconds of one way of doing something.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What stands beside it.
    pub label: String,
    /// Neighbours of one group look alike.
    pub group: String,
    /// The fastest run.
    pub low: f64,
    /// The median run.
    pub median: f64,
    /// The slowest run.
    pub high: f64,
    /// How many runs there are.
    pub count: usize,
}

/// Bars from zero to the median as an SVG, with whiskers from the fastest to the slowest run. Where medians
/// are more than 30 times apart they are points on a logarithmic axis, which has no zero.
///
/// # Panics
/// Without bars.
pub fn bars(subtitle: &[String], bars: &[Bar], notes: &[String]) -> String {
    let unit = Unit::of(bars);
    // Far apart, each time has the unit that suits it.
    let written = |bar: &Bar| match far_apart(bars) {
        true => format::seconds(bar.median),
        false => unit.write(bar.median),
    };
    let mut canvas = Canvas::default();
    let top = header(&mut canvas, subtitle, &[]);
    let label = |bar: &Bar| fit(&bar.label, SMALL, 0.5 * WIDTH);
    let widest = |texts: &mut dyn Iterator<Item = String>| {
        texts
            .map(|text| text_width(&text, SMALL))
            .fold(0.0, f64::max)
    };
    let left = MARGIN + widest(&mut bars.iter().map(label)) + 6.0;
    let right = WIDTH - MARGIN - widest(&mut bars.iter().map(written)) - 6.0;
    let axis = axis(bars, &unit).between(left, right);

    let mut y = top + PITCH / 2.0;
    let mut groups = 0;
    let mut places = Vec::new();
    for (i, bar) in bars.iter().enumerate() {
        if i > 0 && bar.group != bars[i - 1].group {
            y += GAP;
            groups += 1;
        }
        places.push((y, fill(groups)));
        y += PITCH;
    }
    let bottom = y - PITCH / 2.0 + 2.0;
    let x_label = x_label(bars, &unit, axis.log);
    let foot = x_axis(&mut canvas, &axis, (top, bottom), &x_label);
    for (bar, (y, colour)) in bars.iter().zip(places) {
        let [low, median, high] =
            [bar.low, bar.median, bar.high].map(|v| axis.at(v * unit.per_second));
        canvas.text((left - 6.0, y), Anchor::End, SMALL, INK, &label(bar));
        if !axis.log {
            canvas.bar((left, y - BAR / 2.0), (median - left, BAR), colour);
        }
        if bar.high > bar.low {
            canvas.bracket((low, y), (high, y), Stroke::solid(INK, 1.0));
        }
        if axis.log {
            canvas.marker((median, y), POINT, colour);
        }
        canvas.text(
            (high.max(median) + 5.0, y),
            Anchor::Start,
            SMALL,
            INK,
            &written(bar),
        );
        let middle = ((left + right) / 2.0, y);
        canvas.hint(middle, (right - left, PITCH), &hint(bar, &unit));
    }
    canvas.line(&[(left, top), (left, bottom)], Stroke::solid(INK, 0.8));
    finish(canvas, foot, notes)
}

/// The numbers behind a bar.
fn hint(bar: &Bar, unit: &Unit) -> String {
    let [low, median, high] = [bar.low, bar.median, bar.high].map(|seconds| unit.write(seconds));
    match bar.count {
        1 => format!("{}: {median}", bar.label),
        n => format!(
            "{}: median {median}, {low} to {high} in {n} runs",
            bar.label
        ),
    }
}

/// Whether medians are more than 30 times apart.
fn far_apart(bars: &[Bar]) -> bool {
    let medians = || bars.iter().map(|bar| bar.median);
    let (most, least) = (
        medians().fold(0.0, f64::max),
        medians().fold(f64::INFINITY, f64::min),
    );
    most > 30.0 * least
}

fn axis(bars: &[Bar], unit: &Unit) -> Axis {
    let least = bars.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min) * unit.per_second;
    let most = bars.iter().map(|bar| bar.high).fold(0.0, f64::max) * unit.per_second;
    let log = far_apart(bars);
    let lo = if log { least / 1.5 } else { 0.0 };
    Axis {
        lo,
        hi: most,
        log,
        from: 0.0,
        to: 1.0,
        only: None,
    }
}

fn x_label(bars: &[Bar], unit: &Unit, log: bool) -> String {
    let counts = || bars.iter().map(|bar| bar.count);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let unit = if log {
        format!("{}, log scale", unit.name)
    } else {
        unit.name.into()
    };
    match (least, most) {
        (_, ..=1) => format!("time per estimate ({unit}; measured once)"),
        _ => {
            let n = if least == most {
                format!("{most}")
            } else {
                format!("{least} to {most}")
            };
            format!("time per estimate ({unit}; median of {n}, whiskers min to max)")
        }
    }
}

/// One unit of time for the whole figure.
struct Unit {
    name: &'static str,
    symbol: &'static str,
    per_second: f64,
}

impl Unit {
    fn of(bars: &[Bar]) -> Self {
        let (name, symbol, per_second) = match bars.iter().map(|bar| bar.median).fold(0.0, f64::max)
        {
            ..1e-4 => ("microseconds", "µs", 1e6),
            ..0.1 => ("milliseconds", "ms", 1e3),
            _ => ("seconds", "s", 1.0),
        };
        Self {
            name,
            symbol,
            per_second,
        }
    }

    fn write(&self, seconds: f64) -> String {
        format!(
            "{} {}",
            significant(seconds * self.per_second, 3),
            self.symbol
        )
    }
}
