//! The program as a user sees it: what it prints, writes and returns.

use assert_cmd::Command;
use curvature_runner::output::{Record, read_records};
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::path::Path;

const SPEC: &str = r#"
name = "small"
kind = "convergence"
device = "cpu"
data = { source = "safetensors", path = "data.safetensors" }
model = { layers = [{ kind = "linear", out = 3 }, { kind = "tanh" }, { kind = "linear", out = 2 }] }
loss = { kind = "mse", reduction = "sum" }
sampling = { V = [5, 20], V_batch = [4], seeds = [0, 1] }
estimator = [
  { kind = "exact" },
  { kind = "hutchinson", blocks = "full", product = "hmp" },
  { kind = "hutchinson", blocks = "full" },
  { kind = "hutchinson", blocks = "parameter", V_batch = "auto" },
  { kind = "propagation", V = [3] },
  { kind = "activation", V = [3] },
]
"#;

/// A folder with a spec and data for it: four samples of two features.
fn folder(x: &[f32; 8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let (x, y) = (bytes(x), bytes(&[0.5; 8]));
    let view = |bytes| TensorView::new(Dtype::F32, vec![4, 2], bytes).unwrap();
    let file = serialize([("x", view(&x)), ("y", view(&y))], None).unwrap();
    std::fs::write(folder.path().join("data.safetensors"), file).unwrap();
    std::fs::write(folder.path().join("spec.toml"), SPEC).unwrap();
    folder
}

const X: [f32; 8] = [0.1, -0.4, 0.9, 0.3, -0.7, 0.2, 0.5, -0.1];

fn runner(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("runner").unwrap();
    command.current_dir(folder).args(arguments);
    command
}

fn records(folder: &Path) -> Vec<Record> {
    read_records(&folder.join("results/small")).unwrap()
}

#[test]
fn a_run_prints_and_writes_its_result() {
    let folder = folder(&X);
    let output = runner(folder.path(), &["spec.toml"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for name in [
        "records.csv",
        "parameters.csv",
        "summary.csv",
        "convergence.svg",
        "convergence.png",
        "manifest.toml",
    ] {
        assert!(
            folder.path().join("results/small").join(name).exists(),
            "{name}"
        );
        let (stem, _) = name.rsplit_once('.').unwrap();
        assert!(text.contains(stem), "{name} is not in {text}");
    }
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with("The trace of the Hessian is 25.379099 (exact, "),
        "{text}"
    );
    assert!(
        text.contains("page     results/small/report.html"),
        "{text}"
    );
    for line in [
        "± 95 %",
        "exact ",
        "hutchinson hmp full ",
        "propagation ",
        "activation separate parameter ",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let rows = records(folder.path());
    assert_eq!(rows.len(), 1 + 3 * 4 + 2 * 2);
    let exact = rows[0].estimate;
    assert!(rows.iter().all(|row| row.exact == Some(exact)));
    let auto = rows
        .iter()
        .filter(|row| row.blocks.as_deref() == Some("parameter"));
    assert!(auto.clone().count() > 0 && auto.clone().all(|row| row.v_batch.is_some()));
}

#[test]
fn columns_are_the_contract() {
    let folder = folder(&X);
    runner(folder.path(), &["spec.toml"]).assert().success();
    let header = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join("results/small").join(name)).unwrap();
        text.lines().next().unwrap().to_string()
    };
    assert_eq!(
        header("records.csv"),
        "experiment,estimator,matrix,blocks,product,probe,stream,V,V_batch,seed,repeat,estimate,std_error,exact,products,seconds,device,dtype,threads,memory,quantity,delta,settings,checkpoint,ci_low,ci_high,interval,stop"
    );
    assert_eq!(
        header("parameters.csv"),
        "experiment,estimator,matrix,blocks,product,probe,stream,V,V_batch,seed,repeat,parameter,numel,estimate,std_error,quantity,delta,settings,checkpoint,ci_low,ci_high"
    );
}

/// The estimates of one key in `parameters.csv` add up to its row in `records.csv`.
#[test]
fn parameters_add_up() {
    let folder = folder(&X);
    runner(folder.path(), &["spec.toml"]).assert().success();
    let path = folder.path().join("results/small/parameters.csv");
    let mut parts: std::collections::HashMap<String, (f64, usize)> = Default::default();
    for row in csv::Reader::from_path(path).unwrap().records() {
        let row = row.unwrap();
        let key = row.iter().take(11).collect::<Vec<_>>().join(",");
        let part = parts.entry(key).or_default();
        part.0 += row[13].parse::<f64>().unwrap();
        part.1 += 1;
    }
    let path = folder.path().join("results/small/records.csv");
    let mut matched = 0;
    for row in csv::Reader::from_path(path).unwrap().records() {
        let row = row.unwrap();
        let key = row.iter().take(11).collect::<Vec<_>>().join(",");
        if let Some((sum, count)) = parts.get(&key) {
            let estimate: f64 = row[11].parse().unwrap();
            assert!(
                (sum - estimate).abs() < 1e-9 * estimate.abs().max(1.0),
                "{key}"
            );
            assert!([1, 4].contains(count), "{key}");
            matched += 1;
        }
    }
    assert!(matched >= 13);
}

/// The manifest is a spec: running it gives the same rows, times aside.
#[test]
fn a_manifest_runs_again() {
    let folder = folder(&X);
    let spec = SPEC.replace(r#", V_batch = "auto""#, "");
    std::fs::write(folder.path().join("spec.toml"), spec).unwrap();
    runner(folder.path(), &["spec.toml"]).assert().success();
    let first = records(folder.path());
    std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
    runner(
        &folder.path().join("elsewhere"),
        &["../results/small/manifest.toml"],
    )
    .assert()
    .success();
    let again = records(&folder.path().join("elsewhere"));
    let timeless = |rows: Vec<Record>| -> Vec<Record> {
        let blank = |row| Record {
            seconds: 0.0,
            memory: None,
            ci_low: None,
            ci_high: None,
            interval: None,
            stop: None,
            ..row
        };
        rows.into_iter().map(blank).collect()
    };
    assert_eq!(timeless(first), timeless(again));
}

#[test]
fn a_result_that_is_nan_is_said_and_kept() {
    let mut x = X;
    // Its square is beyond float32, which an input is not.
    x[3] = 1e30;
    let folder = folder(&x);
    let spec = SPEC.replace("tanh", "softplus");
    std::fs::write(folder.path().join("spec.toml"), spec).unwrap();
    let output = runner(folder.path(), &["spec.toml"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("the estimate is NaN: hutchinson hmp full, V 20, V_batch 4, seed 1"),
        "{errors}"
    );
    let rows = records(folder.path());
    assert!(rows.iter().all(|row| !row.estimate.is_finite()));
    let summary = std::fs::read_to_string(folder.path().join("results/small/summary.csv")).unwrap();
    let row = summary.lines().find(|line| line.contains(",hmp,")).unwrap();
    assert!(
        row.contains(",2,2,NaN,"),
        "two runs, both not finite, and so is the mean: {row}"
    );
    let manifest =
        std::fs::read_to_string(folder.path().join("results/small/manifest.toml")).unwrap();
    assert!(manifest.contains("status = \"non_finite\""));
}

#[test]
fn results_that_cannot_be_written_are_exit_code_3() {
    let folder = folder(&X);
    std::fs::write(
        folder.path().join("results"),
        "a file where a folder is wanted",
    )
    .unwrap();
    let output = runner(folder.path(), &["spec.toml"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("results/small"), "{errors}");
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let folder = folder(&X);
    let output = runner(folder.path(), &["--dry-run", "spec.toml"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "network: 17 parameters",
        "jobs: 11",
        "V_batch = auto",
        "seed 1",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!folder.path().join("results").exists());
}

/// A million samples with 4096 curved entries each, which two of them tell.
#[test]
fn an_exact_trace_of_hours_is_refused_with_its_forecast() {
    let folder = folder(&X);
    let spec = r#"
        data = { source = "synthetic_classification", samples = 1000000, shape = [4], classes = 3, batch = 1000, batches = "all" }
        model = { layers = [
            { kind = "linear", out = 2048 }, { kind = "tanh" }, { kind = "linear", out = 2048 }, { kind = "tanh" },
            { kind = "linear", out = 3 },
        ] }
        loss = { kind = "cross_entropy" }
        estimator = [{ kind = "exact" }]
    "#;
    std::fs::write(folder.path().join("hours.toml"), spec).unwrap();
    let output = runner(folder.path(), &["hours.toml"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in ["predicted to last about", "of it exact", "--yes"] {
        assert!(errors.contains(part), "{part} is not in {errors}");
    }
}

/// What depends on the machine or the moment, blanked: times with their unit.
fn settled(text: &str) -> String {
    let mut settled = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let unit = |word: &&str| ["s", "ms", "µs"].contains(&word.trim_end_matches(")."));
        let timed = |i: usize| words.get(i + 1).is_some_and(unit);
        let is_unit = |i: usize| i > 0 && words[i - 1].parse::<f64>().is_ok() && timed(i - 1);
        let kept = (0..words.len()).filter(|&i| !is_unit(i));
        let kept = kept.map(|i| match words[i].parse::<f64>() {
            Ok(_) if timed(i) => "[TIME]",
            _ => words[i],
        });
        settled += &(kept.collect::<Vec<_>>().join(" ") + "\n");
    }
    settled
}

/// Compares with a file in `tests/output/`; `INSTA_UPDATE=always` writes it anew.
fn shown(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "output",
        omit_expression => true,
        prepend_module_to_snapshot => false,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn help_is_short_and_has_examples() {
    let folder = folder(&X);
    let output = runner(folder.path(), &["--help"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    shown("help", &text);
}

#[test]
fn without_a_terminal_progress_is_a_line_per_job() {
    let folder = folder(&X);
    let options = [
        "spec.toml",
        "--threads",
        "1",
        "--set",
        "sampling.V_batch=[5]",
    ];
    let mut command = runner(folder.path(), &options);
    let output = command
        .args(["--set", "estimator[3].V_batch=[2]"])
        .output()
        .unwrap();
    shown(
        "progress",
        &settled(&String::from_utf8(output.stderr).unwrap()),
    );
    let table = String::from_utf8(output.stdout).unwrap();
    // What is aligned with times is not, once they are blanked.
    let spaced = |line: &str| {
        let words: Vec<&str> = line
            .split("  ")
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .collect();
        words.join("  ")
    };
    let table: Vec<String> = settled(&table).lines().map(spaced).collect();
    shown("table", &table.join("\n"));
    let again = runner(folder.path(), &options)
        .arg("--quiet")
        .output()
        .unwrap();
    assert_eq!((again.stdout, again.stderr), (Vec::new(), Vec::new()));
}
