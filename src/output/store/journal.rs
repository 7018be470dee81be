//! `journal.jsonl`: every finished job with its rows, and every finished piece of a job that is still to be put
//! together, a line each, in the order in which they ended.
//!
//! It is the truth from which all CSV files are made. A line is written in one go and counts once
//! its end is there; what a kill has left of a line is cut off before the next one is written.

use super::pieces::{Piece, Pieces};
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

/// A finished piece of a job.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct PieceEntry {
    /// The job's key.
    pub key: String,
    /// What it came to.
    #[serde(flatten)]
    pub piece: Piece,
}

/// What a journal holds, by keys.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Finished jobs; of two with one key the later.
    pub jobs: HashMap<String, Entry>,
    /// Pieces of jobs that are not done.
    pub pieces: HashMap<String, Pieces>,
}

impl Contents {
    /// What the lines of `text` hold; those of another format are passed over.
    fn of(text: &[u8]) -> Self {
        let mut contents = Self::default();
        for line in text.split(|&byte| byte == b'\n') {
            if let Ok(entry) = serde_json::from_slice::<Entry>(line) {
                contents.jobs.insert(entry.key.clone(), entry);
            } else if let Ok(PieceEntry { key, piece }) = serde_json::from_slice(line) {
                let pieces = contents.pieces.entry(key).or_default();
                pieces.insert(piece.piece, piece);
            }
        }
        contents
    }
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

    /// Opens the journal of `folder`, or starts it, and reads what it holds.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn open(folder: &Path, fresh: bool) -> Result<(Self, Contents)> {
        let path = folder.join("journal.jsonl");
        let (file, text) =
            open(&path, fresh).with_context(|| format!("cannot write {}", path.display()))?;
        let whole = whole(&text);
        let mut journal = Self {
            path,
            file,
            length: whole as u64,
            synchronised: Instant::now(),
        };
        journal.cut().with_context(|| journal.context())?;
        Ok((journal, Contents::of(&text[..whole])))
    }

    /// Reads the journal of `folder` without writing to it; nothing, where it cannot be read.
    pub fn read(folder: &Path) -> Contents {
        let text = std::fs::read(folder.join("journal.jsonl")).unwrap_or_default();
        Contents::of(&text[..whole(&text)])
    }

    /// Appends an [`Entry`] or a [`PieceEntry`]; after an error the journal is as it was before.
    ///
    /// # Errors
    /// A full or failing disk.
    pub fn append(&mut self, entry: &impl Serialize) -> Result<()> {
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

/// How long the whole lines of a journal are.
fn whole(text: &[u8]) -> usize {
    let end = text.iter().rposition(|&byte| byte == b'\n');
    end.map_or(0, |end| end + 1)
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
    use crate::estimator::Term;

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
            let (mut journal, held) = Journal::open(folder.path(), false).unwrap();
            let lines = usize::from(length >= first) + usize::from(length == whole.len());
            assert_eq!(held.jobs.len(), lines, "cut to {length} bytes");
            journal.append(&entry("c")).unwrap();
            let (_, held) = Journal::open(folder.path(), false).unwrap();
            assert_eq!(held.jobs.len(), lines + 1);
            assert_eq!(held.jobs["c"].notes, ["of c"]);
        }
    }

    /// Pieces stand beside jobs.
    #[test]
    fn pieces_are_told_from_jobs() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), true).unwrap();
        let piece = |key: &str, piece| PieceEntry {
            key: key.into(),
            piece: Piece {
                piece,
                term: Term {
                    rows: vec![vec![1.5]],
                    seconds: vec![0.5],
                },
                v_batch: None,
                threads: 2,
                notes: Vec::new(),
            },
        };
        journal.append(&entry("a")).unwrap();
        journal.append(&piece("b", 3)).unwrap();
        journal.append(&piece("b", 1)).unwrap();
        journal.append(&piece("b", 3)).unwrap();
        let held = Journal::read(folder.path());
        assert_eq!(held.jobs.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(held.pieces["b"].keys().collect::<Vec<_>>(), [&1, &3]);
        assert_eq!(held.pieces["b"][&3], piece("b", 3).piece);
    }
}
