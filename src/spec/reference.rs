//! The reference of the spec in Markdown, from its JSON schema.

use super::schema;
use serde_json::{Map, Value};
use std::fmt::Write;

const HEAD: &str = "\
# Spec reference

Every key of a spec. This file is written by `runner schema --markdown` from the types that the runner reads specs into,
so it is complete; a test holds the two together. A key without a default must be given where its table is.

";

/// Everything that a spec may say, for people: `docs/spec.md`.
pub fn reference() -> String {
    let schema = schema().to_value();
    let mut text = String::from(HEAD);
    text.push_str("## The whole\n\n");
    keys(&mut text, &schema, None);
    let definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
    let section = |name: &String| tables(&definitions[name]);
    for name in definitions.keys().filter(|name| section(name)) {
        definition(&mut text, name, &definitions[name]);
    }
    text.push_str("## Names\n\nValues that are written as a name in quotes.\n\n");
    for name in definitions.keys().filter(|name| !section(name)) {
        names(&mut text, name, &definitions[name]);
    }
    text.trim_end().to_string() + "\n"
}

/// Whether a definition is of tables, not of names or lists.
fn tables(definition: &Value) -> bool {
    let choices = definition["oneOf"].as_array();
    let tagged = choices.is_some_and(|choices| choices.iter().any(|one| one["type"] == "object"));
    definition["type"] == "object" || tagged
}

/// A section about a table, or about each of the tables that may stand in one place.
fn definition(text: &mut String, name: &str, definition: &Value) {
    let _ = write!(text, "## {}\n\n", plain(name));
    paragraph(text, definition);
    let Some(variants) = definition["oneOf"].as_array() else {
        return keys(text, definition, None);
    };
    // Those that differ in name alone, as conv1d, conv2d and conv3d, are told of once.
    let alike = |a: &Value, b: &Value| a["description"] == b["description"];
    for variants in variants.chunk_by(alike) {
        let titles = variants.iter().filter_map(|one| one["title"].as_str());
        let titles: Vec<String> = titles.map(|title| format!("`{title}`")).collect();
        let _ = write!(
            text,
            "### {}

",
            titles.join(", ")
        );
        paragraph(text, &variants[0]);
        let tag = variants[0]["required"][0].as_str();
        let most = variants
            .iter()
            .max_by_key(|one| one["properties"].to_string().len());
        keys(text, most.unwrap_or(&variants[0]), tag);
    }
}

/// The table of keys, without the one that names the variant.
fn keys(text: &mut String, of: &Value, tag: Option<&str>) {
    let Some(properties) = of["properties"].as_object() else {
        return;
    };
    let required = of["required"].as_array();
    let required = |key: &str| required.is_some_and(|keys| keys.iter().any(|name| name == key));
    let shown: Vec<_> = properties
        .iter()
        .filter(|(key, _)| Some(key.as_str()) != tag)
        .collect();
    if shown.is_empty() {
        return;
    }
    text.push_str("| key | value | default | what it is |\n|---|---|---|---|\n");
    for (key, value) in shown {
        let default = match value.get("default") {
            Some(Value::Object(_)) => "as below".into(),
            Some(default) => format!("`{default}`"),
            None if required(key) => "required".into(),
            None => String::new(),
        };
        let (kind, what) = (kind(value), describe(value));
        let _ = writeln!(text, "| `{key}` | {kind} | {default} | {what} |");
    }
    text.push('\n');
}

/// Names that may stand in quotes, or the forms that a list may have.
fn names(text: &mut String, name: &str, definition: &Value) {
    let _ = write!(
        text,
        "### {}

",
        plain(name)
    );
    paragraph(text, definition);
    let choices = definition["oneOf"]
        .as_array()
        .or(definition["anyOf"].as_array());
    for choice in choices.into_iter().flatten() {
        let _ = writeln!(text, "- {}: {}", kind(choice), describe(choice));
    }
    if choices.is_some() {
        text.push('\n');
    }
}

/// A type's name as a heading.
fn plain(name: &str) -> &str {
    name.strip_suffix("Spec").unwrap_or(name)
}

fn paragraph(text: &mut String, of: &Value) {
    let words = describe(of);
    if !words.is_empty() {
        let _ = write!(text, "{words}\n\n");
    }
}

fn describe(of: &Value) -> String {
    of["description"]
        .as_str()
        .unwrap_or_default()
        .replace('|', "\\|")
}

/// What may stand there, in words.
fn kind(of: &Value) -> String {
    if let Some(path) = of["$ref"].as_str() {
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = plain(name);
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(value) = of.get("const") {
        return format!("`{value}`");
    }
    if let Some(choices) = of["anyOf"].as_array().or(of["enum"].as_array()) {
        let choices = choices.iter().map(|choice| match choice {
            Value::Object(_) => kind(choice),
            value => format!("`{value}`"),
        });
        return choices.collect::<Vec<_>>().join(" or ");
    }
    match of["type"].as_str() {
        Some("boolean") => "true or false".into(),
        Some("array") => list(of),
        Some("string") => "text".into(),
        Some(other) => other.into(),
        None => of
            .as_object()
            .map_or(String::new(), |map: &Map<_, _>| match map.is_empty() {
                true => "anything".into(),
                false => String::new(),
            }),
    }
}

fn list(of: &Value) -> String {
    let items = kind(&of["items"]);
    match of["maxItems"].as_u64() {
        Some(count) if of["minItems"].as_u64() == Some(count) => {
            format!("list of {count}: {items}")
        }
        _ => format!("list of {items}"),
    }
}
