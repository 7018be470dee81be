//! Estimates against the number of probes.

use super::axis::Axis;
use super::canvas::Point;
use super::curve::{Curve, Mean, probes, set_aside};
use super::numbers::significant;
use super::plot::{BAND, Entry, Plot};
use super::series::{Compare, matrix_name, series};
use super::style::{self, EXACT, Stroke, Style};
use crate::output::store::{Record, Results};
use crate::problem::ProblemSpec;
use crate::spec::ExperimentKind;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;

/// Estimates of the trace against V as an SVG: per setting a thin line for every seed, a strong one for their mean and
/// a band of one standard deviation around it; the exact trace is a dashed black line.
///
/// # Errors
/// No row with a finite estimate from V probes.
pub fn convergence(records: &[Record]) -> Result<String> {
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
    let mut curves: Vec<Curve> = series.each.iter().map(Curve::new).collect();
    set_aside(&mut curves);
    let exact = exact(records);
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
    let ends = means.flat_map(|m| [m.mean - m.sd, m.mean + m.sd]);
    let values = finite().map(|r| r.estimate).chain(ends);
    let y = Axis::linear(values.chain(exact.iter().copied()));
    let x = (Axis::log(finite().map(probes)), "probes V");
    let y_label = format!("{} (loss / parameter²)", quantity(records));
    let mut plot = Plot::new(&series.common, &legend, x, (y, &y_label));
    draw(&mut plot, &curves, &exact);

    let mut notes = vec![reading(&curves)];
    match all - drawn {
        0 => {}
        1 => notes.push("1 non-finite estimate not drawn, nor in the mean.".into()),
        lost => notes.push(format!(
            "{lost} non-finite estimates not drawn, nor in the mean."
        )),
    }
    Ok(plot.finish(&notes))
}

/// Later layers cover earlier ones: bands, seeds, the truth, means.
fn draw(plot: &mut Plot, curves: &[Curve], exact: &[f64]) {
    let Plot { canvas, x, y, .. } = plot;
    let at = |curve: &Curve, v: f64, value: f64| -> Point { (x.at(v) + curve.aside, y.at(value)) };
    let styled = || (0..).map(style::style).zip(curves);
    let spread = || styled().filter(|(_, curve)| curve.seeds.len() > 1);
    // Many curves share the ink of three.
    let ink = (3.0 / curves.len() as f64).min(1.0);
    for (Style { stroke, .. }, curve) in spread() {
        let upper = curve.means.iter().map(|m| at(curve, m.v, m.mean + m.sd));
        let lower = curve
            .means
            .iter()
            .rev()
            .map(|m| at(curve, m.v, m.mean - m.sd));
        let outline: Vec<Point> = upper.chain(lower).collect();
        match outline[..] {
            [top, bottom] => canvas.bracket(top, bottom, Stroke::solid(stroke.colour, 1.2)),
            _ => canvas.area(&outline, stroke.colour, BAND * ink),
        }
    }
    for (Style { stroke, .. }, curve) in spread() {
        let thin = Stroke {
            width: 0.5,
            opacity: 0.4 * ink,
            dash: "",
            ..stroke
        };
        for seed in curve.seeds.values() {
            let points: Vec<Point> = seed
                .iter()
                .map(|&(v, estimate)| at(curve, v, estimate))
                .collect();
            match points[..] {
                [(x, y)] => canvas.line(
                    &[(x - 5.0, y), (x + 5.0, y)],
                    Stroke {
                        opacity: 0.5,
                        ..thin
                    },
                ),
                _ => canvas.line(&points, thin),
            }
        }
    }
    for &value in exact {
        canvas.line(&[(x.from, y.at(value)), (x.to, y.at(value))], EXACT.stroke);
    }
    for (index, (style, curve)) in styled().enumerate() {
        let means: Vec<Point> = curve.means.iter().map(|m| at(curve, m.v, m.mean)).collect();
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
            canvas.hint(
                at(curve, mean.v, mean.mean),
                (8.0, 16.0),
                &hint(curve, mean),
            );
        }
    }
}

/// The numbers behind a point.
fn hint(curve: &Curve, mean: &Mean) -> String {
    let Mean { v, mean, sd, runs } = mean;
    let mean = significant(*mean, 5);
    let value = match runs {
        1 => mean,
        _ => format!("{mean} ± {} over {runs} runs", significant(*sd, 2)),
    };
    format!("{}, V {v}: {value}", curve.label)
}

/// How to read the lines.
fn reading(curves: &[Curve]) -> String {
    let counts = || curves.iter().map(|c| c.seeds.len());
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let repeated = curves
        .iter()
        .flat_map(|c| c.seeds.keys())
        .any(|&(_, repeat)| repeat > 0);
    let run = if repeated { "run" } else { "seed" };
    let [mean, spread, each] = match curves.iter().filter(|c| c.means.len() == 1).count() {
        0 => ["Strong line", "band", "thin lines"],
        points if points == curves.len() => ["Marker", "bar", "thin ticks"],
        _ => [
            "Strong line or marker",
            "band or bar",
            "thin lines or ticks",
        ],
    };
    let n = if least == most {
        format!("{most}")
    } else {
        format!("{least} to {most}")
    };
    match most {
        ..=1 => format!("One {run}."),
        _ => format!(
            "{mean}: mean over {n} {run}s; {spread}: ± 1 standard deviation; {each}: each {run}."
        ),
    }
}

/// Distinct exact traces; those that would be labelled the same are one.
fn exact(records: &[Record]) -> Vec<f64> {
    let finite = records
        .iter()
        .filter(|r| r.is_trace())
        .filter_map(|r| r.exact)
        .filter(|value| value.is_finite());
    let distinct: BTreeMap<String, f64> =
        finite.map(|value| (significant(value, 8), value)).collect();
    distinct.into_values().collect()
}

fn quantity(records: &[Record]) -> String {
    let first = records.first().map_or("", |r| r.matrix.as_str());
    match first {
        _ if records.iter().any(|r| r.matrix != first) => "trace estimate".into(),
        matrix => format!("{} trace estimate", matrix_name(matrix)),
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
            convergence(&results.records).map(Some)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::{curves, row};
    use super::super::raster::parse;
    use super::*;

    /// How often `svg` holds a line drawn like this.
    fn lines(svg: &str, drawn: &str) -> usize {
        svg.lines()
            .filter(|line| line.starts_with("<polyline") && line.contains(drawn))
            .count()
    }

    #[test]
    fn says_what_it_shows() {
        let svg = convergence(&curves()).unwrap();
        for text in [
            ">probes V<",
            "<title>hmp, parameter, V_batch 10, V 100: 12.445 ± 0.27 over 3 runs</title>",
            ">Hessian trace estimate (loss / parameter²)<",
            ">hmp, parameter, V_batch 10<",
            ">exact trace 12.455009<",
            ">convergence · Hessian · hutchinson · rademacher · torch stream · cpu · float32<",
            ">10<",
            ">100<",
            ">1000<",
            "mean over 3 seeds; band: ± 1 standard deviation",
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
        assert!(
            convergence(&rows)
                .unwrap()
                .contains("1 non-finite estimate not drawn")
        );
        rows[7].estimate = f64::INFINITY;
        let svg = convergence(&rows).unwrap();
        assert!(svg.contains("2 non-finite estimates not drawn"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        rows.iter_mut().for_each(|r| r.estimate = f64::NAN);
        let error = convergence(&rows).unwrap_err().to_string();
        assert_eq!(
            error,
            "found no finite estimate to draw: all 15 are NaN or infinite"
        );
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        let error = |rows: &[Record]| convergence(rows).unwrap_err().to_string();
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
        let svg = convergence(&rows).unwrap();
        assert!(svg.contains(">One seed.<") && !svg.contains("fill-opacity"));
        assert!(convergence(&curves()).unwrap().contains("fill-opacity"));
    }

    #[test]
    fn one_v_has_bars_side_by_side_and_its_own_tick() {
        let mut rows = [1.0, 2.0, 4.0, 5.0].map(|estimate| row(48, estimate as u64, estimate));
        rows[2].blocks = Some("full".into());
        rows[3].blocks = Some("full".into());
        let svg = convergence(&rows).unwrap();
        assert!(svg.contains(">48<") && svg.contains("bar: ± 1 standard deviation"));
        assert_eq!(
            lines(&svg, r#"stroke-width="1.2" stroke-opacity="1""#),
            2 * 3 + 2,
            "brackets, exact"
        );
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
        let svg = convergence(&rows).unwrap();
        assert!(
            svg.contains(">hmp, full, V_batch 10<") && svg.contains(">hmp, parameter, V_batch 10<")
        );
        assert_eq!(lines(&svg, r##"stroke="#d55e00" stroke-width="1.7""##), 2);
        assert_eq!(svg.matches("exact trace").count(), 1);
        rows.iter_mut().for_each(|r| r.exact = None);
        assert!(!convergence(&rows).unwrap().contains("exact trace"));
        rows[0].exact = Some(-3.0);
        rows[1].exact = Some(4.5);
        let svg = convergence(&rows).unwrap();
        assert!(
            svg.contains(">exact trace −3.0000000<") && svg.contains(">exact trace 4.5000000<")
        );
    }
}
