//! What tells estimates apart reaches every row and every file name.

use super::{files, runner};
use curvature_runner::output::{Record, read_records};
use std::collections::BTreeSet;
use std::path::Path;

/// Runs a spec over the data of [`files`]; its results are in `results/small`.
fn run(folder: &Path, spec: &str, options: &[&str]) {
    files::write_data(&folder.join("data"));
    let problem = r#"
        name = "small"
        kind = "convergence"
        device = "cpu"
        data = { source = "safetensors", path = "data/classes.safetensors" }
        loss = { kind = "cross_entropy" }
    "#;
    std::fs::write(folder.join("small.toml"), format!("{problem}{spec}")).unwrap();
    let mut command = runner(folder, &["small.toml"]);
    command.args(options).assert().success();
}

fn rows(folder: &Path) -> Vec<Record> {
    read_records(&folder.join("results/small")).unwrap()
}

#[test]
fn log_determinants_that_differ_in_delta_alone_are_two_results() {
    let folder = tempfile::tempdir().unwrap();
    let spec = r#"
        model = { layers = [{ kind = "linear", out = 3 }] }
        sampling = { V = [4], V_batch = [4], seeds = [0] }
        estimator = [
          { kind = "log_det", matrix = "ggn", blocks = "full", steps = 4, delta = [0.1] },
          { kind = "log_det", matrix = "ggn", blocks = "full", steps = 4, delta = [0.2] },
        ]
    "#;
    run(folder.path(), spec, &[]);
    let rows = rows(folder.path());
    let identities: Vec<_> = rows.iter().map(Record::identity).collect();
    assert_eq!(rows.len(), 2);
    assert_ne!(identities[0], identities[1]);
    assert_ne!(rows[0].estimate, rows[1].estimate);
}

/// Two checkpoints, and then another dtype: nothing is overwritten.
#[test]
fn vectors_of_checkpoints_and_dtypes_have_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for (name, x) in [("first.safetensors", 0.25f32), ("second.safetensors", -0.5)] {
        let numbers = |count: usize| (0..count).flat_map(move |i| (x * i as f32).to_le_bytes());
        let entry = |name, shape: &[usize]| {
            let bytes = numbers(shape.iter().product()).collect();
            (name, safetensors::Dtype::F32, shape.to_vec(), bytes)
        };
        let file = files::safetensors(&[entry("0.weight", &[3, 3]), entry("0.bias", &[3])]);
        std::fs::write(folder.path().join(name), file).unwrap();
    }
    let spec = r#"
        model = { layers = [{ kind = "linear", out = 3 }], weights = ["first.safetensors", "second.safetensors"] }
        sampling = { V = [4], V_batch = [4], seeds = [0] }
        estimator = [
          { kind = "bekas", blocks = "full" },
          { kind = "lanczos", blocks = "full", k = 2, vectors = true },
        ]
    "#;
    run(folder.path(), spec, &[]);
    let results = folder.path().join("results/small");
    let names = |folder: &Path, with: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains(with)).collect()
    };
    let diagonals = names(&results.join("diagonals"), "bekas");
    let vectors = names(&results, "eigenvectors");
    assert_eq!((diagonals.len(), vectors.len()), (2, 2), "{diagonals:?}");
    assert!(
        diagonals.iter().any(|name| name.contains("-first-")),
        "{diagonals:?}"
    );
    let contents = |names: &BTreeSet<String>| -> BTreeSet<Vec<u8>> {
        let read = |name: &String| std::fs::read(results.join("diagonals").join(name)).unwrap();
        names.iter().map(read).collect()
    };
    let before = contents(&diagonals);
    run(folder.path(), spec, &["--set", "dtype=float64"]);
    assert_eq!(names(&results.join("diagonals"), "bekas").len(), 4);
    assert_eq!(names(&results, "eigenvectors").len(), 4);
    assert_eq!(
        contents(&diagonals),
        before,
        "an earlier diagonal was overwritten"
    );
}

/// Any value that tells settings apart can be asked for.
#[test]
fn only_takes_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let spec = r#"
        model = { layers = [{ kind = "linear", out = 3 }] }
        sampling = { V = [4], V_batch = [4], seeds = [0] }
        estimator = [{ kind = "propagation" }, { kind = "propagation", matrix = "ggn" }]
    "#;
    run(folder.path(), spec, &["--only", "ggn"]);
    let matrices: Vec<String> = rows(folder.path())
        .into_iter()
        .map(|row| row.matrix)
        .collect();
    assert_eq!(matrices, ["ggn"]);
}
