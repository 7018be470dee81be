//! `journal.jsonl`: every finished job with its rows, a line each, in the order in which they ended.
//!
//! It is the truth from which all CSV files are made. A line is written in one go and counts once
//! its end is there; what a kill has left of a line is cut off before the next one is written.

use super::tables::Rows;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A finished job.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Entry {
    /// The job's key: the same job has the same one.
    pub key: String,
    /// What its result is.
    pub rows: Rows,
    /// What a reader should know of how it came about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Up to the end of the last whole line.
    length: u64,
    synchronised: Instant,
}

impl Journal {
    /// A power cut may take what is younger than this; a kill takes nothing.
    const SYNCHRONISE: Duration = Duration::from_secs(1);

    /// Opens the journal of `folder`, or starts it, and reads what it holds; a later entry for a
    /// key replaces an earlier one, and lines of another format are passed over.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn open(folder: &Path, fresh: bool) -> Result<(Self, HashMap<String, Entry>)> {
        let path = folder.join("journal.jsonl");
        let (file, text) =
            open(&path, fresh).with_context(|| format!("cannot write {}", path.display()))?;
        let (whole, entries) = entries(&text);
        let mut journal = Self {
            path,
            file,
            length: whole as u64,
            synchronised: Instant::now(),
        };
        journal.cut().with_context(|| journal.context())?;
        Ok((journal, entries))
    }

    /// Reads the journal of `folder` without writing to it; nothing, where it cannot be read.
    pub fn read(folder: &Path) -> HashMap<String, Entry> {
        let text = std::fs::read(folder.join("journal.jsonl"));
        entries(&text.unwrap_or_default()).1
    }

    /// Appends a finished job; after an error the journal is as it was before.
    ///
    /// # Errors
    /// A full or failing disk.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry).context("a journal entry is JSON")?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // What was written of the line is no line; the next reader would cut it off as well.
            let _ = self.cut();
            return Err(error).with_context(|| self.context());
        }
        self.length += line.len() as u64;
        if self.synchronised.elapsed() > Self::SYNCHRONISE {
            self.file.sync_data().with_context(|| self.context())?;
            self.synchronised = Instant::now();
        }
        Ok(())
    }

    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }

    fn context(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

/// How long the whole lines of a journal are, and the entries in them.
fn entries(text: &[u8]) -> (usize, HashMap<String, Entry>) {
    let whole = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    let entries = text[..whole]
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Entry>(line).ok())
        .map(|entry| (entry.key.clone(), entry))
        .collect();
    (whole, entries)
}

fn open(path: &Path, fresh: bool) -> std::io::Result<(File, Vec<u8>)> {
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(fresh)
        .open(path)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok((file, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> Entry {
        Entry {
            key: key.into(),
            rows: Rows::default(),
            notes: vec![format!("of {key}")],
        }
    }

    /// Cut anywhere, a journal keeps its whole lines and goes on after them.
    #[test]
    fn a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (mut journal, _) = Journal::open(folder.path(), true).unwrap();
        journal.append(&entry("a")).unwrap();
        let first = std::fs::metadata(&path).unwrap().len() as usize;
        journal.append(&entry("b")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, entries) = Journal::open(folder.path(), false).unwrap();
            let lines = usize::from(length >= first) + usize::from(length == whole.len());
            assert_eq!(entries.len(), lines, "cut to {length} bytes");
            journal.append(&entry("c")).unwrap();
            let (_, entries) = Journal::open(folder.path(), false).unwrap();
            assert_eq!(entries.len(), lines + 1);
            assert_eq!(entries["c"].notes, ["of c"]);
        }
    }
}
