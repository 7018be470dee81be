//! `manifest.toml`: what ran, on what, from what; itself a spec, so that it can be run again.

use crate::environment;
use crate::plan::{Part, Plan};
use crate::problem::raw::FileRecord;
use crate::spec::{Spec, SpecText};
use anyhow::{Context, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The resolved spec and, in a table of its own, where it came from.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    #[serde(flatten)]
    spec: Spec,
    manifest: Provenance,
}

#[derive(Clone, Debug, Serialize)]
struct Provenance {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    spec_sha256: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
    runner: String,
    commit: String,
    tch: String,
    libtorch: String,
    device: String,
    processor: String,
    cores: usize,
    threads: usize,
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    files: Vec<FileEntry>,
    /// Where merged results come from: what the manifests of the parts say of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<toml::Table>,
}

/// How far the run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Under way, or killed.
    Running,
    /// All jobs done, all values finite.
    Complete,
    /// All jobs done, some values NaN or infinite.
    NonFinite,
    /// All jobs tried, some could not be done.
    Failed,
    /// Ended before all jobs were tried, as was asked for.
    Partial,
    /// Stopped by the user.
    Interrupted,
}

#[derive(Clone, Debug, Serialize)]
struct FileEntry {
    path: String,
    sha256: String,
}

impl Manifest {
    /// The manifest of a run, of all of `plan` or one part, that starts now and writes to `folder`.
    pub fn start(plan: &Plan, source: &SpecText, folder: &Path, part: Option<Part>) -> Self {
        let relative = |path: &Path| {
            let plain = |path: &Path| std::path::absolute(path).map(path_clean::clean).ok();
            let both = plain(path).zip(plain(folder));
            both.and_then(|(path, folder)| pathdiff::diff_paths(path, folder))
                .unwrap_or_default()
        };
        let mut spec = plan.spec.clone();
        let base = source.folder();
        for path in spec.paths_mut() {
            *path = relative(&base.join(&*path));
        }
        spec.device = plan.place();
        let entry = |file: &FileRecord| FileEntry {
            path: relative(&file.path).display().to_string(),
            sha256: file.sha256.clone(),
        };
        Self {
            manifest: Provenance {
                status: Status::Running,
                part: part.map(|part| part.to_string()),
                spec_sha256: crate::problem::raw::hex(&Sha256::digest(&source.text)),
                options: source.options().map(str::to_string).collect(),
                runner: env!("CARGO_PKG_VERSION").into(),
                commit: env!("RUNNER_COMMIT").into(),
                tch: "0.24.0".into(),
                libtorch: environment::libtorch_version(),
                device: environment::device_name(plan.device),
                processor: environment::processor_name(),
                cores: environment::cores(),
                threads: plan.threads,
                start: now(),
                end: None,
                seconds: None,
                notes: Vec::new(),
                files: plan.setup.files().map(entry).collect(),
                parts: Vec::new(),
            },
            spec,
        }
    }

    /// Notes where rows come from that were computed elsewhere.
    pub fn add_part(&mut self, provenance: toml::Table) {
        self.manifest.parts.push(provenance);
    }

    /// Notes how the run ended, `seconds` after its start, and what a reader should know of it.
    pub fn end(&mut self, status: Status, seconds: f64, mut notes: Vec<String>) {
        notes.sort_unstable();
        notes.dedup();
        self.manifest.notes = notes;
        self.manifest.status = status;
        self.manifest.end = Some(now());
        self.manifest.seconds = Some(seconds);
    }

    /// Writes `manifest.toml` in one step.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = toml::to_string(self).context("a manifest is TOML")?;
        super::replace_file(&folder.join("manifest.toml"), text.as_bytes())
    }
}

fn now() -> String {
    OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
