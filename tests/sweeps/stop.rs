//! Ended on purpose, by a second runner, or by a changed mind.

use super::{MANY, Sweep, assert_same, files, timeless};
use curvature_runner::output::Record;
use std::process::{Child, Command};

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

fn lines_of(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with('[')).count()
}

/// Long enough to be met under way: 40 jobs of a few hundredths of a second.
fn long() -> String {
    MANY.replace("V = [5, 20, 60]", "V = [400]")
        .replace("count = 12", "count = 40")
}

#[test]
fn ctrl_c_ends_in_good_order_and_the_rest_can_be_run() {
    let sweep = Sweep::new(&long());
    let child = sweep.spawn();
    sweep.wait_for_rows();
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(
        text.contains("warning: interrupted: what is under way is finished first"),
        "{text}"
    );
    for name in ["summary.csv", "convergence.svg", "convergence.png"] {
        assert!(sweep.results().join(name).exists(), "{name}");
    }
    assert!(!sweep.results().join("lock").exists());
    let manifest = std::fs::read_to_string(sweep.results().join("manifest.toml")).unwrap();
    assert!(manifest.contains("status = \"interrupted\""), "{manifest}");

    let done = lines_of(&text);
    let (code, text) = sweep.run(&[]);
    assert_eq!(code, 0, "{text}");
    let jobs = 5 * 40 + 1;
    let said = format!("{done} jobs are done already, {} to run", jobs - done);
    assert!(text.contains(&said), "{said}: {text}");
    assert_eq!(lines_of(&text), jobs - done);
    let undisturbed = Sweep::new(&long());
    undisturbed.run(&["-q"]);
    assert_same(&sweep.results(), &undisturbed.results());
}

#[test]
fn a_second_runner_is_refused_and_a_stale_lock_is_not_in_the_way() {
    let sweep = Sweep::new(&long());
    let mut child = sweep.spawn();
    sweep.wait_for_rows();
    let (code, text) = sweep.run(&[]);
    assert_eq!(code, 3, "{text}");
    let holder = format!(
        "results/sweep is being written by process {} on ",
        child.id()
    );
    assert!(text.contains(&holder), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(sweep.results().join("lock").exists(), "a stale one");
    let (code, text) = sweep.run(&[]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_changed_spec_runs_only_what_changed() {
    let sweep = Sweep::new(MANY);
    assert_eq!(lines_of(&sweep.run(&[]).1), 5 * 12 + 1);
    let (code, text) = sweep.run(&[]);
    assert_eq!((code, lines_of(&text)), (0, 0));
    assert!(
        text.contains("61 jobs are done already, 0 to run"),
        "{text}"
    );

    // Two seeds more for each of five estimators, and a comment.
    sweep.respecify(&(MANY.replace("count = 12", "count = 14") + "# more seeds\n"));
    let (_, text) = sweep.run(&[]);
    assert_eq!(lines_of(&text), 10, "{text}");

    // Without one of them: nothing to run, and its rows are gone.
    let fewer = MANY.replace("{ kind = \"propagation\" },", "");
    sweep.respecify(&fewer);
    let (_, text) = sweep.run(&[]);
    assert_eq!(lines_of(&text), 0, "{text}");
    assert!(
        timeless(&sweep.results())
            .iter()
            .all(|row| row.estimator != "propagation")
    );
    let undisturbed = Sweep::new(&fewer);
    undisturbed.run(&["-q"]);
    assert_same(&sweep.results(), &undisturbed.results());

    // Other data are another problem; --fresh runs all again.
    let (_, text) = sweep.run(&["--set", "data.batch=5"]);
    assert_eq!(lines_of(&text), 4 * 12 + 1, "{text}");
    let (_, text) = sweep.run(&["--fresh"]);
    assert_eq!(lines_of(&text), 4 * 12 + 1, "{text}");
}

/// What is left out by --only is not lost, and the exact trace reaches rows of earlier runs.
#[test]
fn only_runs_some_and_keeps_the_others() {
    let sweep = Sweep::new(MANY);
    let (_, text) = sweep.run(&["--only", "propagation", "--only", "hutchinson hmp"]);
    assert_eq!(lines_of(&text), 24, "{text}");
    let rows = timeless(&sweep.results());
    assert!(rows.len() == 72 && rows.iter().all(|row| row.exact.is_none()));
    let (_, text) = sweep.run(&["--only", "exact"]);
    assert_eq!(lines_of(&text), 1, "{text}");
    let rows = timeless(&sweep.results());
    assert!(rows.len() == 73 && rows.iter().all(|row| row.exact.is_some()));
    sweep.run(&["-q"]);
    let undisturbed = Sweep::new(MANY);
    undisturbed.run(&["-q"]);
    assert_same(&sweep.results(), &undisturbed.results());
}

/// Every checkpoint has an exact trace of its own, and one more is all that is run.
#[test]
fn a_checkpoint_more_runs_only_what_is_new() {
    let sweep = Sweep::new("");
    let weights = |name: &str, x: f32| {
        let numbers = |count: usize| (0..count).flat_map(move |i| (x * i as f32).to_le_bytes());
        let entry = |name, shape: &[usize]| {
            let bytes = numbers(shape.iter().product()).collect();
            (name, safetensors::Dtype::F32, shape.to_vec(), bytes)
        };
        let file = files::safetensors(&[entry("0.weight", &[3, 3]), entry("0.bias", &[3])]);
        std::fs::write(sweep.0.path().join(name), file).unwrap();
    };
    weights("first.safetensors", 0.25);
    weights("second.safetensors", -0.5);
    let spec = |weights: &str| {
        format!(
            r#"
            name = "sweep"
            kind = "convergence"
            device = "cpu"
            data = {{ source = "safetensors", path = "data.safetensors" }}
            model = {{ layers = [{{ kind = "linear", out = 3 }}], weights = {weights} }}
            loss = {{ kind = "cross_entropy" }}
            sampling = {{ V = [10], V_batch = [5], seeds = [0, 1] }}
            estimator = [{{ kind = "exact" }}, {{ kind = "propagation" }}]
            "#
        )
    };
    let path = sweep.0.path().join("spec.toml");
    std::fs::write(&path, spec("[\"first.safetensors\"]")).unwrap();
    assert_eq!(lines_of(&sweep.run(&[]).1), 3);
    let both = spec("[\"first.safetensors\", \"second.safetensors\"]");
    std::fs::write(&path, both).unwrap();
    let (_, text) = sweep.run(&[]);
    assert!([3, 6].contains(&lines_of(&text)), "{text}");
    let rows = timeless(&sweep.results());
    assert_eq!(rows.len(), 6);
    let exact = |checkpoint: &Option<String>| {
        let of = |row: &&Record| row.estimator == "exact" && row.checkpoint == *checkpoint;
        rows.iter().find(of).map(|row| row.estimate)
    };
    assert!(
        rows.iter()
            .all(|row| row.exact.is_some() && row.exact == exact(&row.checkpoint))
    );
    assert_ne!(exact(&rows[0].checkpoint), exact(&rows[5].checkpoint));
}
