//! Parts of an experiment, run apart and put together.

use super::kill::Random;
use super::{MANY, Sweep, assert_same};
use assert_cmd::Command;
use std::collections::HashSet;
use std::path::Path;

/// Jobs of every kind, few of each: sums over batches, and what needs whole products.
pub const FEW: &str = r#"
kind = "convergence"
sampling = { V = [5, 20], V_batch = [4], seeds = { from = 0, count = 3 } }
estimator = [
  { kind = "hutchinson", blocks = "parameter", product = "hmp" },
  { kind = "exact", diagonal = true },
  { kind = "exact", matrix = "ggn" },
  { kind = "propagation" },
  { kind = "activation", seeds = [1] },
  { kind = "frobenius", seeds = [1] },
  { kind = "xtrace", seeds = [7] },
]
"#;

/// A sweep over data in six batches.
pub fn in_batches(spec: &str) -> Sweep {
    let sweep = Sweep::new(spec);
    let path = sweep.0.path().join("spec.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let cut = r#"path = "data.safetensors", batch = 1, batches = "all""#;
    std::fs::write(path, text.replace(r#"path = "data.safetensors""#, cut)).unwrap();
    sweep
}

/// The lines of a part's journal that are pieces of jobs.
fn pieces(folder: &Path, part: &str) -> usize {
    let journal = folder.join("parts").join(part).join("journal.jsonl");
    let journal = std::fs::read_to_string(journal).unwrap();
    journal.matches("\"piece\":").count()
}

fn merge(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("runner").unwrap();
    let command = command.current_dir(folder).arg("merge").args(arguments);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().expect("an exit code"), text)
}

/// Runs some parts of a sweep, to their end.
fn run_parts(sweep: &Sweep, parts: impl Iterator<Item = usize>, count: usize) {
    for part in parts {
        let (code, text) = sweep.run(&["-q", "--shard", &format!("{part}/{count}")]);
        assert_eq!(code, 0, "{text}");
    }
}

fn undivided() -> Sweep {
    let whole = in_batches(FEW);
    assert_eq!(whole.run(&["-q"]).0, 0);
    whole
}

#[test]
fn parts_in_any_order_make_the_whole() {
    let whole = undivided();
    for count in [1, 3, 16] {
        let sweep = in_batches(FEW);
        let later = count / 2;
        run_parts(&sweep, (later + 1..=count).chain(1..=later), count);
        let (code, text) = merge(sweep.0.path(), &["results/sweep"]);
        assert_eq!(code, 0, "{text}");
        assert_same(&sweep.results(), &whole.results());
        let files = |sweep: &Sweep| {
            let diagonals = std::fs::read_dir(sweep.results().join("diagonals")).unwrap();
            diagonals.count()
        };
        assert_eq!(files(&sweep), files(&whole));
        let manifest = std::fs::read_to_string(sweep.results().join("manifest.toml")).unwrap();
        assert!(manifest.contains("status = \"complete\""), "{manifest}");
        assert_eq!(manifest.matches("[[manifest.parts]]").count(), count);
    }
}

/// Each part with a folder of its own, one of them twice and one killed on its way.
#[test]
fn parts_in_folders_of_their_own_that_were_killed_and_repeated_make_the_whole() {
    let sweep = in_batches(FEW);
    let of = |part: &'static str| {
        [
            "--shard",
            part,
            "--out",
            ["a", "b"][usize::from(part == "2/2")],
        ]
    };
    for _ in 0..3 {
        let mut child = sweep.spawn_with(&of("1/2"));
        let journal = sweep.0.path().join("a/parts/1-of-2/journal.jsonl");
        sweep.wait_until(&mut child, || {
            std::fs::metadata(&journal).is_ok_and(|file| file.len() > 0)
        });
        let _ = child.kill();
        let _ = child.wait();
    }
    for part in ["2/2", "1/2", "2/2"] {
        let (code, text) = sweep.run(&of(part));
        assert_eq!(code, 0, "{text}");
    }
    let (code, text) = merge(sweep.0.path(), &["a", "b", "--out", "c"]);
    assert_eq!(code, 0, "{text}");
    assert_same(&sweep.0.path().join("c"), &undivided().results());
}

#[test]
fn what_is_missing_is_told_with_the_command_that_runs_it() {
    let sweep = in_batches(FEW);
    run_parts(&sweep, 1..=1, 2);
    let (code, text) = merge(sweep.0.path(), &["results/sweep"]);
    assert_eq!(code, 1, "{text}");
    let told = "runner results/sweep/manifest.toml --shard 2/2 --out results/sweep";
    assert!(text.contains("part 2/2: ") && text.contains(told), "{text}");
    let mut runner = Command::cargo_bin("runner").unwrap();
    let arguments = told.split(' ').skip(1);
    runner
        .current_dir(sweep.0.path())
        .args(arguments)
        .assert()
        .success();
    let (code, text) = merge(sweep.0.path(), &["results/sweep"]);
    assert_eq!(code, 0, "{text}");
    assert_same(&sweep.results(), &undivided().results());
}

#[test]
fn parts_of_other_experiments_are_refused() {
    let sweep = Sweep::new(FEW);
    run_parts(&sweep, 1..=1, 2);
    sweep.respecify(&FEW.replace("[5, 20]", "[5, 30]"));
    run_parts(&sweep, 2..=2, 2);
    let (code, text) = merge(sweep.0.path(), &["results/sweep"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("found sampling.V = "), "{text}");
    let (code, text) = merge(sweep.0.path(), &["results"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("found no part of an experiment"), "{text}");
}

/// `sbatch --array=0-1` needs no option.
#[test]
fn a_task_of_a_job_array_runs_its_part() {
    let sweep = in_batches(FEW);
    for task in ["0", "1"] {
        let mut runner = sweep.runner(&[]);
        for (name, value) in [("ID", task), ("MIN", "0"), ("COUNT", "2"), ("STEP", "1")] {
            runner.env(format!("SLURM_ARRAY_TASK_{name}"), value);
        }
        let output = runner.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(text.contains("as SLURM_ARRAY_TASK_ID says"), "{text}");
    }
    let (code, text) = merge(sweep.0.path(), &["results/sweep"]);
    assert_eq!(code, 0, "{text}");
    assert_same(&sweep.results(), &undivided().results());
    let status = Command::cargo_bin("runner").unwrap();
    let status = { status }
        .current_dir(sweep.0.path())
        .args(["status", "results/sweep"])
        .output();
    let said = String::from_utf8(status.unwrap().stdout).unwrap();
    assert!(said.contains("2/2") && said.contains("ended"), "{said}");
}

/// One job alone is shared by its batches, on all threads; a run that was not cut takes up the pieces.
#[test]
fn a_single_job_is_shared_by_its_batches() {
    let spec = r#"
        kind = "convergence"
        threads = 2
        sampling = { V = [3, 8], V_batch = [4] }
        estimator = [{ kind = "propagation" }]
    "#;
    let whole = in_batches(spec);
    assert_eq!(whole.run(&["-q"]).0, 0);
    let sweep = in_batches(spec);
    run_parts(&sweep, 1..=4, 4);
    let done = [1, 2, 3, 4].map(|part| pieces(&sweep.results(), &format!("{part}-of-4")));
    assert_eq!(done, [2, 2, 1, 1]);
    // Again: nothing is left to be done.
    run_parts(&sweep, 1..=4, 4);
    let again = [1, 2, 3, 4].map(|part| pieces(&sweep.results(), &format!("{part}-of-4")));
    assert_eq!(again, done);
    let part = sweep.results().join("parts/1-of-4/journal.jsonl");
    let part = std::fs::read_to_string(part).unwrap();
    let (code, text) = merge(sweep.0.path(), &["results/sweep"]);
    assert_eq!(code, 0, "{text}");
    assert_same(&sweep.results(), &whole.results());

    // A run that was not cut takes up the pieces that are there.
    let other = in_batches(spec);
    std::fs::create_dir_all(other.results()).unwrap();
    std::fs::write(other.results().join("journal.jsonl"), &part).unwrap();
    assert_eq!(other.run(&["-q"]).0, 0);
    assert_same(&other.results(), &whole.results());
    // It does not compute them again: one that is made up shows.
    let numbers = part.split("\"numbers\":\"").nth(1).unwrap();
    let numbers = &numbers[..numbers.find('"').unwrap()];
    let made_up: String = numbers
        .chars()
        .map(|c| if c == '=' { '=' } else { 'A' })
        .collect();
    let zeros = part.replace(numbers, &made_up);
    std::fs::remove_dir_all(other.results()).unwrap();
    std::fs::create_dir_all(other.results()).unwrap();
    std::fs::write(other.results().join("journal.jsonl"), zeros).unwrap();
    assert_eq!(other.run(&["-q"]).0, 0);
    let (found, expected) = (
        super::timeless(&other.results()),
        super::timeless(&whole.results()),
    );
    assert_ne!(found[0].estimate, expected[0].estimate);
}

/// However the machines differ: what is merged is of one V_batch.
#[test]
fn parts_agree_on_an_automatic_v_batch() {
    let spec = r#"
        kind = "convergence"
        sampling = { V = [200], V_batch = "auto", seeds = { from = 0, count = 4 } }
        estimator = [{ kind = "hutchinson", blocks = "full" }]
    "#;
    let sweep = Sweep::new(spec);
    run_parts(&sweep, 1..=2, 2);
    let (code, text) = merge(sweep.0.path(), &["results/sweep"]);
    assert_eq!(code, 0, "{text}");
    let rows = super::timeless(&sweep.results());
    assert!(
        rows.len() == 4 && rows.iter().all(|row| row.v_batch == Some(32)),
        "{rows:?}"
    );
}

/// `experiments/layers.toml`: sixty batches of a thousand, fifteen for each of four machines.
#[test]
fn the_whole_of_mnist_is_shared_by_four() {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/layers.toml");
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut runner = Command::cargo_bin("runner").unwrap();
        let runner = runner
            .arg(&spec)
            .args(arguments)
            .args(["--device", "cpu", "-q"]);
        runner.current_dir(&folder).assert().success();
    };
    run(&["--out", "whole"]);
    for part in ["4/4", "2/4", "1/4", "3/4"] {
        run(&["--shard", part, "--out", "parts"]);
    }
    let at = |name: &str| folder.path().join(name);
    for part in 1..=4 {
        assert_eq!(pieces(&at("parts"), &format!("{part}-of-4")), 15);
    }
    let (code, text) = merge(folder.path(), &["parts"]);
    assert_eq!(code, 0, "{text}");
    assert_same(&at("parts"), &at("whole"));
}

/// SIGKILL at random instants of parts that share a folder: nothing is lost, nothing doubled. How often
/// is said by the variable KILLS (CONTRIBUTING.md).
#[test]
fn parts_on_a_shared_folder_survive_kills() {
    let kills = std::env::var("KILLS").map_or(8, |text| text.parse().expect("KILLS is a number"));
    let whole = in_batches(MANY);
    assert_eq!(whole.run(&["-q"]).0, 0);
    let mut sweep = in_batches(MANY);
    let (mut random, mut killed, mut rounds) = (Random(11), 0, 0);
    let mut open: Vec<usize> = vec![1, 2, 3];
    // Who is slow to look may find a part at its end: so many more are tried.
    for _ in 0..3 * kills {
        if killed == kills {
            break;
        }
        let part = open[(random.unit() * open.len() as f64) as usize];
        let folder = sweep.results().join(format!("parts/{part}-of-3"));
        let held = || std::fs::read_to_string(folder.join("journal.jsonl")).unwrap_or_default();
        let before = held();
        // While it sets up, or among the next few lines.
        let bytes = before.len() + (random.unit() * 4000.0) as usize;
        let mut child = sweep.spawn_with(&["-q", "--shard", &format!("{part}/3")]);
        let there = || folder.join("lock").exists() && held().len() >= bytes;
        if sweep.wait_until(&mut child, there) {
            open.retain(|&other| other != part);
            if open.is_empty() {
                check_merged(&sweep, &whole);
                (sweep, open, rounds) = (in_batches(MANY), vec![1, 2, 3], rounds + 1);
            }
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        let after = held();
        let lines = |text: &str| text.rfind('\n').map_or(0, |end| end + 1);
        let kept = &before[..lines(&before)];
        assert!(after.starts_with(kept), "lines of part {part} are lost");
        let keys = after[..lines(&after)].lines().map(key);
        let mut distinct = HashSet::new();
        keys.for_each(|key| assert!(distinct.insert(key), "part {part} has a line twice"));
    }
    run_parts(&sweep, open.into_iter(), 3);
    check_merged(&sweep, &whole);
    println!("{killed} kills, {} times merged", rounds + 1);
    assert!(killed > 0);
}

fn check_merged(sweep: &Sweep, whole: &Sweep) {
    let (code, text) = merge(sweep.0.path(), &["results/sweep"]);
    assert_eq!(code, 0, "{text}");
    assert_same(&sweep.results(), &whole.results());
}

/// The job that a line of a journal is about, and which piece of it.
fn key(line: &str) -> (String, Option<u64>) {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let job = line["key"].as_str().unwrap().to_string();
    (job, line["piece"].as_u64())
}
