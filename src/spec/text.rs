//! The text of a spec, and errors that point into it.

use super::de;
use super::example::example;
use super::overrides::Override;
use crate::error::UserError;
use miette::{Diagnostic, NamedSource, SourceSpan};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A spec file as it was read, and what the command line sets over it.
#[derive(Clone, Debug)]
pub struct SpecText {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
    settings: Vec<Placed>,
}

/// A setting, as if its option stood behind the text of the file: errors tell by the place of a
/// span what it points into.
#[derive(Clone, Debug)]
struct Placed {
    setting: Override,
    offset: usize,
    document: String,
}

/// A mistake in a spec, or in something that it names; shown with the offending line.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct SpecError {
    /// Names the file where no line of it can be shown.
    message: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_code: Option<Arc<NamedSource<String>>>,
    #[label]
    span: Option<SourceSpan>,
}

impl SpecText {
    /// The longest text that is taken for a spec, in bytes.
    const LONGEST: u64 = 1 << 20;

    /// Reads a spec file.
    ///
    /// # Errors
    /// A file that cannot be read, or is no text.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let unreadable = |found: String, help: &str| SpecError {
            message: format!("{}: {found}", path.display()),
            help: Some(help.into()),
            source_code: None,
            span: None,
        };
        let example = "name a TOML file, for example experiments/convergence.toml";
        let bytes = read(path, Self::LONGEST + 1).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => unreadable("there is no such file".into(), example),
            io::ErrorKind::IsADirectory => {
                unreadable("found a folder, expected a spec file".into(), example)
            }
            _ => unreadable(format!("cannot be read: {error}"), example),
        })?;
        if bytes.len() as u64 > Self::LONGEST {
            let found = format!("longer than {} bytes, so not a spec", Self::LONGEST);
            return Err(unreadable(found, example));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = &error.as_bytes()[..valid];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            unreadable(
                format!("line {line} is not UTF-8 text"),
                "save the spec as UTF-8",
            )
        })?;
        Ok(Self::new(path, text))
    }

    /// A spec that was read already, or written by a program.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
            settings: Vec::new(),
        }
    }

    /// The same with `settings` over what the file says, the last one last.
    pub fn with(mut self, settings: &[Override]) -> Self {
        for setting in settings {
            let end = |placed: &Placed| placed.offset + placed.setting.option().len();
            let offset = 1 + self.settings.last().map_or(self.text.len(), end);
            self.settings.push(Placed {
                setting: setting.clone(),
                offset,
                document: setting.document(offset),
            });
        }
        self
    }

    /// The options that set something over the file.
    pub fn options(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().map(|placed| placed.setting.option())
    }

    /// The folder that paths in the spec are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// An error at the place that `error.key` names, as precisely as the file has it.
    ///
    /// A key that begins with "--" is an option of the command line and has no place in the file.
    pub fn error(&self, error: UserError) -> SpecError {
        let message = keyed(&error.key, &error.message);
        if error.key.starts_with("--") {
            return SpecError {
                message,
                help: Some(error.help),
                source_code: None,
                span: None,
            };
        }
        let root = self.document().ok();
        let span = root.and_then(|root| find(&root, &error.key));
        self.at(message, Some(error.help), span)
    }

    /// Reads any value that a spec may hold from the text.
    ///
    /// # Errors
    /// The first mistake in syntax, keys or types, with its place.
    pub fn deserialize<T: serde::de::DeserializeOwned>(&self) -> Result<T, SpecError> {
        let root = self.document()?;
        let whole = root.span();
        T::deserialize(de::Node::new(&root)).map_err(|error| {
            let span = error.span.filter(|span| *span != whole);
            let help = error.help.or_else(|| {
                let name = error.key.rsplit('.').next()?.split('[').next()?;
                example(name).map(|example| format!("write for example {example}"))
            });
            self.at(keyed(&error.key, &error.message), help, span)
        })
    }

    /// Whether it says something of `key`, at the top.
    pub(super) fn has(&self, key: &str) -> bool {
        let root = self.document().ok();
        root.is_some_and(|root| find(&root, key).is_some())
    }

    /// The file's document, with the settings in place.
    fn document(&self) -> Result<Spanned<DeValue<'_>>, SpecError> {
        let root = DeTable::parse(&self.text).map_err(|error| {
            let text = error.span().and_then(|span| self.text.get(span));
            let (message, help) = syntax(error.message(), text.unwrap_or_default());
            self.at(
                format!("not TOML: {message}"),
                Some(help.into()),
                error.span(),
            )
        })?;
        let mut root = Spanned::new(root.span(), DeValue::Table(root.into_inner()));
        for placed in &self.settings {
            placed
                .setting
                .apply(&mut root, &placed.document, placed.offset)
                .map_err(|misfit| {
                    self.at(misfit.message, Some(misfit.help.into()), Some(misfit.span))
                })?;
        }
        Ok(root)
    }

    fn at(&self, message: String, help: Option<String>, span: Option<Range<usize>>) -> SpecError {
        let path = self.path.display().to_string();
        let Some(span) = span else {
            return SpecError {
                message: format!("{path}: {message}"),
                help,
                source_code: None,
                span: None,
            };
        };
        let begins_before = |placed: &&Placed| placed.offset <= span.start;
        let (name, text, offset) = match self.settings.iter().rfind(begins_before) {
            Some(placed) => (
                "command line".into(),
                placed.setting.option(),
                placed.offset,
            ),
            None => (path, self.text.as_str(), 0),
        };
        let span = span.start - offset..span.end - offset;
        SpecError {
            message,
            help,
            source_code: Some(NamedSource::new(name, text.to_string()).into()),
            span: Some(span.into()),
        }
    }
}

/// A mistake in syntax in our words, and what to do; `text` is what the parser points at.
fn syntax(message: &str, text: &str) -> (String, &'static str) {
    let has = |words: &str| message.contains(words);
    if has("must be quoted") && text.is_empty() {
        let help = "write a number, true, false, a text in quotes or a list [...]";
        return ("found nothing, expected a value".into(), help);
    }
    if has("must be quoted") {
        let help = "put quotes around a text; a number is written out, as 1000";
        return (format!("found `{text}`, expected a value"), help);
    }
    let help = if has("duplicate key") && text == "estimator" {
        "write [[estimator]], with double brackets, for each"
    } else if has("duplicate key") {
        "keep one of them"
    } else if has("key with no value") {
        "write key = value"
    } else if has("comma between array elements") {
        "separate the items of a list by commas and close it with ]"
    } else if has("invalid basic string") {
        "close the text with a quotation mark on the same line"
    } else if has("invalid boolean") {
        "write true or false, in lower case"
    } else if has("unexpected key or value") {
        "end the line after the value; several values stand in a list [1, 2]"
    } else {
        "mend the syntax here; https://toml.io shows it in full"
    };
    (message.to_string(), help)
}

/// At most `limit` bytes of a file, also of one without an end.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn keyed(key: &str, message: &str) -> String {
    match key {
        "" => message.to_string(),
        key => format!("{key}: {message}"),
    }
}

/// The span of `model.layers[1].out`, or of the longest part of it that is there.
fn find(root: &Spanned<DeValue<'_>>, key: &str) -> Option<Range<usize>> {
    let mut found: Option<&Spanned<DeValue<'_>>> = None;
    for step in key.split('.') {
        let (name, indices) = step.split_once('[').unwrap_or((step, ""));
        let Some(table) = found.unwrap_or(root).get_ref().as_table() else {
            break;
        };
        let Some(mut value) = table.get(name) else {
            break;
        };
        for index in indices.split('[').filter_map(|i| i.strip_suffix(']')) {
            let item = index.parse().ok();
            let item = item.and_then(|i: usize| value.get_ref().get(i));
            value = item.unwrap_or(value);
        }
        found = Some(value);
    }
    found.map(Spanned::span)
}
