//! What a spec without an estimator gets.

use super::runner;
use std::path::Path;

/// What `runner check` says of `experiments/gpt.toml` without estimators, with `weights` or initial ones.
fn chosen_for_gpt(weights: &str) -> String {
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
    let lines: Vec<&str> = lines.collect();
    chosen(&lines.join("\n"))
}

/// What `runner check` says of the estimator of a spec without any.
fn chosen(spec: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spec.toml"), spec).unwrap();
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
    let trained = chosen_for_gpt(&format!("weights = {trained:?}"));
    assert!(trained.contains("so kind = \"hutchinson\""), "{trained}");
    let initial = chosen_for_gpt("");
    assert!(initial.contains("so kind = \"propagation\""), "{initial}");
    for line in [trained, initial] {
        assert!(
            line.contains("in a pilot the standard deviation of a pass of propagation"),
            "{line}"
        );
    }
}

/// The 9,216 curved entries stand directly over a convolution, which sees them as a diagonal: the exact trace takes
/// little more than the columns of the loss. Over another convolution every entry takes a column of its own.
#[test]
fn the_exact_trace_is_taken_where_it_takes_as_long_as_sampling() {
    let convolution = "{ kind = \"conv2d\", out = 16, kernel_size = 3, padding = 1 }, ";
    let of = |before: &str| {
        format!(
            r#"
            data  = {{ source = "synthetic_classification", samples = 64, shape = [3, 24, 24], classes = 3 }}
            model = {{ layers = [{before}{{ kind = "silu" }}, {{ kind = "flatten" }}, {{ kind = "linear", out = 3 }}] }}
            loss  = {{ kind = "cross_entropy" }}"#
        )
    };
    let one = chosen(&of(convolution));
    assert!(
        one.contains("so kind = \"exact\": it takes as much as"),
        "{one}"
    );
    let two = chosen(&of(&convolution.repeat(2)));
    assert!(two.contains("so kind = \"propagation\""), "{two}");
}
