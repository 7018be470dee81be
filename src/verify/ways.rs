//! The ways of estimating that a spec asks for, and every way that it could ask for.

use crate::curvature::ProductKind;
use crate::estimator::{EstimatorSpec, written};
use crate::plan::Plan;
use crate::problem::MatrixKind;
use crate::spec::{Spec, SpecError, SpecText, schema};
use serde_json::Value;

/// Every combination of named settings of every estimator, with default probes; of estimators that
/// need more than names, those of `spec`.
pub(super) fn all(spec: &Spec) -> Vec<toml::Table> {
    let schema = schema().to_value();
    let variants = schema["$defs"]["EstimatorSpec"]["oneOf"].as_array();
    let mut ways = Vec::new();
    for variant in variants.into_iter().flatten() {
        match combinations(variant, &schema) {
            Some(combinations) => ways.extend(combinations),
            None => ways.extend(of_spec(spec, variant["title"].as_str().unwrap_or_default())),
        }
    }
    ways
}

/// The estimators of `spec`, and what they are held against: of every matrix the exact trace, of every
/// product the same by autodiff.
pub(super) fn asked(spec: &Spec) -> Vec<toml::Table> {
    let mut ways: Vec<toml::Table> = Vec::new();
    let mut add = |way: toml::Table| {
        if !ways.contains(&way) {
            ways.push(way);
        }
    };
    let own: Vec<toml::Table> = spec.estimator.iter().map(table).collect();
    let hessian = toml::Value::from(written(MatrixKind::Hessian));
    let matrix = |way: &toml::Table| way.get("matrix").filter(|m| **m != hessian).cloned();
    let is_exact = |way: &toml::Table| way.get("kind").and_then(|k| k.as_str()) == Some("exact");
    for way in &own {
        let about = matrix(way);
        if own
            .iter()
            .any(|other| is_exact(other) && matrix(other) == about)
        {
            continue;
        }
        let mut exact = toml::Table::new();
        exact.insert("kind".into(), "exact".into());
        exact.extend(about.map(|matrix| ("matrix".to_string(), matrix)));
        add(exact);
    }
    own.iter().cloned().for_each(&mut add);
    let schema = schema().to_value();
    for way in own.iter().filter(|way| multiplies(way, &schema)) {
        let mut reference = way.clone();
        reference.insert("product".into(), written(ProductKind::Autodiff).into());
        add(reference);
    }
    ways
}

/// Whether an estimator has a choice of products.
fn multiplies(way: &toml::Table, schema: &Value) -> bool {
    let kind = way.get("kind").and_then(toml::Value::as_str);
    let variants = schema["$defs"]["EstimatorSpec"]["oneOf"].as_array();
    let own = |variant: &&Value| variant["title"].as_str() == kind;
    let variant = variants.into_iter().flatten().find(own);
    variant.is_some_and(|variant| !variant["properties"]["product"].is_null())
}

/// What `spec` itself asks of estimators of this kind.
fn of_spec(spec: &Spec, kind: &str) -> Vec<toml::Table> {
    let of_kind = spec
        .estimator
        .iter()
        .filter(|estimator| estimator.kind() == kind);
    of_kind.map(table).collect()
}

/// An estimator as a spec writes it, without what a verification decides.
fn table(estimator: &EstimatorSpec) -> toml::Table {
    let mut table = toml::Table::try_from(estimator).unwrap_or_default();
    for shared in ["V", "V_batch", "seeds", "probe"] {
        table.remove(shared);
    }
    table
}

/// All values of all keys that take names; `None` if another key must be there.
fn combinations(variant: &Value, schema: &Value) -> Option<Vec<toml::Table>> {
    let required = variant["required"].as_array()?;
    let mut ways = vec![toml::Table::new()];
    for (key, value) in variant["properties"].as_object()? {
        let names = names(value, schema);
        match names.is_empty() {
            true if required.iter().any(|name| name == key) => return None,
            true => continue,
            false if key == "probe" => continue,
            false => {
                let with = |way: &toml::Table| {
                    let way = way.clone();
                    let added = |name: &String| {
                        let mut way = way.clone();
                        way.insert(key.clone(), name.clone().into());
                        way
                    };
                    names.iter().map(added).collect::<Vec<_>>()
                };
                ways = ways.iter().flat_map(with).collect();
            }
        }
    }
    Some(ways)
}

/// The names that may stand there.
fn names(of: &Value, schema: &Value) -> Vec<String> {
    if let Some(path) = of["$ref"].as_str() {
        let name = path.rsplit('/').next().unwrap_or(path);
        return names(&schema["$defs"][name], schema);
    }
    if let Some(name) = of["const"].as_str() {
        return vec![name.into()];
    }
    // Several names beside another form are a choice; a single one ("auto") is none.
    let named = |form: &&Value| form["enum"].as_array().is_some_and(|names| names.len() > 1);
    if let Some(form) = of["anyOf"]
        .as_array()
        .and_then(|forms| forms.iter().find(named))
    {
        return names(form, schema);
    }
    let choices = of["oneOf"].as_array().or(of["enum"].as_array());
    let name = |choice: &Value| {
        choice
            .as_str()
            .or(choice["const"].as_str())
            .map(str::to_string)
    };
    // A list of names is one; forms of a list are not.
    choices
        .and_then(|choices| choices.iter().map(name).collect())
        .unwrap_or_default()
}

/// A plan of those `ways` that `spec` allows over so many samples, and why it does not allow the others.
///
/// # Errors
/// A mistake that no way is to blame for.
pub(super) fn plan(
    spec: &Spec,
    mut ways: Vec<toml::Table>,
    source: &SpecText,
    samples: usize,
) -> Result<(Plan, Vec<(String, String)>), SpecError> {
    let mut left_out = Vec::new();
    loop {
        let reduced = SpecText::new(source.path.clone(), reduced(spec, &ways, samples));
        let error = match Spec::parse(&reduced).and_then(|spec| Plan::new(spec, &reduced)) {
            Ok(plan) => return Ok((plan, left_out)),
            Err(error) => error,
        };
        let message = error.to_string();
        let index = message
            .strip_prefix("estimator[")
            .and_then(|rest| rest.split_once(']'));
        let index = index.and_then(|(index, _)| index.parse::<usize>().ok());
        let Some(index) = index.filter(|&index| index < ways.len()) else {
            return Err(error);
        };
        let way = ways.remove(index);
        let words = way.values().filter_map(toml::Value::as_str);
        let reason = message.split_once(": ").map_or("", |(_, reason)| reason);
        left_out.push((words.collect::<Vec<_>>().join(" "), reason.to_string()));
    }
}

/// The text of `spec` with these estimators, few samples and few probes, in float64.
fn reduced(spec: &Spec, ways: &[toml::Table], samples: usize) -> String {
    let mut table = toml::Table::try_from(spec).expect("a spec is TOML");
    if let Some(toml::Value::Table(data)) = table.get_mut("data") {
        data.insert("batch".into(), (samples as i64).into());
        data.remove("batches");
    }
    let sampling = "V = [32]\nV_batch = [8]\nseeds = [0]\nstream = \"philox\"";
    let sampling: toml::Table = sampling.parse().expect("TOML");
    table.insert("kind".into(), "convergence".into());
    table.insert("dtype".into(), "float64".into());
    table.insert("sampling".into(), sampling.into());
    let ways = ways.iter().cloned().map(toml::Value::Table).collect();
    table.insert("estimator".into(), toml::Value::Array(ways));
    toml::to_string(&table).expect("a table is TOML")
}
