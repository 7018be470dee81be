//! The question in words, and what the rows answer.

use super::format;
use crate::output::conclusions::{SummaryRow, distinct_runs, grouped, summarise};
use crate::output::figures::matrix_name;
use crate::output::store::{Record, Results};
use crate::problem::data::DataSpec;
use crate::problem::layer::LayerSpec;
use crate::spec::{ExperimentKind, Spec};
use maud::{Markup, html};

pub(super) fn section(results: &Results) -> Markup {
    let _rows = &results.records;
    html! {
        h1 { (question(results)) }
        @if let Some(problem) = results.spec.as_ref().and_then(|spec| problem(spec, results)) {
            p { (problem) }
        }
        ul.answers {
            @for answer in answers(results) { li { (answer) } }
        }
    }
}

fn question(results: &Results) -> String {
    let rows = &results.records;
    let matrices = grouped(rows, |row| row.matrix.clone());
    let matrices: Vec<&str> = matrices.iter().map(|(name, _)| matrix_name(name)).collect();
    let matrix = match &matrices[..] {
        [] => "the Hessian".to_string(),
        [only] => format!("the {only}"),
        names if names.len() > 3 => format!("{} matrices", names.len()),
        [most @ .., last] => format!("the {} and {last}", most.join(", ")),
    };
    let trace = match rows.is_empty() || rows.iter().any(Record::is_trace) {
        true => "trace".into(),
        false => {
            let quantities = grouped(rows, |row| row.quantity.replace('_', " "));
            let names: Vec<String> = quantities.into_iter().map(|(name, _)| name).collect();
            names.join(", ")
        }
    };
    let counts = grouped(rows.iter().filter(|row| row.v.is_some()), |row| row.v).len();
    match (results.kind(), counts) {
        (ExperimentKind::Timing, _) => {
            format!("What does an estimate of the {trace} of {matrix} cost?")
        }
        (ExperimentKind::Convergence, 0 | 1) => {
            format!("How large is the {trace} of {matrix}?")
        }
        (ExperimentKind::Convergence, _) => {
            format!("How do estimates of the {trace} of {matrix} converge?")
        }
    }
}

/// Network, loss and data in a sentence or two; `None` of a problem without them.
fn problem(spec: &Spec, results: &Results) -> Option<String> {
    let (model, loss, data) = (
        spec.model.as_ref()?,
        spec.loss.as_ref()?,
        spec.data.as_ref()?,
    );
    let parameters = grouped(&results.parameters, |row| row.parameter.clone());
    let numbers: i64 = parameters.iter().map(|(_, rows)| rows[0].numel).sum();
    let size = match parameters.len() {
        0 => String::new(),
        1 => format!(
            ", {} parameters in one tensor",
            format::count(numbers as u64)
        ),
        n => format!(
            ", {} parameters in {n} tensors",
            format::count(numbers as u64)
        ),
    };
    let weights = match &model.weights {
        _ if model.torchscript.is_some() => "with the parameters that it holds".into(),
        Some(weights) => format!("with the weights in {weights}"),
        None => format!("as initialised from seed {}", model.seed),
    };
    Some(format!(
        "The network {}{size}, {weights}. The loss is {} over {}.",
        match &model.torchscript {
            Some(path) => format!("of the TorchScript file {}", path.display()),
            None => layers(&model.layers),
        },
        loss.kind(),
        batch(data),
    ))
}

/// "flatten → linear 20 → sigmoid → linear 10".
fn layers(layers: &[LayerSpec]) -> String {
    let layer = |layer: &LayerSpec| {
        let table = toml::Table::try_from(layer).unwrap_or_default();
        match table.get("out").and_then(toml::Value::as_integer) {
            Some(out) => format!("{} {out}", layer.kind()),
            None => layer.kind().into(),
        }
    };
    layers.iter().map(layer).collect::<Vec<_>>().join(" → ")
}

fn batch(data: &DataSpec) -> String {
    let table = toml::Table::try_from(data).unwrap_or_default();
    let text = |key: &str| Some(table.get(key)?.as_str()?.to_string());
    let source = match text("path").or_else(|| text("root")) {
        Some(place) => format!("{} ({place})", data.kind()),
        None => data.kind().to_string(),
    };
    match table.get("batch").and_then(toml::Value::as_integer) {
        Some(batch) => format!("{batch} samples of {source}"),
        None => format!("all samples of {source}"),
    }
}

/// What the rows say, as far as they say it.
fn answers(results: &Results) -> Vec<String> {
    let (kind, all) = (results.kind(), &results.records);
    let rows: Vec<Record> = all.iter().filter(|row| row.is_trace()).cloned().collect();
    let summary = summarise(&rows);
    // A timing experiment repeats one seed, a convergence one runs side by side.
    let (found, speed) = match kind {
        ExperimentKind::Convergence => (found(&summary), None),
        ExperimentKind::Timing => (None, fastest(&summary)),
    };
    let lost = all.iter().filter(|row| !row.estimate.is_finite()).count();
    let lost =
        (lost > 0).then(|| format!("{lost} of {} estimates are NaN or infinite.", all.len()));
    [
        exact(&rows),
        found,
        calibration(&rows, results.confidence()),
        speed,
        lost,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Seeds that a root mean square is worth telling of.
const FEWEST: usize = 3;

fn exact(rows: &[Record]) -> Option<String> {
    let values = grouped(rows.iter().filter_map(|row| row.exact), |value| {
        value.to_bits()
    });
    let [(_, value)] = &values[..] else {
        return None;
    };
    Some(format!("The exact trace is {}.", format::value(value[0])))
}

/// The most precise setting, among those at their largest V with seeds enough to tell.
fn found(summary: &[SummaryRow]) -> Option<String> {
    let exceeded = |row: &&SummaryRow| {
        let setting = row.setting();
        summary
            .iter()
            .any(|other| other.v > row.v && other.setting() == setting)
    };
    let sampled = summary
        .iter()
        .filter(|row| row.v.is_some() && row.runs >= FEWEST);
    let sampled = sampled.filter(|row| !exceeded(row));
    let error = |row: &SummaryRow| row.rmse.filter(|rmse| rmse.is_finite());
    let best = sampled.filter_map(|row| Some((error(row)?, row)));
    let (rmse, best) = best.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some(format!(
        "Closest to it comes {}: {} off, as root mean square over {} runs.",
        best.identity().name(),
        format::percent(rmse / best.exact?.abs()),
        best.runs,
    ))
}

/// How often the exact value lies in the interval that a single estimate states.
fn calibration(rows: &[Record], confidence: f64) -> Option<String> {
    let groups = grouped(rows, |row| row.identity().over_runs());
    let runs = groups.into_iter().flat_map(|(_, rows)| distinct_runs(rows));
    let held = runs.filter_map(|row| {
        let exact = row.exact?;
        Some((row.ci_low?..=row.ci_high?).contains(&exact))
    });
    let held: Vec<bool> = held.collect();
    let count = held.iter().filter(|held| **held).count();
    (held.len() >= 20).then(|| {
        format!(
            "The exact value lies in {} of the {} single estimates' {} intervals.",
            format::percent(count as f64 / held.len() as f64),
            format::count(held.len() as u64),
            format::percent(confidence),
        )
    })
}

fn fastest(summary: &[SummaryRow]) -> Option<String> {
    let timed = || {
        summary
            .iter()
            .filter_map(|row| Some((row.seconds_to_1_percent?, row)))
    };
    let (best, row) = timed().min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    let (worst, slowest) = timed().max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (worst > best).then(|| {
        format!(
            "A standard error of 1 % takes {} by {}, and {} by {}.",
            format::seconds(best),
            row.identity().name(),
            format::seconds(worst),
            slowest.identity().name(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::store::sample::row;

    /// The intervals of leave-one-out estimators are longer than Student's, and a run to a tolerance
    /// has no V: the page judges what the rows promised, not an interval of its own.
    #[test]
    fn calibration_counts_the_intervals_that_the_rows_state() {
        let stated = |seed: u64| Record {
            v: None,
            std_error: Some(0.1),
            exact: Some(12.0),
            ci_low: Some(11.0),
            ci_high: Some(if seed == 0 { 11.5 } else { 13.0 }),
            ..row(10, seed, 12.4)
        };
        let rows: Vec<Record> = (0..20).map(stated).collect();
        let said = calibration(&rows, 0.9).unwrap();
        assert_eq!(
            said,
            "The exact value lies in 95 % of the 20 single estimates' 90 % intervals."
        );
        // The repetition of a seed is no further estimate.
        assert_eq!(calibration(&[&rows[..19], &rows[..1]].concat(), 0.9), None);
    }
}
