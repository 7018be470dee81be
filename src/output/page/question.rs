//! The answer in a sentence, and the question that it answers.

use crate::output::conclusions::{answers, grouped};
use crate::output::format;
use crate::output::store::{Record, Results};
use crate::problem::data::DataSpec;
use crate::problem::layer::LayerSpec;
use crate::spec::{ExperimentKind, Spec};
use maud::{Markup, html};

pub(super) fn section(results: &Results) -> Markup {
    let answers = answers(results);
    let problem = results
        .spec
        .as_ref()
        .and_then(|spec| problem(spec, results));
    html! {
        @match &answers[..] {
            [] => { h1 { (question(results)) } p.question { "Nothing is known yet." } }
            [answer, others @ ..] => {
                h1 { (answer) }
                p.question {
                    strong { (question(results)) " " }
                    @if let Some(problem) = &problem { (problem) }
                }
                @if !others.is_empty() { ul.answers { @for answer in others { li { (answer) } } } }
            }
        }
    }
}

fn question(results: &Results) -> String {
    let rows = &results.records;
    let matrices = grouped(rows, |row| row.matrix.clone());
    let matrices: Vec<&str> = matrices
        .iter()
        .map(|(name, _)| format::matrix(name))
        .collect();
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
