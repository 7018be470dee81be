//! Whether two results are about the same problem at all.

use crate::output::store::Results;
use crate::spec::Spec;
use std::collections::BTreeSet;
use toml::Value;

/// What of a spec makes another problem.
const SECTIONS: [&str; 4] = ["problem", "data", "model", "loss"];
/// Keys that say where something lies, not what it is.
const PLACES: [&str; 6] = ["root", "path", "x", "y", "weights", "torchscript"];

/// In what the problems of two results differ: "data.batch: 256 and 128". Nothing of results without a
/// manifest, which do not say what they are about.
pub fn unlike(first: &Results, second: &Results) -> Vec<String> {
    let (Some(a), Some(b)) = (&first.spec, &second.spec) else {
        return Vec::new();
    };
    let mut differences = Vec::new();
    for section in SECTIONS {
        let (a, b) = (keys(a, section), keys(b, section));
        let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for name in names {
            let (in_a, in_b) = (a.get(name), b.get(name));
            if in_a != in_b {
                differences.push(difference(&format!("{section}.{name}"), in_a, in_b));
            }
        }
    }
    let (a, b) = (hashes(first), hashes(second));
    if differences.is_empty() && a != b && !a.is_empty() && !b.is_empty() {
        differences.push("the contents of data or weights".into());
    }
    differences
}

/// What a section of a spec says, but for places.
fn keys(spec: &Spec, section: &str) -> toml::Table {
    let whole = toml::Table::try_from(spec).unwrap_or_default();
    let Some(Value::Table(mut table)) = whole.get(section).cloned() else {
        return toml::Table::new();
    };
    table.retain(|key, _| !PLACES.contains(&key));
    table
}

/// A short value is told, a long one only named.
fn difference(name: &str, a: Option<&Value>, b: Option<&Value>) -> String {
    let said = |value: Option<&Value>| match value {
        None => Some("nothing".to_string()),
        Some(Value::Array(_) | Value::Table(_)) => None,
        Some(short) => Some(short.to_string()),
    };
    match (said(a), said(b)) {
        (Some(a), Some(b)) => format!("{name}: {a} and {b}"),
        _ => name.into(),
    }
}

/// The hashes of all files that were read.
fn hashes(results: &Results) -> BTreeSet<String> {
    let files = results.provenance.get("files").and_then(Value::as_array);
    let hash = |file: &Value| Some(file.get("sha256")?.as_str()?.to_string());
    files.into_iter().flatten().filter_map(hash).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::results;
    use super::*;
    use crate::spec::SpecText;

    fn of(text: &str) -> Results {
        let source = SpecText::new("spec.toml", text.to_string());
        Results {
            spec: Some(Spec::parse(&source).unwrap()),
            ..results(Vec::new())
        }
    }

    const SPEC: &str = r#"
data = { source = "mnist", root = "a", batch = 256 }
model = { layers = [{ kind = "flatten" }, { kind = "linear", out = 10 }] }
loss = { kind = "cross_entropy" }
"#;

    #[test]
    fn differences_are_told_and_places_are_none() {
        let unlike_to = |text: &str| unlike(&of(SPEC), &of(text));
        assert_eq!(
            unlike_to(&SPEC.replace("\"a\"", "\"b\"")),
            Vec::<String>::new()
        );
        assert_eq!(
            unlike_to(&SPEC.replace("256", "128")),
            ["data.batch: 256 and 128"]
        );
        assert_eq!(
            unlike_to(&SPEC.replace("out = 10", "out = 11")),
            ["model.layers"]
        );
        assert_eq!(
            unlike(&of(SPEC), &results(Vec::new())),
            Vec::<String>::new()
        );
    }
}
