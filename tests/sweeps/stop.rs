//! Ended on purpose, by a second runner, or by a changed mind.

use super::{MANY, Sweep, assert_same, end_of, files, timeless};
use curvature_runner::output::Record;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

fn lines_of(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with('[')).count()
}

/// Long enough to be met under way: 200 jobs of about a hundredth of a second.
fn long() -> String {
    MANY.replace("V = [5, 20, 60]", "V = [100]")
        .replace("count = 12", "count = 40")
}

#[test]
fn ctrl_c_ends_in_good_order_and_the_rest_can_be_run() {
    let sweep = Sweep::new(&long());
    let mut child = sweep.spawn();
    sweep.wait_for_rows(&mut child);
    signal(&child, "-INT");
    let (code, text) = end_of(child);
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("warning: interrupted: "), "{text}");
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

/// An exact trace, and a job of weeks.
const WEEKS: &str = r#"
kind = "convergence"
sampling = { V = [100_000_000_000], V_batch = [10], seeds = [0] }
estimator = [{ kind = "exact" }, { kind = "hutchinson", blocks = "full", product = "hmp" }]
"#;

/// A single call of libtorch that takes far longer than a signal may: a basis of 36 million entries
/// is made orthogonal on one thread.
const ONE_CALL: &str = r#"
name = "sweep"
kind = "convergence"
device = "cpu"
threads = 1
problem = { kind = "matrix", n = 6000, spectra = [{ kind = "flat" }] }
sampling = { V = [10], V_batch = [10], seeds = [0] }
estimator = [{ kind = "hutchinson" }]
"#;

/// Waits until this runner has the folder, and the short job is done.
fn wait_for_the_long_job(sweep: &Sweep, child: &mut Child) {
    let holder = format!("{} on ", child.id());
    let lock = sweep.results().join("lock");
    let begun = || std::fs::read_to_string(&lock).is_ok_and(|text| text.starts_with(&holder));
    let ended = sweep.wait_until(child, || begun() && sweep.journal().ends_with(b"\n"));
    assert!(!ended, "a job of weeks has ended");
}

fn failures(sweep: &Sweep) -> bool {
    sweep.results().join("failures.csv").exists()
}

fn is_interrupted(sweep: &Sweep) -> bool {
    let manifest = std::fs::read_to_string(sweep.results().join("manifest.toml")).unwrap();
    manifest.contains("status = \"interrupted\"")
}

/// The job under way is lost, and nothing else.
#[test]
fn one_signal_ends_a_long_job() {
    for name in ["-INT", "-TERM"] {
        let sweep = Sweep::new(WEEKS);
        let mut child = sweep.spawn_with(&["--yes"]);
        wait_for_the_long_job(&sweep, &mut child);
        signal(&child, name);
        let (code, text) = end_of(child);
        assert_eq!(code, Some(130), "{text}");
        assert_eq!(timeless(&sweep.results()).len(), 1);
        assert!(sweep.results().join("report.html").exists(), "{text}");
        assert!(!failures(&sweep) && is_interrupted(&sweep), "{text}");
    }
}

/// No row of failures.csv tells of what the end of the process does to a job.
#[test]
fn two_signals_leave_no_failure_and_the_job_is_run_again() {
    let sweep = Sweep::new(WEEKS);
    let interrupt = |signals: usize| {
        let mut child = sweep.spawn_with(&["--yes"]);
        wait_for_the_long_job(&sweep, &mut child);
        (0..signals).for_each(|_| signal(&child, "-INT"));
        let (code, text) = end_of(child);
        assert_eq!(code, Some(130), "{text}");
        assert!(!failures(&sweep), "{text}");
        let journal = String::from_utf8(sweep.journal()).unwrap();
        assert_eq!(journal.lines().count(), 1, "{journal}");
        text
    };
    (0..3).for_each(|_| drop(interrupt(2)));
    // Two signals may end a run before it has said anything; one does not.
    let text = interrupt(1);
    assert!(text.contains("1 jobs are done already, 1 to run"), "{text}");
}

/// On a terminal, which `script` makes one of, the user is asked.
#[test]
fn a_run_of_weeks_asks_on_a_terminal() {
    let sweep = Sweep::new(WEEKS);
    let runner = assert_cmd::cargo::cargo_bin("runner");
    let command = format!("{} spec.toml", runner.display());
    let child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(&sweep.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return println!("skipped: there is no program `script`");
    };
    child.stdin.take().unwrap().write_all(b"n\n").unwrap();
    let mut text = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut text).unwrap();
    let (code, _) = end_of(child);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("run it all the same? [y/N]"), "{text}");
    assert!(!sweep.results().exists(), "{text}");
}

#[test]
fn one_signal_ends_a_single_call_of_libtorch() {
    let sweep = Sweep::new("");
    std::fs::write(sweep.0.path().join("spec.toml"), ONE_CALL).unwrap();
    let mut child = sweep.spawn();
    let begun = || sweep.results().join("records.csv").exists();
    sweep.wait_until(&mut child, begun);
    signal(&child, "-INT");
    let (code, text) = end_of(child);
    assert_eq!(code, Some(130), "{text}");
    assert!(!failures(&sweep) && is_interrupted(&sweep), "{text}");
}

#[test]
fn one_signal_ends_a_dry_run() {
    let sweep = Sweep::new("");
    std::fs::write(sweep.0.path().join("spec.toml"), ONE_CALL).unwrap();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("runner"))
        .current_dir(&sweep.0)
        .args(["--dry-run", "spec.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Signals are listened for before anything is printed.
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    signal(&child, "-INT");
    let (code, text) = end_of(child);
    assert_eq!(code, Some(130), "{text}");
    assert!(!sweep.results().exists());
}

#[test]
fn a_second_runner_is_refused_and_a_stale_lock_is_not_in_the_way() {
    let sweep = Sweep::new(&long());
    let mut child = sweep.spawn();
    sweep.wait_for_rows(&mut child);
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
