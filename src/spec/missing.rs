//! Keys that are missing: all of them, and how each may be written.

use super::example::example;
use super::schema;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The message that `keys` are missing, and what to add.
pub(crate) fn in_words(keys: &[&str]) -> (String, String) {
    let names: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    let each = keys.iter().map(|key| match example(key) {
        Some(example) => example.to_string(),
        None => format!("`{key} = ...`"),
    });
    let key = if keys.len() == 1 { "key" } else { "keys" };
    let examples: Vec<String> = each.collect();
    (
        format!("missing {key} {}", names.join(", ")),
        format!("add {}", examples.join("; ")),
    )
}

/// Which of the keys of a table must be there; `fields` are all that it may have.
pub(super) fn required(fields: &[&'static str]) -> impl Iterator<Item = &'static str> {
    let all: BTreeSet<String> = fields.iter().map(|field| field.to_string()).collect();
    let table = TABLES.iter().find(|table| table.keys == all);
    let required = |field: &&str| table.is_some_and(|table| table.required.contains(*field));
    fields
        .iter()
        .copied()
        .filter(required)
        .collect::<Vec<_>>()
        .into_iter()
}

/// The tables of the schema, since serde says of a type which keys it has, not which it needs.
static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let mut tables = Vec::new();
    collect(&schema().to_value(), &mut tables);
    tables
});

/// Of one type, without the key that tells variants apart.
struct Table {
    keys: BTreeSet<String>,
    required: BTreeSet<String>,
}

fn collect(schema: &Value, tables: &mut Vec<Table>) {
    if let Some(properties) = schema["properties"].as_object() {
        let is_tag = |key: &str| properties[key].get("const").is_some();
        let keys = properties.keys().filter(|key| !is_tag(key)).cloned();
        let required = schema["required"].as_array().into_iter().flatten();
        let required = required
            .filter_map(Value::as_str)
            .filter(|key| !is_tag(key));
        tables.push(Table {
            keys: keys.collect(),
            required: required.map(str::to_string).collect(),
        });
    }
    match schema {
        Value::Object(map) => map.values().for_each(|value| collect(value, tables)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, tables)),
        _ => {}
    }
}
