//! How it was run: machine, versions, files, and the spec.

use crate::output::store::Results;
use maud::{Markup, html};
use toml::Value;

/// What a reader looks for first; the rest follows.
const FIRST: [&str; 9] = [
    "status",
    "start",
    "end",
    "seconds",
    "device",
    "processor",
    "cores",
    "libtorch",
    "runner",
];

pub(super) fn section(results: &Results) -> Markup {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Table(_) => None,
        other => Some(other.to_string()),
    };
    let facts = results.provenance.iter();
    let mut facts: Vec<(&String, String)> = facts
        .filter_map(|(name, value)| Some((name, plain(value)?)))
        .collect();
    let place = |name: &str| FIRST.iter().position(|first| *first == name);
    facts.sort_by_key(|(name, _)| place(name).unwrap_or(FIRST.len()));
    let spec = results
        .spec
        .as_ref()
        .and_then(|spec| toml::to_string(spec).ok());
    html! {
        section {
            h2 { "How it was run" }
            @if results.provenance.is_empty() {
                p { "This folder has no manifest.toml: nothing is known of the run." }
            }
            dl { @for (name, fact) in &facts {
                div { dt { (name.replace('_', " ")) } dd { (fact) } }
            } }
            (files(&results.provenance))
            @if let Some(spec) = &spec {
                p { "The same again: " code { "runner manifest.toml" } " in this folder." }
                details { summary { "The spec" } pre { (spec) } }
            }
        }
    }
}

/// The files that were read, with their hashes.
fn files(provenance: &toml::Table) -> Markup {
    let files = provenance.get("files").and_then(Value::as_array);
    let said = |file: &Value, key: &str| Some(file.get(key)?.as_str()?.to_string());
    html! {
        @if let Some(files) = files.filter(|files| !files.is_empty()) {
            details {
                summary { "Files that were read, with SHA-256" }
                dl.files { @for file in files { div {
                    dt { (said(file, "path").unwrap_or_default()) }
                    dd { code { (said(file, "sha256").unwrap_or_default()) } }
                } } }
            }
        }
    }
}
