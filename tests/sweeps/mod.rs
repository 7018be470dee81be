//! Sweeps on a bad day: killed, interrupted, out of disk, out of memory, and run again.

// Tests begin in the order of their names: this one, which waits for schedulers, beside all others.
mod cluster;
mod disk;
mod experiments;
mod kill;
mod library;
mod shards;
mod stop;
mod trouble;

use crate::files;
use assert_cmd::Command;
use curvature_runner::output::{Record, read_records};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A folder with `spec.toml`, whose results go to `results/sweep`, and data for it.
struct Sweep(tempfile::TempDir);

/// What all specs here begin with.
const PROBLEM: &str = r#"
name = "sweep"
device = "cpu"
data = { source = "safetensors", path = "data.safetensors" }
model = { layers = [{ kind = "linear", out = 20 }, { kind = "tanh" }, { kind = "linear", out = 3 }] }
loss = { kind = "cross_entropy" }
"#;

/// Many short jobs of every kind.
const MANY: &str = r#"
kind = "convergence"
sampling = { V = [5, 20, 60], V_batch = [4], seeds = { from = 0, count = 12 } }
estimator = [
  { kind = "hutchinson", blocks = "full", product = "autodiff" },
  { kind = "hutchinson", blocks = "parameter", product = "hmp" },
  { kind = "exact" },
  { kind = "hutchinson", blocks = "full" },
  { kind = "propagation" },
  { kind = "activation" },
]
"#;

impl Sweep {
    fn new(spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data.safetensors"), files::classes()).unwrap();
        let sweep = Self(folder);
        sweep.respecify(spec);
        sweep
    }

    fn respecify(&self, spec: &str) {
        std::fs::write(self.0.path().join("spec.toml"), format!("{PROBLEM}{spec}")).unwrap();
    }

    fn results(&self) -> PathBuf {
        self.0.path().join("results/sweep")
    }

    fn runner(&self, options: &[&str]) -> Command {
        let mut command = Command::cargo_bin("runner").unwrap();
        command.current_dir(&self.0).arg("spec.toml").args(options);
        command
    }

    /// Runs it to its end; returns exit code and stderr.
    fn run(&self, options: &[&str]) -> (i32, String) {
        let output = self.runner(options).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        (output.status.code().expect("an exit code"), text)
    }

    /// Starts it, to be ended from outside.
    fn spawn(&self) -> Child {
        self.spawn_with(&[])
    }

    fn spawn_with(&self, options: &[&str]) -> Child {
        std::process::Command::new(assert_cmd::cargo::cargo_bin("runner"))
            .current_dir(&self.0)
            .arg("spec.toml")
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// What the journal holds; nothing, where there is none yet.
    fn journal(&self) -> Vec<u8> {
        std::fs::read(self.results().join("journal.jsonl")).unwrap_or_default()
    }

    /// Waits until something has come or the runner has ended; returns whether it has ended.
    fn wait_until(&self, child: &mut Child, has_come: impl Fn() -> bool) -> bool {
        let clock = Instant::now();
        loop {
            if has_come() {
                return false;
            }
            if child.try_wait().unwrap().is_some() {
                return true;
            }
            if clock.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!(
                    "what was waited for has not come in {PATIENCE:?}, nor has the runner ended"
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until a running sweep has written rows.
    fn wait_for_rows(&self, child: &mut Child) {
        // The first may be the exact one, of which there is no figure.
        let has_rows = || read_records(&self.results()).is_ok_and(|rows| rows.len() >= 2);
        let ended = self.wait_until(child, has_rows);
        assert!(!ended, "the sweep ended before it was met under way");
    }
}

/// How long a test waits for what comes within moments unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// The exit code of a runner that is to end soon, and its stderr.
fn end_of(mut child: Child) -> (Option<i32>, String) {
    let clock = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if clock.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("the runner has not ended in {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

/// `records.csv` without what differs from run to run, in order.
fn timeless(folder: &Path) -> Vec<Record> {
    let blank = |row| Record {
        seconds: 0.0,
        memory: None,
        ..row
    };
    let rows = read_records(folder).unwrap();
    rows.into_iter().map(blank).collect()
}

/// The rows of `parameters.csv` as text.
fn parameters(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("parameters.csv")).unwrap_or_default();
    text.lines().map(str::to_string).collect()
}

/// Fails unless both folders hold the same result, times aside.
fn assert_same(folder: &Path, undisturbed: &Path) {
    let (rows, expected) = (timeless(folder), timeless(undisturbed));
    assert_eq!(rows.len(), expected.len());
    rows.iter()
        .zip(&expected)
        .for_each(|(row, expected)| assert_eq!(row, expected));
    let (rows, expected) = (parameters(folder), parameters(undisturbed));
    assert_eq!(rows.len(), expected.len());
    rows.iter()
        .zip(&expected)
        .for_each(|(row, expected)| assert_eq!(row, expected));
}
