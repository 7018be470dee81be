//! Which files hold parameters: one, a list, or all that a pattern finds.

use crate::error::UserError;
use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::{self, Formatter};
use std::path::{Path, PathBuf};

/// `weights`: a file or a pattern like `"run/step_*.safetensors"`, or a list of files and patterns.
/// Each file is a checkpoint, on which everything is computed.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Weights {
    /// One file or pattern.
    One(PathBuf),
    /// Several, in this order.
    Many(Vec<PathBuf>),
}

impl std::fmt::Display for Weights {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let paths = self.entries().iter().map(|path| path.display().to_string());
        f.write_str(&paths.collect::<Vec<_>>().join(", "))
    }
}

impl Weights {
    /// The files and patterns as they are written.
    fn entries(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }

    /// The files and patterns as they are written, to be changed.
    pub fn entries_mut(&mut self) -> &mut [PathBuf] {
        match self {
            Self::One(path) => std::slice::from_mut(path),
            Self::Many(paths) => paths,
        }
    }

    /// The files, relative to `base` where they are relative; those of a pattern in the order of
    /// their names, numbers in them by value.
    ///
    /// # Errors
    /// No files at all, one twice, or a pattern that is none or finds nothing.
    pub fn files(&self, base: &Path) -> Result<Vec<PathBuf>, UserError> {
        let found = self.entries().iter().map(|entry| expand(&base.join(entry)));
        let files = found.collect::<Result<Vec<_>, _>>()?.concat();
        if files.is_empty() {
            return Err(refusal(
                "found an empty list, expected at least one file".into(),
            ));
        }
        match files
            .iter()
            .enumerate()
            .find(|(i, file)| files[..*i].contains(file))
        {
            None => Ok(files),
            Some((_, twice)) => Err(refusal(format!("found {} twice", twice.display()))),
        }
    }
}

fn refusal(found: String) -> UserError {
    let help =
        "write for example weights = \"run/step_*.safetensors\"; paths are relative to the spec";
    UserError::new("weights", found, help)
}

/// A name with characters of a pattern that is a file is that file.
fn expand(entry: &Path) -> Result<Vec<PathBuf>, UserError> {
    let text = entry.to_string_lossy();
    if !text.contains(['*', '?', '[']) || entry.is_file() {
        return Ok(vec![entry.to_path_buf()]);
    }
    let pattern = glob::glob(&text);
    let paths = pattern.map_err(|error| refusal(format!("{text}: {error}")))?;
    let mut files: Vec<PathBuf> = paths.flatten().filter(|path| path.is_file()).collect();
    if files.is_empty() {
        return Err(refusal(format!("{text}: found no file of that pattern")));
    }
    files.sort_by_key(|path| natural(&path.to_string_lossy()));
    Ok(files)
}

/// A name cut into words and numbers, so that step_9 comes before step_10.
fn natural(name: &str) -> Vec<(String, u128)> {
    let mut parts = vec![(String::new(), 0u128)];
    let mut in_number = false;
    for c in name.chars() {
        let (word, number) = parts.last_mut().expect("it has one");
        match c.to_digit(10) {
            Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
            None if in_number => parts.push((c.into(), 0)),
            None => word.push(c),
        }
        in_number = c.is_ascii_digit();
    }
    parts
}

/// What tells every file from the others: its stem, or as much of its path as that takes.
pub fn names(files: &[PathBuf]) -> Vec<String> {
    let stem = |file: &PathBuf| {
        file.with_extension("")
            .file_name()
            .map(|s| s.to_os_string())
    };
    let name = |file: &PathBuf| {
        let same = files
            .iter()
            .filter(|other| stem(other) == stem(file))
            .count();
        match stem(file) {
            Some(stem) if same == 1 => stem.to_string_lossy().into_owned(),
            _ => file.display().to_string(),
        }
    };
    files.iter().map(name).collect()
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WeightsVisitor)
    }
}

struct WeightsVisitor;

impl<'de> Visitor<'de> for WeightsVisitor {
    type Value = Weights;

    fn expecting(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str("a file, a pattern, or a list of them")
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<Weights, E> {
        Ok(Weights::One(path.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, paths: A) -> Result<Weights, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(paths)).map(Weights::Many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sorted_by_value_and_names_are_distinct() {
        let mut files: Vec<PathBuf> = ["a/step_10.x", "a/step_9.x", "a/step_9b.x", "a/step.x"]
            .map(PathBuf::from)
            .into();
        files.sort_by_key(|path| natural(&path.to_string_lossy()));
        assert_eq!(names(&files), ["step", "step_9", "step_9b", "step_10"]);
        let same = ["a/best.safetensors", "b/best.safetensors"].map(PathBuf::from);
        assert_eq!(names(&same), ["a/best.safetensors", "b/best.safetensors"]);
    }

    #[test]
    fn a_pattern_finds_files_and_a_list_keeps_its_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["s_2.x", "s_10.x", "other.x"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let files = |weights: Weights| weights.files(folder.path()).map(|files| names(&files));
        let many = |paths: &[&str]| Weights::Many(paths.iter().map(PathBuf::from).collect());
        assert_eq!(
            files(Weights::One("s_*.x".into())).unwrap(),
            ["s_2", "s_10"]
        );
        assert_eq!(files(many(&["s_10.x", "o*.x"])).unwrap(), ["s_10", "other"]);
        let refused = |weights: Weights| files(weights).unwrap_err().message;
        assert!(refused(many(&["s_*.x", "s_2.x"])).ends_with("s_2.x twice"));
        assert!(refused(Weights::One("t*".into())).contains("found no file"));
        assert!(refused(many(&[])).contains("empty list"));
    }
}
