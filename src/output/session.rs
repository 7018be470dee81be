//! The results folder of one run, from its first row to its figures.

use super::manifest::{Manifest, Status};
use super::records::{Finished, ParameterRecord, Record, RecordWriter, replace};
use super::redraw::redraw;
use super::results::Results;
use super::summary::{SummaryRow, summarise};
use crate::plan::Plan;
use crate::spec::Source;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A run's results: rows are on disk as soon as their job is finished.
pub struct Session {
    folder: PathBuf,
    manifest: Manifest,
    writer: RecordWriter,
    finished: Vec<Finished>,
    clock: Instant,
}

/// What a completed run left.
#[derive(Debug)]
pub struct Outcome {
    /// Every file that was written.
    pub files: Vec<PathBuf>,
    /// The summary's rows.
    pub summary: Vec<SummaryRow>,
    /// Estimates that are NaN or infinite.
    pub non_finite: Vec<Record>,
}

impl Session {
    /// Opens `folder` and starts its files.
    ///
    /// # Errors
    /// A folder that cannot be made or written.
    pub fn start(folder: &Path, plan: &Plan, source: &Source) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let manifest = Manifest::start(plan, source, folder);
        manifest.write(folder)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            manifest,
            writer: RecordWriter::create(folder)?,
            finished: Vec::new(),
            clock: Instant::now(),
        })
    }

    /// Writes the rows of a finished job.
    ///
    /// # Errors
    /// A full or failing disk.
    pub fn append(&mut self, finished: Finished) -> Result<()> {
        self.writer
            .append(&finished.records, &finished.parameters)?;
        self.finished.push(finished);
        Ok(())
    }

    /// Puts the rows in the plan's order, writes the manifest and what follows from both.
    ///
    /// # Errors
    /// A full or failing disk; the rows written so far stay.
    pub fn end(mut self) -> Result<Outcome> {
        drop(self.writer);
        self.finished.sort_by_key(|finished| finished.index);
        let (mut records, mut parameters) = (Vec::<Record>::new(), Vec::<ParameterRecord>::new());
        for finished in self.finished {
            records.extend(finished.records);
            parameters.extend(finished.parameters);
        }
        let file = |name: &str| self.folder.join(name);
        replace(&file("records.csv"), &records)?;
        replace(&file("parameters.csv"), &parameters)?;
        let non_finite: Vec<Record> = records
            .into_iter()
            .filter(|record| !record.estimate.is_finite())
            .collect();
        let status = match non_finite.is_empty() {
            true => Status::Complete,
            false => Status::NonFinite,
        };
        self.manifest
            .end(status, self.clock.elapsed().as_secs_f64());
        self.manifest.write(&self.folder)?;
        let mut files: Vec<PathBuf> = ["records.csv", "parameters.csv", "manifest.toml"]
            .map(file)
            .into();
        let results = Results::read(&self.folder)?;
        files.extend(redraw(&results)?);
        Ok(Outcome {
            files,
            summary: summarise(&results.records),
            non_finite,
        })
    }
}
