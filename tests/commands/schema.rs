//! `runner schema`.

use crate::agreement;
use assert_cmd::Command;
use curvature_runner::spec::{Spec, SpecText};
use std::path::{Path, PathBuf};

/// The specs in a folder of the repository.
fn specs(folder: &str) -> Vec<SpecText> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter_map(|path: PathBuf| SpecText::read(&path).ok())
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

#[test]
fn the_reference_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/spec.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == curvature_runner::spec::reference(),
        "docs/spec.md is old: target/release/runner schema --markdown > docs/spec.md"
    );
}

/// The times that the README shows are those of one run on one machine.
#[test]
fn the_readme_shows_the_table_of_one_comparison() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let table = read("results/compare/mlp_example/table.md");
    assert!(
        read("README.md").contains(&table),
        "README.md lacks results/compare/mlp_example/table.md as `make compare` wrote it"
    );
}

/// Links between the documents lead somewhere.
#[test]
fn documents_link_to_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap();
    let mut documents: Vec<PathBuf> = docs.map(|entry| entry.unwrap().path()).collect();
    documents.extend(["README.md", "CONTRIBUTING.md", "DESIGN.md"].map(|name| root.join(name)));
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let there = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            // What a build makes is not there yet.
            if path.starts_with("target/") {
                continue;
            }
            assert!(there.exists(), "{} links to {target}", document.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&there).unwrap().to_lowercase();
                let plain = |line: &str| line.replace(['`', ',', '?', ':', '(', ')', '.'], "");
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let anchored = headings.any(|line| {
                    plain(line.trim_start_matches('#').trim()).replace(' ', "-") == anchor
                });
                assert!(anchored, "{} links to {target}", document.display());
            }
        }
    }
}
