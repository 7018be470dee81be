//! The JSON schema of specs against the reader of specs: both take the same ones.

use curvature_runner::spec::{Spec, SpecText, schema};
use jsonschema::Validator;
use serde_json::Value;

pub fn validator() -> Validator {
    jsonschema::validator_for(schema().as_value()).expect("a JSON schema")
}

/// What is TOML fits the schema if and only if it reads as a spec.
pub fn check(validator: &Validator, source: &SpecText) {
    let Ok(table) = toml::from_str(&source.text) else {
        return;
    };
    let spec = json(table);
    let errors = validator.iter_errors(&spec);
    let errors: Vec<String> = errors
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    let read = Spec::parse(source).map_err(|error| error.to_string());
    if let Ok(spec) = &read {
        reads_back(spec, source);
    }
    assert_eq!(
        errors.is_empty(),
        read.is_ok(),
        "{errors:?}, {:?}\n{}",
        read.err(),
        source.text
    );
}

/// A JSON value of the same types: there 1.0 would be an integer.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Float(_) => 0.5.into(),
        toml::Value::Datetime(_) => Value::Null,
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(k, v)| (k, json(v))).collect(),
        other => serde_json::to_value(other).expect("TOML without dates is JSON"),
    }
}

/// What is written of a spec, as in a manifest, reads back as the same.
fn reads_back(spec: &Spec, source: &SpecText) {
    let text = toml::to_string(spec).expect("a spec is TOML");
    let again = Spec::parse(&SpecText::new(source.path.clone(), text.clone()));
    let again = again.unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(toml::to_string(&again).expect("a spec is TOML"), text);
}
