//! How wrong the estimators of an experiment are after so many products, or so many seconds.

use super::curve::probes;
use super::error_curves::{Cost, ErrorPoint, error_curves};
use super::series::{Compare, series};
use super::stack::stack;
use crate::output::format;
use crate::output::store::{Record, Results};
use crate::spec::ExperimentKind;
use anyhow::Result;
use std::collections::BTreeMap;

/// The fewest runs whose root mean square error is worth a point.
const RUNS: usize = 3;

/// Relative error against `cost`, a plot for every matrix and in it a line for every setting; `None`
/// where fewer than two settings can be compared: each needs the exact trace and three runs at
/// a V.
///
/// # Errors
/// None but those of a bug of ours.
pub fn errors(records: &[Record], cost: Cost) -> Result<Option<String>> {
    let usable = |r: &&Record| {
        let known = r.exact.is_some_and(|exact| exact != 0.0);
        known && r.is_trace() && probes(r) > 0.0 && r.estimate.is_finite()
    };
    let mut matrices: Vec<&str> = Vec::new();
    for record in records.iter().filter(usable) {
        if !matrices.contains(&record.matrix.as_str()) {
            matrices.push(&record.matrix);
        }
    }
    let mut plots = Vec::new();
    for matrix in matrices {
        let of_matrix = records.iter().filter(usable).filter(|r| r.matrix == matrix);
        let series = series(of_matrix, Compare::Estimates);
        let lines: Vec<Vec<ErrorPoint>> = series
            .each
            .iter()
            .map(|setting| points(&setting.label, &setting.rows, cost))
            .filter(|points| !points.is_empty())
            .collect();
        if lines.len() > 1 {
            let (lines, same) = without_common_words(lines);
            let mut subtitle = [series.common, same].concat();
            if !subtitle.iter().any(|part| part == format::matrix(matrix)) {
                subtitle.insert(0, format::matrix(matrix).into());
            }
            let rounding = match subtitle.iter().any(|part| part == "float64") {
                true => 1e-14,
                false => 1e-6,
            };
            plots.push(error_curves(&subtitle, &lines.concat(), cost, rounding)?);
        }
    }
    Ok(match plots.len() {
        0 => None,
        1 => plots.pop(),
        _ => Some(stack(&plots)?),
    })
}

/// Labels stand at the ends of lines, where there is little room: what all of them say is said once.
fn without_common_words(mut lines: Vec<Vec<ErrorPoint>>) -> (Vec<Vec<ErrorPoint>>, Vec<String>) {
    let words = |line: &Vec<ErrorPoint>| -> Vec<String> {
        line[0].label.split(", ").map(str::to_string).collect()
    };
    let mut same = lines.first().map_or(Vec::new(), words);
    for line in &lines {
        let own = words(line);
        same.retain(|word| own.contains(word));
    }
    for line in &mut lines {
        let own = words(line);
        let left: Vec<String> = own
            .into_iter()
            .filter(|word| !same.contains(word))
            .collect();
        line.iter_mut()
            .for_each(|point| point.label = left.join(", "));
    }
    (lines, same)
}

/// A point for every V of a setting.
fn points(label: &str, rows: &[&Record], cost: Cost) -> Vec<ErrorPoint> {
    let mut by_v: BTreeMap<Option<u64>, Vec<&Record>> = BTreeMap::new();
    for row in rows {
        by_v.entry(row.v).or_default().push(row);
    }
    let enough = by_v.into_values().filter(|rows| rows.len() >= RUNS);
    enough.map(|rows| point(label, &rows, cost)).collect()
}

fn point(label: &str, rows: &[&Record], cost: Cost) -> ErrorPoint {
    let square = |r: &&Record| {
        let exact = r.exact.expect("rows with the exact trace");
        ((r.estimate - exact) / exact).powi(2)
    };
    let mut costs: Vec<f64> = rows.iter().map(|r| cost.of(r)).collect();
    costs.sort_by(f64::total_cmp);
    ErrorPoint {
        label: label.into(),
        quiet: false,
        cost: costs[costs.len() / 2],
        error: (rows.iter().map(square).sum::<f64>() / rows.len() as f64).sqrt(),
    }
}

/// The figure of a results folder; `None` where it has nothing to draw.
///
/// # Errors
/// None but those of a bug of ours.
pub(super) fn figure(results: &Results, cost: Cost) -> Result<Option<String>> {
    match results.kind() {
        ExperimentKind::Convergence => errors(&results.records, cost),
        ExperimentKind::Timing => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::row;
    use super::super::raster::parse;
    use super::*;

    fn rows(estimator: &str, matrix: &str) -> Vec<Record> {
        let row = |(v, seed): (u64, u64)| Record {
            estimator: estimator.into(),
            matrix: matrix.into(),
            exact: Some(2.0),
            products: v,
            ..row(v, seed, 2.0 + 1.0 / (v + seed) as f64)
        };
        [10, 100]
            .into_iter()
            .flat_map(|v| (0..3).map(move |seed| (v, seed)))
            .map(row)
            .collect()
    }

    #[test]
    fn settings_are_compared_matrix_by_matrix() {
        let draw = |records: &[Record]| errors(records, Cost::Products).unwrap();
        let one = rows("hutchinson", "flat");
        assert_eq!(draw(&one), None, "nothing to compare with");
        let labels = draw(&[one.clone(), rows("xtrace", "flat")].concat()).unwrap();
        assert!(
            labels.contains(">xtrace<"),
            "what both say is said above: {labels}"
        );
        let two = [one, rows("xtrace", "flat")].concat();
        let svg = draw(&two).unwrap();
        for text in ["hutchinson", "xtrace", "flat", "products, probes or passes"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        let both = [
            two,
            rows("hutchinson", "exp 0.9"),
            rows("xtrace", "exp 0.9"),
        ]
        .concat();
        let svg = draw(&both).unwrap();
        assert!(svg.contains("exp 0.9") && svg.contains("flat"));
        parse(&svg).unwrap();
    }
}
