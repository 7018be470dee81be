//! What is wrong with a spec, in the words of its user.

use super::missing;
use crate::error::join;
use serde::de;
use std::fmt::{self, Display};
use std::ops::Range;

/// An error at a place of the document.
#[derive(Debug)]
pub(super) struct Error {
    /// The key: "model.layers[1].out".
    pub key: String,
    pub message: String,
    pub help: Option<String>,
    pub span: Option<Range<usize>>,
    /// It is about a key that is not there.
    pub missing: bool,
}

impl Error {
    pub fn new(message: String, help: Option<String>) -> Self {
        Self {
            key: String::new(),
            message,
            help,
            span: None,
            missing: false,
        }
    }

    /// Adds the place, unless a more precise one is known.
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// The error as it is seen from a level above: `key` becomes `step.key`.
    pub fn within(mut self, step: &str) -> Self {
        self.key = join(step, &self.key);
        self
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let (found, expected) = (found_in_words(found), in_words(&expected.to_string()));
        Self::new(format!("found {found}, expected {expected}"), None)
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(
            format!("unknown value \"{found}\""),
            Some(suggest(found, known, '"')),
        )
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(
            format!("unknown key `{found}`"),
            Some(suggest(found, known, '`')),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        let (message, help) = missing::in_words(&[field]);
        Self {
            missing: true,
            ..Self::new(message, Some(help))
        }
    }
}

/// Rust's names for types, as a user of TOML knows them.
fn in_words(expected: &str) -> String {
    match expected {
        "i64" | "i32" => "an integer".into(),
        "u64" | "u32" | "usize" => "an integer of 0 or more".into(),
        "f64" | "f32" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" => "a text in quotes".into(),
        "path string" => "a path in quotes".into(),
        "a sequence" => "a list [...]".into(),
        other if other.starts_with("struct ") => "a table of keys and values".into(),
        other => other.to_string(),
    }
}

/// What stands in the document, as a user of TOML knows it.
fn found_in_words(found: de::Unexpected<'_>) -> String {
    use de::Unexpected as U;
    match found {
        U::Bool(value) => format!("{value}"),
        U::Unsigned(value) => format!("{value}"),
        U::Signed(value) => format!("{value}"),
        U::Float(value) => format!("{value:?}"),
        U::Str(value) => format!("{value:?}"),
        U::Seq => "a list".into(),
        U::Map => "a table".into(),
        other => other.to_string(),
    }
}

/// The nearest known name, then all of them.
fn suggest(found: &str, known: &[&str], quote: char) -> String {
    if known.is_empty() {
        return "remove it; nothing else can be set here".into();
    }
    let shares_beginning = |name: &str| {
        let shorter = found.len().min(name.len());
        shorter >= 3 && (name.starts_with(found) || found.starts_with(name))
    };
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3 || shares_beginning(name))
        .min();
    let all = known.join(", ");
    match nearest {
        Some((_, name)) => format!("did you mean {quote}{name}{quote}? known here: {all}"),
        None => format!("known here: {all}"),
    }
}
