//! The subcommands, as a user sees them.

mod browser;
mod choice;
mod compare;
mod documentation;
mod gpu_trip;
mod identity;
mod report;
mod schema;
mod verify;

use crate::files;
use assert_cmd::Command;
use std::path::Path;

/// A spec over the data of [`files`].
const SMALL: &str = r#"
name = "small"
kind = "convergence"
device = "cpu"
data = { source = "safetensors", path = "data/classes.safetensors" }
model = { layers = [{ kind = "linear", out = 4 }, { kind = "tanh" }, { kind = "linear", out = 3 }] }
loss = { kind = "cross_entropy" }
sampling = { V = [5, 20, 80], V_batch = [5], seeds = [0, 1, 2] }
estimator = [
  { kind = "exact" },
  { kind = "hutchinson", blocks = "parameter" },
  { kind = "hutchinson", blocks = "full", product = "hmp" },
  { kind = "propagation" },
]
"#;

fn runner(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("runner").unwrap();
    command.current_dir(folder).args(arguments);
    command
}

/// A folder in which [`SMALL`] has run.
fn small_run() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files::write_data(&folder.path().join("data"));
    std::fs::write(folder.path().join("small.toml"), SMALL).unwrap();
    runner(folder.path(), &["small.toml"]).assert().success();
    folder
}
