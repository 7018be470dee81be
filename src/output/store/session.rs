//! The results folder of an experiment, from its first row to its figures.

use super::journal::{Entry, Journal, PieceEntry};
use super::left::{are_there, has_failed, left};
use super::lock::Lock;
use super::manifest::{Manifest, Status};
use super::part_folder::PartFolder;
use super::pieces::{Piece, Pieces};
use super::records::{FailureRecord, Record};
use super::tables::{self, Done, Rows};
use crate::plan::{Part, Plan, Portion};
use crate::spec::SpecText;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A results folder that is being written.
///
/// A finished job is in the journal at once. The CSV files are made from the journal: after every
/// job, unless writing them would take more than a twentieth of the time.
pub struct Session {
    folder: PathBuf,
    manifest: Manifest,
    journal: Journal,
    /// The key of every job of the plan, and its entry once it is finished.
    jobs: Vec<(String, Option<Entry>)>,
    /// Of jobs that are not finished: their pieces that are.
    pieces: HashMap<usize, Pieces>,
    /// What the folder is for.
    own: Vec<Portion>,
    /// Of every job of the plan whether it computes an exact trace.
    exact: Vec<bool>,
    before: Before,
    /// What a reader should know of all of it.
    notes: Vec<String>,
    clock: Instant,
    /// When the CSV files may be written next.
    due: Instant,
    _lock: Lock,
}

/// What an earlier run left in the folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Jobs of this plan that are done.
    pub done: usize,
    /// Jobs of this plan that failed.
    pub failed: usize,
    /// Jobs that this plan does not have, or no longer in this form.
    pub unused: usize,
}

/// What a run has stored.
#[derive(Debug)]
pub struct Ended {
    /// Its tables and the manifest.
    pub files: Vec<PathBuf>,
    /// Estimates that are NaN or infinite.
    pub non_finite: Vec<Record>,
    /// Jobs that could not be done.
    pub failures: Vec<FailureRecord>,
}

impl Session {
    /// Takes `folder` for a plan or one `part` of it, with what earlier runs left there unless `fresh`.
    ///
    /// # Errors
    /// A folder that cannot be made or written, or that another runner is writing.
    pub fn start(
        folder: &Path,
        plan: &Plan,
        source: &SpecText,
        part: Option<Part>,
        fresh: bool,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let lock = Lock::take(folder)?;
        let (journal, held) = Journal::open(folder, fresh)?;
        let (mut entries, mut pieces) = (held.jobs, HashMap::new());
        let mut held_pieces = held.pieces;
        let known = entries.len();
        let keys = plan.keys().into_iter().enumerate();
        let jobs: Vec<_> = keys
            .map(|(index, key)| {
                let entry = entries.remove(&key);
                pieces.extend(held_pieces.remove(&key).map(|pieces| (index, pieces)));
                (key, entry)
            })
            .collect();
        let failed = |(_, entry): &&(String, Option<Entry>)| entry.as_ref().is_some_and(has_failed);
        let failed = jobs.iter().filter(failed).count();
        let before = Before {
            done: known - entries.len() - failed,
            failed,
            unused: entries.len(),
        };
        let manifest = Manifest::start(plan, source, folder, part);
        manifest.write(folder)?;
        let mut session = Self {
            folder: folder.to_path_buf(),
            manifest,
            journal,
            jobs,
            pieces,
            own: match part {
                Some(part) => part.portions(plan),
                None => plan.portions(),
            },
            exact: plan.jobs.iter().map(|job| job.task.is_exact()).collect(),
            before,
            notes: plan
                .warnings()
                .into_iter()
                .chain(plan.choice.clone())
                .collect(),
            clock: Instant::now(),
            due: Instant::now(),
            _lock: lock,
        };
        (0..session.jobs.len()).for_each(|index| session.forgive(index));
        session.write_tables()?;
        Ok(session)
    }

    /// What an earlier run left.
    pub fn before(&self) -> Before {
        self.before
    }

    /// The rows of a job of the plan that is finished.
    pub fn rows(&self, index: usize) -> Option<&Rows> {
        self.jobs[index].1.as_ref().map(|entry| &entry.rows)
    }

    /// What is still to be done of `portion`; jobs that failed are to be done again only with `retry`.
    pub fn left(&self, portion: &Portion, retry: bool) -> Option<Portion> {
        let entry = self.jobs[portion.job].1.as_ref();
        left(portion, entry, self.pieces.get(&portion.job), retry)
    }

    /// The finished pieces of a job that is not finished.
    pub fn pieces(&self, index: usize) -> Option<&Pieces> {
        self.pieces.get(&index)
    }

    /// Writes what a run hands on.
    ///
    /// # Errors
    /// A full or failing disk; what was written before stays.
    pub fn append(&mut self, done: Done) -> Result<()> {
        let finished = match done {
            Done::Job(finished) => finished,
            Done::Pieces { index, pieces } => {
                let mut pieces = pieces.into_iter();
                return pieces.try_for_each(|piece| self.store_piece(index, piece));
            }
        };
        for diagonal in &finished.diagonals {
            diagonal.write(&self.folder)?;
        }
        for (name, bytes) in &finished.files {
            super::replace_file(&self.folder.join(name), bytes)?;
        }
        self.store(finished.index, finished.rows, finished.notes)?;
        match Instant::now() < self.due {
            true => Ok(()),
            false => self.write_tables().map(drop),
        }
    }

    /// Takes over from `part` what is still to be done here, or has failed here and not there. What
    /// there is already stays.
    ///
    /// # Errors
    /// As of [`append`](Self::append), and files of the part that cannot be read.
    pub fn adopt(&mut self, plan: &Plan, part: &PartFolder) -> Result<()> {
        let mut held = Journal::read(&part.folder);
        part.copy_files(&self.folder)?;
        for (index, key) in plan.keys_on(&part.machine).iter().enumerate() {
            let own = self.jobs[index].1.as_ref();
            let entry = held.jobs.remove(key);
            let better =
                |entry: &Entry| own.is_none_or(|own| has_failed(own) && !has_failed(entry));
            if let Some(entry) = entry.filter(better) {
                self.store(index, entry.rows, entry.notes)?;
            } else if own.is_none_or(has_failed) {
                let pieces = held.pieces.remove(key).unwrap_or_default();
                let there = self.pieces.get(&index);
                let there = there.into_iter().flat_map(|pieces| pieces.keys().copied());
                let there: Vec<usize> = there.collect();
                for piece in pieces.into_values().filter(|p| !there.contains(&p.piece)) {
                    self.store_piece(index, piece)?;
                }
            }
        }
        self.manifest.add_part(part.origin());
        Ok(())
    }

    /// Keeps the rows of a job in the journal.
    fn store(&mut self, index: usize, rows: Rows, notes: Vec<String>) -> Result<()> {
        let (key, place) = &mut self.jobs[index];
        let key = key.clone();
        self.journal
            .append(place.insert(Entry { key, rows, notes }))
    }

    /// Keeps a piece of a job in the journal.
    fn store_piece(&mut self, index: usize, piece: Piece) -> Result<()> {
        let key = self.jobs[index].0.clone();
        let line = PieceEntry { key, piece };
        self.journal.append(&line)?;
        let pieces = self.pieces.entry(index).or_default();
        pieces.insert(line.piece.piece, line.piece);
        self.forgive(index);
        Ok(())
    }

    /// Forgets that a job has failed, once its own pieces are there.
    fn forgive(&mut self, index: usize) {
        let own = self.own.binary_search_by_key(&index, |own| own.job);
        let own = own.map(|place| &self.own[place]);
        if own.is_ok_and(|own| are_there(own, self.pieces.get(&index))) {
            let entry = &mut self.jobs[index].1;
            *entry = entry.take().filter(|entry| !has_failed(entry));
        }
    }

    /// Writes all tables and the manifest.
    ///
    /// # Errors
    /// A full or failing disk; the rows written so far stay.
    pub fn end(mut self, interrupted: bool) -> Result<Ended> {
        let mut files = self.write_tables()?;
        let left = self.own.iter().any(|own| self.left(own, false).is_some());
        let entries: Vec<Entry> = self
            .jobs
            .into_iter()
            .filter_map(|(_, entry)| entry)
            .collect();
        let failures: Vec<FailureRecord> = entries
            .iter()
            .flat_map(|entry| entry.rows.failures.clone())
            .collect();
        let records = entries.iter().flat_map(|entry| &entry.rows.records);
        let non_finite: Vec<Record> = records
            .filter(|record| !record.estimate.is_finite())
            .cloned()
            .collect();
        let status = match (interrupted, left) {
            (true, _) => Status::Interrupted,
            (false, true) => Status::Partial,
            _ if !failures.is_empty() => Status::Failed,
            _ if !non_finite.is_empty() => Status::NonFinite,
            _ => Status::Complete,
        };
        let mut notes = self.notes;
        notes.extend(entries.into_iter().flat_map(|entry| entry.notes));
        self.manifest
            .end(status, self.clock.elapsed().as_secs_f64(), notes);
        self.manifest.write(&self.folder)?;
        files.push(self.folder.join("manifest.toml"));
        Ok(Ended {
            files,
            non_finite,
            failures,
        })
    }

    /// Replaces the CSV files by the rows of all finished jobs, in the plan's order.
    fn write_tables(&mut self) -> Result<Vec<PathBuf>> {
        let clock = Instant::now();
        self.fill_exact();
        let finished = self.jobs.iter().filter_map(|(_, entry)| entry.as_ref());
        let files = tables::write(&self.folder, finished.map(|entry| &entry.rows))?;
        let took: Duration = clock.elapsed();
        self.due = Instant::now() + 20 * took;
        Ok(files)
    }

    /// Gives every row of a trace the exact trace of its matrix at its checkpoint, whichever run has computed it.
    fn fill_exact(&mut self) {
        let exact = self
            .jobs
            .iter()
            .zip(&self.exact)
            .filter(|(_, exact)| **exact);
        let exact = exact.filter_map(|((_, entry), _)| entry.as_ref());
        let of = |row: &Record| (row.matrix.clone(), row.checkpoint.clone());
        let exact: HashMap<_, f64> = exact
            .flat_map(|entry| &entry.rows.records)
            .map(|row| (of(row), row.estimate))
            .collect();
        let jobs = self.jobs.iter_mut().filter_map(|(_, entry)| entry.as_mut());
        let rows = jobs.flat_map(|entry| &mut entry.rows.records);
        for row in rows.filter(|row| row.is_trace()) {
            row.exact = exact.get(&of(row)).copied().or(row.exact);
        }
    }
}
