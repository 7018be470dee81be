//! The folders that parts of an experiment were written to.

use super::journal::Journal;
use super::{left, lock};
use crate::error::UserError;
use crate::plan::{Machine, Part, Plan, Portion, cost};
use crate::spec::{Spec, SpecText};
use anyhow::{Context, Result};
use std::fs::read_dir;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A folder with a part of an experiment, or with all of it.
pub struct PartFolder {
    /// Where it lies.
    pub folder: PathBuf,
    /// Its manifest, which is a spec.
    pub source: SpecText,
    /// Which part it says that it is; `None` where it is the whole.
    pub part: Option<Part>,
    /// What it was computed on.
    pub machine: Machine,
    spec: Spec,
    /// `[manifest]` of the manifest.
    provenance: Table,
}

/// How far the part in a folder is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Jobs, and pieces of jobs that are cut, that are its own.
    pub all: usize,
    /// Those of them that are done.
    pub done: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// About how many seconds of computing are left, going by those that are done; `None` where none is.
    pub seconds_left: Option<f64>,
    /// Who is writing to it at present.
    pub writer: Option<String>,
}

impl PartFolder {
    /// The parts in `folders`, each of which is one or has them under `parts/`.
    ///
    /// # Errors
    /// A folder without any, or a manifest that is none.
    pub fn find(folders: &[PathBuf]) -> Result<Vec<Self>, UserError> {
        let mut found = Vec::new();
        for folder in folders {
            let before = found.len();
            for candidate in candidates(folder) {
                found.push(Self::read(candidate)?);
            }
            if found.len() == before {
                let text = format!(
                    "{}: found no part of an experiment there, and no folder parts/ with some",
                    folder.display()
                );
                let help = "name a results folder that runs with --shard have written to";
                return Err(UserError::new("", text, help));
            }
        }
        Ok(found)
    }

    fn read(folder: PathBuf) -> Result<Self, UserError> {
        let wrong = |found: String| {
            let text = format!("{}/manifest.toml: {found}", folder.display());
            UserError::new("", text, "leave this folder out, or run its part again")
        };
        let source = SpecText::read(&folder.join("manifest.toml"));
        let source = source.map_err(|error| wrong(error.to_string()))?;
        let spec = Spec::parse(&source).map_err(|error| wrong(error.to_string()))?;
        let mut table: Table = source.text.parse().map_err(|_| wrong("no TOML".into()))?;
        let provenance = match table.remove("manifest") {
            Some(Value::Table(provenance)) => provenance,
            _ => return Err(wrong("found no table [manifest]".into())),
        };
        let text = |key: &str| Some(provenance.get(key)?.as_str()?.to_string());
        let threads = provenance.get("threads").and_then(Value::as_integer);
        Ok(Self {
            part: text("part").and_then(|part| part.parse().ok()),
            machine: Machine {
                processor: text("processor").unwrap_or_default(),
                threads: threads.unwrap_or(0) as usize,
            },
            folder,
            source,
            spec,
            provenance,
        })
    }

    /// Refuses parts that are not of one experiment, computed by one program.
    ///
    /// # Errors
    /// The first key in which one differs from the first.
    pub fn check_alike(parts: &[Self]) -> Result<(), UserError> {
        let Some((first, others)) = parts.split_first() else {
            return Ok(());
        };
        let own = first.determinants();
        for other in others {
            if let Some((key, a, b)) = difference(&own, &other.determinants(), "") {
                let (first, other) = (first.folder.display(), other.folder.display());
                return Err(UserError::new(
                    "",
                    format!("{other} is of another experiment: found {key} = {b}, {first} has {a}"),
                    "merge parts of one spec, with the same data, weights and runner; run the others again",
                ));
            }
        }
        Ok(())
    }

    /// Everything that determines results, but for the machine.
    fn determinants(&self) -> Table {
        let mut spec = self.spec.clone();
        // Files are compared by what they hold.
        spec.paths_mut().into_iter().for_each(|path| path.clear());
        spec.threads = None;
        let mut table = Table::try_from(&spec).expect("a spec is a table");
        for key in ["runner", "commit", "tch", "libtorch"] {
            table.extend(
                self.provenance
                    .get(key)
                    .map(|value| (key.into(), value.clone())),
            );
        }
        let files = self.provenance.get("files").and_then(Value::as_array);
        let hashes = files
            .into_iter()
            .flatten()
            .filter_map(|file| file.get("sha256").cloned());
        table.insert("sha256 of files".into(), Value::Array(hashes.collect()));
        table
    }

    /// What its manifest says of where it comes from, for the manifest of merged results.
    pub(super) fn origin(&self) -> Table {
        let keys = [
            "part",
            "status",
            "device",
            "processor",
            "threads",
            "start",
            "end",
            "seconds",
        ];
        let kept = |key: &str| Some((key.to_string(), self.provenance.get(key)?.clone()));
        keys.into_iter().filter_map(kept).collect()
    }

    /// Copies diagonals and vectors, which are named after all that determines them, to `folder`.
    pub(super) fn copy_files(&self, folder: &Path) -> Result<()> {
        for place in ["", "diagonals"] {
            let Ok(entries) = read_dir(self.folder.join(place)) else {
                continue;
            };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let is_tensors = path.extension().is_some_and(|end| end == "safetensors");
                let Some(name) = path.file_name().filter(|_| is_tensors) else {
                    continue;
                };
                let copy = folder.join(place).join(name);
                if !copy.exists() {
                    let bytes = std::fs::read(&path)
                        .with_context(|| format!("cannot read {}", path.display()))?;
                    std::fs::create_dir_all(folder.join(place))
                        .with_context(|| format!("cannot make {}", folder.join(place).display()))?;
                    super::replace_file(&copy, &bytes)?;
                }
            }
        }
        Ok(())
    }

    /// How far it is.
    pub fn progress(&self, plan: &Plan) -> Progress {
        let own = match self.part {
            Some(part) => part.portions(plan),
            None => plan.portions(),
        };
        let (keys, held) = (plan.keys_on(&self.machine), Journal::read(&self.folder));
        let mut progress = Progress {
            writer: lock::writer(&self.folder),
            ..Progress::default()
        };
        let (mut spent, mut seconds, mut left) = (0.0, 0.0, 0.0);
        for portion in &own {
            let (job, key) = (&plan.jobs[portion.job], &keys[portion.job]);
            let (entry, pieces) = (held.jobs.get(key), held.pieces.get(key));
            let all = portion.units();
            let rest = left::left(portion, entry, pieces, true);
            let rest = rest.as_ref().map_or(0, Portion::units);
            (progress.all, progress.done) = (progress.all + all, progress.done + all - rest);
            let each = plan.share(portion) * cost(plan, job) / all as f64;
            spent += (all - rest) as f64 * each;
            match entry {
                Some(_) => progress.failed += rest,
                None => left += rest as f64 * each,
            }
            let rows = entry.into_iter().flat_map(|entry| &entry.rows.records);
            seconds += rows.map(|row| row.seconds).fold(0.0, f64::max);
            let own = portion.pieces.iter().flatten();
            let pieces = own.filter_map(|piece| pieces?.get(piece)?.term.seconds.last());
            seconds += pieces.sum::<f64>();
        }
        progress.seconds_left = (spent > 0.0).then(|| left * seconds / spent);
        progress
    }
}

/// Folders that may be parts: `folder` itself, and those under its `parts/`, in order.
fn candidates(folder: &Path) -> Vec<PathBuf> {
    let parts = read_dir(folder.join("parts")).into_iter().flatten();
    let mut found: Vec<PathBuf> = parts.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort_unstable();
    found.insert(0, folder.to_path_buf());
    found.retain(|folder| folder.join("journal.jsonl").is_file());
    found
}

/// The first key in which two tables differ, with both values as text.
fn difference(a: &Table, b: &Table, above: &str) -> Option<(String, String, String)> {
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().find_map(|key| {
        let place = format!("{above}{key}");
        let shown = |value: Option<&Value>| value.map_or("nothing".into(), Value::to_string);
        match (a.get(key), b.get(key)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => {
                difference(a, b, &format!("{place}."))
            }
            (a, b) if a == b => None,
            (a, b) => Some((place, shown(a), shown(b))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let a = table("x = 1\n[sampling]\nV = [1, 2]\nseeds = [0]");
        assert_eq!(difference(&a, &a, ""), None);
        let b = table("x = 1\n[sampling]\nV = [1, 3]\nseeds = [0]");
        let found = ("sampling.V".into(), "[1, 2]".into(), "[1, 3]".into());
        assert_eq!(difference(&a, &b, ""), Some(found));
        let b = table("x = 1");
        let (key, _, there) = difference(&a, &b, "").unwrap();
        assert_eq!((key.as_str(), there.as_str()), ("sampling", "nothing"));
    }
}
