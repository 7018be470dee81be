//! Seconds per estimate, a bar per setting.

use super::super::Record;
use super::axis::Axis;
use super::canvas::{Anchor, Canvas, WIDTH};
use super::numbers::significant;
use super::plot::{MARGIN, finish, header, x_axis};
use super::raster::{fit, text_width};
use super::settings::{Compare, Setting, settings};
use super::style::{INK, SMALL, Stroke, fill};
use anyhow::{Result, ensure};

/// From one bar to the next.
const PITCH: f64 = 18.0;
/// Thickness of a bar.
const BAR: f64 = 11.0;
/// Between bars of different products.
const GAP: f64 = 7.0;

/// Seconds per estimate as an SVG: a bar per setting to the median, whiskers from the fastest to the
/// slowest repeat. The axis is logarithmic where medians are more than 30 times apart.
///
/// # Errors
/// No row with a measured time.
pub fn timing(records: &[Record]) -> Result<String> {
    let measured = || {
        records
            .iter()
            .filter(|r| r.seconds.is_finite() && r.seconds > 0.0)
    };
    let lost = records.len() - measured().count();
    ensure!(
        lost < records.len(),
        "found no measured seconds to draw among {} rows; a timing figure needs some",
        records.len()
    );
    let settings = settings(measured(), Compare::Seconds);
    let bars: Vec<Bar> = settings.each.iter().map(Bar::new).collect();
    let unit = Unit::of(&bars);

    let mut canvas = Canvas::default();
    let top = header(&mut canvas, &settings.common, &[]);
    let label = |bar: &Bar| fit(bar.label, SMALL, 0.5 * WIDTH);
    let widest = |texts: &mut dyn Iterator<Item = String>| {
        texts
            .map(|text| text_width(&text, SMALL))
            .fold(0.0, f64::max)
    };
    let left = MARGIN + widest(&mut bars.iter().map(label)) + 6.0;
    let right = WIDTH - MARGIN - widest(&mut bars.iter().map(|bar| unit.write(bar.median))) - 6.0;
    let axis = axis(&bars, &unit).between(left, right);

    let mut y = top + PITCH / 2.0;
    let mut products = 0;
    let mut places = Vec::new();
    for (i, bar) in bars.iter().enumerate() {
        if i > 0 && bar.product != bars[i - 1].product {
            y += GAP;
            products += 1;
        }
        places.push((y, fill(products)));
        y += PITCH;
    }
    let bottom = y - PITCH / 2.0 + 2.0;
    let x_label = x_label(&bars, &unit, axis.log);
    let foot = x_axis(&mut canvas, &axis, (top, bottom), &x_label);
    for (bar, (y, (colour, hatch))) in bars.iter().zip(places) {
        let [low, median, high] =
            [bar.low, bar.median, bar.high].map(|v| axis.at(v * unit.per_second));
        canvas.text((left - 6.0, y), Anchor::End, SMALL, INK, &label(bar));
        canvas.bar((left, y - BAR / 2.0), (median - left, BAR), colour, hatch);
        if bar.high > bar.low {
            canvas.bracket((low, y), (high, y), Stroke::solid(INK, 1.0));
        }
        canvas.text(
            (high.max(median) + 5.0, y),
            Anchor::Start,
            SMALL,
            INK,
            &unit.write(bar.median),
        );
    }
    canvas.line(&[(left, top), (left, bottom)], Stroke::solid(INK, 0.8));
    let note = format!("Estimates without a measured time, not drawn: {lost}.");
    let notes = if lost > 0 { vec![note] } else { vec![] };
    Ok(finish(canvas, foot, &notes))
}

fn axis(bars: &[Bar], unit: &Unit) -> Axis {
    let medians = || bars.iter().map(|bar| bar.median);
    let spread = medians().fold(0.0, f64::max) / medians().fold(f64::INFINITY, f64::min);
    let least = bars.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min) * unit.per_second;
    let most = bars.iter().map(|bar| bar.high).fold(0.0, f64::max) * unit.per_second;
    let log = spread > 30.0;
    // The shortest bar has a length too.
    let lo = if log { least / 2.0 } else { 0.0 };
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

/// One setting's seconds.
struct Bar<'a> {
    label: &'a str,
    product: &'a Option<String>,
    low: f64,
    median: f64,
    high: f64,
    count: usize,
}

impl<'a> Bar<'a> {
    fn new(setting: &'a Setting) -> Self {
        let mut seconds: Vec<f64> = setting.rows.iter().map(|row| row.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let count = seconds.len();
        let median = (seconds[(count - 1) / 2] + seconds[count / 2]) / 2.0;
        let (low, high) = (seconds[0], seconds[count - 1]);
        Self {
            label: &setting.label,
            product: &setting.product,
            low,
            median,
            high,
            count,
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

#[cfg(test)]
mod tests {
    use super::super::raster::parse;
    use super::super::sample::{row, timed};
    use super::*;

    #[test]
    fn says_what_it_shows() {
        let rows = timed();
        let sampled: Vec<Record> = rows.into_iter().filter(|r| r.product.is_some()).collect();
        let svg = timing(&sampled).unwrap();
        for text in [
            ">autodiff, full<",
            ">hmp, parameter, V_batch 20<",
            ">2.20 s<",
            ">0.210 s<",
            ">time per estimate (seconds; median of 3, whiskers min to max)<",
            ">timing · Hessian · hutchinson · rademacher · torch stream · V 1000 · cpu · float32 · 2 threads<",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(
            !svg.contains("log scale"),
            "4.0 s is less than 30 times 0.15 s"
        );
        parse(&svg).unwrap();
    }

    #[test]
    fn bars_are_sorted_by_product_then_batch() {
        let mut rows = timed();
        rows.reverse();
        let svg = timing(&rows).unwrap();
        let place = |label: &str| svg.find(&format!(">{label}<")).unwrap();
        let labels = [
            "exact",
            "autodiff, full",
            "hmp, parameter, V_batch 5",
            "hmp, parameter, V_batch 200",
        ];
        assert!(labels.map(place).is_sorted());
    }

    #[test]
    fn far_apart_times_stand_on_a_logarithmic_axis() {
        let svg = timing(&timed()).unwrap();
        assert!(
            svg.contains("(seconds, log scale; median"),
            "4.0 s is more than 30 times 0.0074 s"
        );
        assert!(svg.contains(">0.00740 s<"));
    }

    #[test]
    fn bars_end_at_their_medians() {
        let rows: Vec<Record> = [1.0, 2.0]
            .map(|s| Record {
                seconds: s,
                v_batch: Some(s as u64),
                ..row(1, 0, 1.0)
            })
            .into();
        let svg = timing(&rows).unwrap();
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<rect x="))
            .map(|line| {
                line.split("width=\"")
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        assert_eq!(widths.len(), 2);
        assert!((widths[1] / widths[0] - 2.0).abs() < 1e-3, "{widths:?}");
        assert!(svg.contains("measured once"));
    }

    #[test]
    fn small_times_have_small_units() {
        let at = |seconds| {
            timing(&[Record {
                seconds,
                ..row(1, 0, 1.0)
            }])
            .unwrap()
        };
        assert!(at(0.0123).contains(">12.3 ms<") && at(2.5e-5).contains(">25.0 µs<"));
        assert!(at(0.0123).contains("(milliseconds;"));
    }

    #[test]
    fn nothing_to_draw_is_an_error_and_unmeasured_rows_are_counted() {
        let error = timing(&[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "found no measured seconds to draw among 0 rows; a timing figure needs some"
        );
        let mut rows = timed();
        rows[0].seconds = f64::NAN;
        rows[4].seconds = 0.0;
        assert!(
            timing(&rows)
                .unwrap()
                .contains(">Estimates without a measured time, not drawn: 2.<")
        );
    }
}
