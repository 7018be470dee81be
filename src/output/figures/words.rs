//! The words of a figure of curves: its axis, its notes, the numbers behind a point.

use super::curve::{Curve, Mean};
use super::numbers::significant;
use crate::estimator::counted;
use crate::output::format;
use crate::output::store::Record;
use std::collections::BTreeMap;

/// Settings of which every seed can be shown.
pub(super) const FEW: usize = 3;

/// "probes V", or what V counts for which of the estimators.
pub(super) fn v_label(curves: &[Curve]) -> String {
    let mut units: Vec<(&str, Vec<&str>)> = Vec::new();
    for curve in curves {
        let (unit, estimator) = (counted(curve.estimator), curve.estimator);
        match units.iter_mut().find(|(known, _)| *known == unit) {
            None => units.push((unit, vec![estimator])),
            Some((_, all)) if !all.contains(&estimator) => all.push(estimator),
            Some(_) => {}
        }
    }
    match &units[..] {
        [(unit, _)] => format!("{unit} V"),
        _ => {
            let unit = |(unit, all): &(&str, Vec<&str>)| format!("{unit} of {}", all.join(", "));
            let all: Vec<String> = units.iter().map(unit).collect();
            format!("V: {}", all.join("; "))
        }
    }
}

/// The numbers behind a point.
pub(super) fn hint(curve: &Curve, mean: &Mean) -> String {
    let unit = counted(curve.estimator);
    let value = match mean.runs {
        1 => format::within(mean.mean, mean.half),
        runs => format!(
            "mean {}, standard deviation {} over {runs} runs",
            significant(mean.mean, 5),
            significant(mean.sd, 2)
        ),
    };
    format!("{}, {} {unit}: {value}", curve.label, mean.v)
}

/// How to read the lines.
pub(super) fn reading(curves: &[Curve], confidence: f64) -> String {
    let counts = || curves.iter().map(|c| c.seeds.len());
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let repeated = curves
        .iter()
        .flat_map(|c| c.seeds.keys())
        .any(|&(_, repeat)| repeat > 0);
    let run = if repeated { "run" } else { "seed" };
    let n = if least == most {
        format!("{most}")
    } else {
        format!("{least} to {most}")
    };
    let bars = curves
        .iter()
        .any(|c| c.means.iter().any(|m| m.half.is_some()));
    let bars = match bars {
        true => format!(" Bars: {} interval.", format::percent(confidence)),
        false => String::new(),
    };
    let each = match curves.len() <= FEW {
        true => format!("; thin lines: each {run}"),
        false => String::new(),
    };
    match most {
        ..=1 => format!("One {run}.{bars}"),
        _ => format!(
            "Strong line: mean over {n} {run}s; band: one standard deviation between {run}s{each}.{bars}"
        ),
    }
}

/// What the estimates are of.
pub(super) fn quantity(records: &[Record]) -> String {
    let first = records.first().map_or("", |r| r.matrix.as_str());
    match first {
        _ if records.iter().any(|r| r.matrix != first) => "trace estimate".into(),
        matrix => format!("{} trace estimate", format::matrix(matrix)),
    }
}

/// Distinct exact traces; those that would be labelled the same are one.
pub(super) fn exact(records: &[Record]) -> Vec<f64> {
    let finite = records
        .iter()
        .filter(|r| r.is_trace())
        .filter_map(|r| r.exact)
        .filter(|value| value.is_finite());
    let distinct: BTreeMap<String, f64> =
        finite.map(|value| (significant(value, 8), value)).collect();
    distinct.into_values().collect()
}
