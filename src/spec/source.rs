//! The text of a spec, and errors that point into it.

use super::de;
use crate::error::UserError;
use miette::{Diagnostic, NamedSource, SourceSpan};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A spec file as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// A mistake in a spec, or in something that it names; shown with the offending line.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{path}: {message}")]
pub struct SpecError {
    path: String,
    message: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_code: Option<NamedSource<String>>,
    #[label("here")]
    span: Option<SourceSpan>,
}

impl Source {
    /// Reads a spec file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self {
                path: path.to_path_buf(),
                text,
            }),
            Err(error) => Err(SpecError {
                path: path.display().to_string(),
                message: format!("cannot read the spec: {error}"),
                help: Some("name a TOML file, for example experiments/convergence.toml".into()),
                source_code: None,
                span: None,
            }),
        }
    }

    /// The folder that paths in the spec are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// An error at the place that `error.key` names, as precisely as the file has it.
    pub fn error(&self, error: UserError) -> SpecError {
        let span = DeTable::parse(&self.text)
            .ok()
            .and_then(|root| find(&root, &error.key));
        let message = match error.key.as_str() {
            "" => error.message,
            key => format!("{key}: {}", error.message),
        };
        self.at(message, Some(error.help), span)
    }

    /// Reads any value that a spec may hold from the text.
    ///
    /// # Errors
    /// The first mistake in syntax, keys or types, with its place.
    pub fn deserialize<T: serde::de::DeserializeOwned>(&self) -> Result<T, SpecError> {
        let root = DeTable::parse(&self.text).map_err(|error| {
            let help = "mend the TOML syntax here".to_string();
            self.at(error.message().to_string(), Some(help), error.span())
        })?;
        let whole = root.span();
        let root = Spanned::new(whole.clone(), DeValue::Table(root.into_inner()));
        T::deserialize(de::Node::new(&root)).map_err(|error| {
            let span = error.span.filter(|span| *span != whole);
            self.at(error.message, error.help, span)
        })
    }

    fn at(&self, message: String, help: Option<String>, span: Option<Range<usize>>) -> SpecError {
        let name = self.path.display().to_string();
        SpecError {
            message,
            help,
            source_code: span
                .is_some()
                .then(|| NamedSource::new(&name, self.text.clone())),
            path: name,
            span: span.map(SourceSpan::from),
        }
    }
}

/// The span of `model.layers[1].out`, or of the longest part of it that is there.
fn find(root: &Spanned<DeTable<'_>>, key: &str) -> Option<Range<usize>> {
    let mut found: Option<&Spanned<DeValue<'_>>> = None;
    for step in key.split('.') {
        let (name, indices) = step.split_once('[').unwrap_or((step, ""));
        let table = match found {
            None => root.get_ref(),
            Some(value) => match value.get_ref().as_table() {
                Some(table) => table,
                None => break,
            },
        };
        let Some(value) = table.get(name) else { break };
        found = Some(value);
        for index in indices.split('[').filter_map(|i| i.strip_suffix(']')) {
            let item = index
                .parse()
                .ok()
                .and_then(|i: usize| value.get_ref().get(i));
            found = item.or(found);
        }
    }
    found.map(Spanned::span)
}
