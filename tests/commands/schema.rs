//! `runner schema`.

#[path = "../agreement/mod.rs"]
mod agreement;

use assert_cmd::Command;
use curvature_runner::spec::{Source, Spec};
use std::path::{Path, PathBuf};

/// The specs in a folder of the repository.
fn specs(folder: &str) -> Vec<Source> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter_map(|path: PathBuf| Source::read(&path).ok())
        .collect()
}

#[test]
fn it_prints_the_schema() {
    let output = Command::cargo_bin("runner")
        .unwrap()
        .arg("schema")
        .output()
        .unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(&printed, curvature_runner::spec::schema().as_value());
}

#[test]
fn every_experiment_fits_the_schema() {
    let validator = agreement::validator();
    let experiments = specs("experiments");
    assert!(experiments.len() >= 6);
    for source in experiments {
        Spec::parse(&source).unwrap();
        agreement::check(&validator, &source);
    }
}

#[test]
fn what_the_reader_refuses_the_schema_refuses_and_nothing_else() {
    let validator = agreement::validator();
    let bad = specs("tests/bad");
    bad.iter()
        .for_each(|source| agreement::check(&validator, source));
    let unread = bad.iter().filter(|source| Spec::parse(source).is_err());
    assert!(unread.count() >= 60);
}
