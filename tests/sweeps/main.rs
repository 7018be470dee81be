//! Sweeps on a bad day: killed, interrupted, out of disk, out of memory, and run again.

#[path = "../files/mod.rs"]
mod files;

mod disk;
mod kill;
mod stop;
mod trouble;

use assert_cmd::Command;
use curvature_runner::output::{Record, read_records};
use std::path::{Path, PathBuf};
use std::process::Stdio;

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
    fn spawn(&self) -> std::process::Child {
        std::process::Command::new(assert_cmd::cargo::cargo_bin("runner"))
            .current_dir(&self.0)
            .arg("spec.toml")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until a running sweep has written rows.
    fn wait_for_rows(&self) {
        let rows = || read_records(&self.results()).map_or(0, |rows| rows.len());
        let clock = std::time::Instant::now();
        // The first may be the exact one, of which there is no figure.
        while rows() < 2 {
            assert!(clock.elapsed().as_secs() < 60, "no rows after a minute");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
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
