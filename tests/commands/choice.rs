//! What a spec without an estimator gets.

use super::runner;
use std::path::Path;

/// What `runner check` says of `experiments/gpt.toml` without estimators, with `weights` or initial ones.
fn chosen(weights: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let spec = std::fs::read_to_string(root.join("gpt.toml")).unwrap();
    let (problem, _) = spec.split_once("[sampling]").unwrap();
    let data = root.join("gpt/data.safetensors");
    let problem = problem.replace("gpt/data.safetensors", data.to_str().unwrap());
    let lines = problem.lines().map(|line| match line.split_once('=') {
        Some((key, _)) if key.trim() == "weights" => weights,
        Some((key, _)) if key.trim() == "batch" => "batch = 2",
        _ => line,
    });
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<&str> = lines.collect();
    std::fs::write(folder.path().join("spec.toml"), lines.join("\n")).unwrap();
    let output = runner(folder.path(), &["check", "spec.toml"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("no [[estimator]]"));
    line.unwrap_or_else(|| panic!("{text}")).to_string()
}

/// On the trained network a pass of propagation spreads several times as far as a product, on the
/// same network with initial weights a tenth as far.
#[test]
fn a_pilot_takes_what_spreads_less() {
    let trained =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/gpt/step_1500.safetensors");
    let trained = chosen(&format!("weights = {trained:?}"));
    assert!(trained.contains("so kind = \"hutchinson\""), "{trained}");
    let initial = chosen("");
    assert!(initial.contains("so kind = \"propagation\""), "{initial}");
    for line in [trained, initial] {
        assert!(line.contains("in a pilot a pass of propagation"), "{line}");
    }
}
