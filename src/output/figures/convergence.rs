//! Estimates against the number of probes.

use super::axis::Axis;
use super::canvas::Point;
use super::curve::{Curve, fewer, of_the_last_checkpoint, probes};
use super::forest::{forest, rows};
use super::numbers::significant;
use super::plot::{BAND, Entry, Plot};
use super::series::{Compare, MOST, series};
use super::style::{self, EXACT, Stroke, Style};
use super::words::{FEW, exact, hint, quantity, reading, v_label};
use crate::output::format;
use crate::output::store::{Record, Results};
use crate::problem::ProblemSpec;
use crate::spec::ExperimentKind;
use anyhow::{Result, ensure};

/// Estimates of the trace against V as an SVG: per setting a thin line for every seed where there are few settings, a strong
/// one for their mean and a band of one standard deviation around it, or with one seed the interval that the
/// estimate states at `confidence`; the exact trace is a dashed black line. At most eight settings, those of the
/// smallest spread; where every setting has one V alone, a row for each instead, without an axis for V. Curves are
/// those of the last checkpoint: traces of several have no scale in common.
///
/// # Errors
/// No row with a finite estimate from V probes.
pub fn convergence(records: &[Record], confidence: f64) -> Result<String> {
    let traces = || records.iter().filter(|r| r.is_trace());
    let sampled = || traces().filter(|r| probes(r) > 0.0);
    let finite = || sampled().filter(|r| r.estimate.is_finite());
    let (all, drawn) = (sampled().count(), finite().count());
    ensure!(
        all > 0,
        "found no estimate with V probes to draw among {} rows; a convergence figure needs some",
        traces().count()
    );
    ensure!(
        drawn > 0,
        "found no finite estimate to draw: all {all} are NaN or infinite"
    );
    let series = series(finite(), Compare::Estimates);
    let curves: Vec<Curve> = series.each.iter().map(Curve::new).collect();
    let exact = exact(records);
    let mut notes = Vec::new();
    match all - drawn {
        0 => {}
        1 => notes.push("1 non-finite estimate not drawn, nor in the mean.".into()),
        lost => notes.push(format!(
            "{lost} non-finite estimates not drawn, nor in the mean."
        )),
    }
    let label = format!("{} (loss / parameter²)", quantity(records));
    if curves.iter().all(|curve| curve.means.len() == 1) {
        let confidence = format::percent(confidence);
        let rows = rows(&curves);
        return Ok(forest(
            &series.common,
            &rows,
            &exact,
            (&label, &confidence),
            notes,
        ));
    }
    if let Some(last) = of_the_last_checkpoint(finite(), records) {
        return convergence(&last, confidence);
    }
    let (curves, left_out) = fewer(curves);
    if left_out > 0 {
        notes.push(format!(
            "The {MOST} of least spread; {left_out} more are in the tables."
        ));
    }
    let entry = |(i, curve): (usize, &Curve)| Entry {
        label: curve.label.into(),
        style: style::style(i),
        band: curve.seeds.len() > 1 && curve.means.len() > 1,
    };
    let mut legend: Vec<Entry> = curves.iter().enumerate().map(entry).collect();
    legend.extend(exact.iter().map(|value| Entry {
        label: format!("exact trace {}", significant(*value, 8)),
        style: EXACT,
        band: false,
    }));
    let means = curves.iter().flat_map(|curve| &curve.means);
    let ends = means.flat_map(|m| [m.mean - m.reach(), m.mean + m.reach()]);
    let values = curves
        .iter()
        .flat_map(|curve| curve.seeds.values().flatten());
    let values = values.map(|&(_, estimate)| estimate).chain(ends);
    let y = Axis::linear(values.chain(exact.iter().copied()));
    let places = curves
        .iter()
        .flat_map(|curve| curve.means.iter().map(|m| m.v));
    let x = (Axis::log(places), &*v_label(&curves));
    let mut plot = Plot::new(&series.common, &legend, x, (y, &label));
    draw(&mut plot, &curves, &exact);
    notes.insert(0, reading(&curves, confidence));
    Ok(plot.finish(&notes))
}

/// Later layers cover earlier ones: bands, seeds, the truth, means.
fn draw(plot: &mut Plot, curves: &[Curve], exact: &[f64]) {
    let Plot { canvas, x, y, .. } = plot;
    let at = |v: f64, value: f64| -> Point { (x.at(v), y.at(value)) };
    let styled = || (0..).map(style::style).zip(curves);
    let spread = || styled().filter(|(_, curve)| curve.seeds.len() > 1);
    // Many curves share the ink of three.
    let ink = (3.0 / curves.len() as f64).min(1.0);
    for (Style { stroke, .. }, curve) in spread() {
        let upper = curve.means.iter().map(|m| at(m.v, m.mean + m.sd));
        let lower = curve.means.iter().rev();
        let lower = lower.map(|m| at(m.v, m.mean - m.sd));
        let outline: Vec<Point> = upper.chain(lower).collect();
        match outline[..] {
            [top, bottom] => canvas.bracket(top, bottom, Stroke::solid(stroke.colour, 1.2)),
            _ => canvas.area(&outline, stroke.colour, BAND * ink),
        }
    }
    for (Style { stroke, .. }, curve) in spread().filter(|_| curves.len() <= FEW) {
        let thin = Stroke {
            width: 0.5,
            opacity: 0.4 * ink,
            dash: "",
            ..stroke
        };
        for seed in curve.seeds.values() {
            let points: Vec<Point> = seed.iter().map(|&(v, value)| at(v, value)).collect();
            canvas.line(&points, thin);
        }
    }
    for &value in exact {
        canvas.line(&[(x.from, y.at(value)), (x.to, y.at(value))], EXACT.stroke);
    }
    for (Style { stroke, .. }, curve) in styled() {
        for mean in &curve.means {
            if let Some(half) = mean.half {
                let ends = [mean.mean - half, mean.mean + half].map(|end| at(mean.v, end));
                canvas.bracket(ends[0], ends[1], Stroke::solid(stroke.colour, 1.0));
            }
        }
    }
    for (index, (style, curve)) in styled().enumerate() {
        let means: Vec<Point> = curve.means.iter().map(|m| at(m.v, m.mean)).collect();
        canvas.line(&means, style.stroke);
        // Few markers, and not all curves' at the same V.
        let every = means.len().div_ceil(8);
        for &point in means.iter().skip(index % every).step_by(every) {
            canvas.marker(
                point,
                style.marker.expect("curves have markers"),
                style.stroke.colour,
            );
        }
    }
    for curve in curves {
        for mean in &curve.means {
            canvas.hint(at(mean.v, mean.mean), (8.0, 16.0), &hint(curve, mean));
        }
    }
}

/// The figure of a results folder; `None` where it has nothing to draw.
///
/// # Errors
/// None but those of a bug of ours.
pub(super) fn figure(results: &Results) -> Result<Option<String>> {
    let drawable = results
        .records
        .iter()
        .any(|r| r.is_trace() && r.v.is_some() && r.estimate.is_finite());
    // Traces of different given matrices have no scale in common.
    let apart = results.spec.as_ref().is_some_and(
        |spec| matches!(&spec.problem, ProblemSpec::Matrix(matrix) if matrix.spectra.len() > 1),
    );
    match results.kind() {
        ExperimentKind::Convergence if drawable && !apart => {
            convergence(&results.records, results.confidence()).map(Some)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::{curves, row};
    use super::super::raster::parse;
    use super::*;

    fn drawn(rows: &[Record]) -> String {
        convergence(rows, 0.95).unwrap()
    }

    /// How often `svg` holds a line drawn like this.
    fn lines(svg: &str, drawn: &str) -> usize {
        svg.lines()
            .filter(|line| line.starts_with("<polyline") && line.contains(drawn))
            .count()
    }

    #[test]
    fn says_what_it_shows() {
        let svg = drawn(&curves());
        for text in [
            ">probes V<",
            "<title>hmp, parameter, V_batch 10, 100 probes: mean 12.445, standard deviation 0.27 over 3 runs</title>",
            ">Hessian trace estimate (loss / parameter²)<",
            ">hmp, parameter, V_batch 10<",
            ">exact trace 12.455009<",
            ">convergence · Hessian · hutchinson · rademacher · torch stream · cpu · float32<",
            ">10<",
            ">100<",
            ">1000<",
            "mean over 3 seeds; band: one standard deviation between seeds; thin lines: each seed",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(!svg.contains("non-finite"));
        assert_eq!(parse(&svg).unwrap().size().width(), 7.0 * 96.0);
        assert_eq!(
            lines(&svg, r#"stroke-width="0.5" stroke-opacity="0.4""#),
            3,
            "one thin line per seed"
        );
    }

    #[test]
    fn what_is_not_finite_is_left_out_and_counted() {
        let mut rows = curves();
        rows[1].estimate = f64::NAN;
        assert!(drawn(&rows).contains("1 non-finite estimate not drawn"));
        rows[7].estimate = f64::INFINITY;
        let svg = drawn(&rows);
        assert!(svg.contains("2 non-finite estimates not drawn"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        rows.iter_mut().for_each(|r| r.estimate = f64::NAN);
        let error = convergence(&rows, 0.95).unwrap_err().to_string();
        assert_eq!(
            error,
            "found no finite estimate to draw: all 15 are NaN or infinite"
        );
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        let error = |rows: &[Record]| convergence(rows, 0.95).unwrap_err().to_string();
        assert!(error(&[]).contains("no estimate with V probes to draw among 0 rows"));
        let exact = Record {
            v: None,
            ..row(1, 0, 1.0)
        };
        assert!(error(&[exact]).contains("among 1 rows"));
    }

    #[test]
    fn one_seed_has_no_band() {
        let rows: Vec<Record> = curves().into_iter().filter(|r| r.seed == Some(1)).collect();
        let svg = drawn(&rows);
        assert!(svg.contains(">One seed.<") && !svg.contains("fill-opacity"));
        assert!(drawn(&curves()).contains("fill-opacity"));
    }

    /// Points at one V have no axis for it; whatever is drawn stands at its own value.
    #[test]
    fn one_v_has_a_row_for_every_setting() {
        let mut rows = [1.0, 2.0, 4.0, 5.0].map(|estimate| row(48, estimate as u64, estimate));
        rows[2].blocks = Some("full".into());
        rows[3].blocks = Some("full".into());
        let svg = drawn(&rows);
        for text in [
            ">hmp, full, V_batch 10, 48 probes<",
            ">hmp, parameter, V_batch 10, 48 probes<",
            "bar: one standard deviation between runs",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(!svg.contains(">probes V<"));
    }

    #[test]
    fn points_stand_at_their_v_with_the_interval_that_they_state() {
        let at = |v, estimate| Record {
            ci_low: Some(estimate - 1.0),
            ci_high: Some(estimate + 1.0),
            ..row(v, 0, estimate)
        };
        let other = Record {
            estimator: "propagation".into(),
            product: None,
            ..at(100, 12.5)
        };
        let svg = drawn(&[at(10, 12.0), at(100, 12.4), other]);
        assert!(
            svg.contains(">V: passes of propagation; probes of hutchinson<"),
            "{svg}"
        );
        assert!(svg.contains("Bars: 95 % interval.") && svg.contains("12.4 ± 1.0"));
        let places = |text: &str| {
            let line = svg.lines().find(|line| line.contains(text)).unwrap();
            line.split('"').nth(1).unwrap().to_string()
        };
        let [a, b] = [
            "hmp, parameter, V_batch 10, 100 probes",
            "propagation, parameter, V_batch 10, 100 passes",
        ];
        assert_eq!(places(a), places(b), "both stand at V 100");
    }

    #[test]
    fn no_more_than_eight_settings_are_drawn() {
        let setting = |i: u64| {
            [10, 100].map(|v| Record {
                v_batch: Some(i),
                ci_low: Some(12.0 - i as f64),
                ci_high: Some(12.0 + i as f64),
                ..row(v, 0, 12.0)
            })
        };
        let rows: Vec<Record> = (1..=11).flat_map(setting).collect();
        let svg = drawn(&rows);
        assert!(svg.contains("3 more are in the tables"), "{svg}");
        assert!(svg.contains("V_batch 8<") && !svg.contains("V_batch 9<"));
    }

    #[test]
    fn settings_have_their_own_lines_and_differing_truths_too() {
        let mut rows = curves();
        let full = |r: &Record| Record {
            blocks: Some("full".into()),
            exact: None,
            ..r.clone()
        };
        rows.extend(curves().iter().map(full));
        let svg = drawn(&rows);
        assert!(
            svg.contains(">hmp, full, V_batch 10<") && svg.contains(">hmp, parameter, V_batch 10<")
        );
        assert_eq!(lines(&svg, r##"stroke="#d55e00" stroke-width="1.7""##), 2);
        assert_eq!(svg.matches("exact trace").count(), 1);
        rows.iter_mut().for_each(|r| r.exact = None);
        assert!(!drawn(&rows).contains("exact trace"));
        rows[0].exact = Some(-3.0);
        rows[1].exact = Some(4.5);
        let svg = drawn(&rows);
        assert!(
            svg.contains(">exact trace −3.0000000<") && svg.contains(">exact trace 4.5000000<")
        );
    }
}
