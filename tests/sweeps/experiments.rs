//! The experiments of the repository in parts: minutes of work, so by demand alone (CONTRIBUTING.md).

use super::assert_same;
use super::kill::Random;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const EXPERIMENTS: [&str; 4] = ["convergence_philox", "panel", "trajectory", "layers"];

/// In 1 to 16 parts, in any order, every third killed at a random instant before it is run to its end, and
/// every third run twice: the merged records are those of the undivided run.
#[test]
#[ignore = "minutes of work"]
fn experiments_in_any_number_of_parts_are_as_undivided() {
    let mut random = Random(5);
    for name in EXPERIMENTS {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), name, &["--out", "whole"]);
        for count in [1, 2, 3, 7, 16] {
            let out = format!("in_{count}");
            let mut parts: Vec<usize> = (1..=count).collect();
            parts.sort_by_key(|_| (random.unit() * 1e9) as u64);
            let mut killed = 0;
            for (place, part) in parts.into_iter().enumerate() {
                let part = format!("{part}/{count}");
                let arguments = ["--shard", &part, "--out", &out];
                if place % 3 == 0 {
                    let mut child = runner(folder.path(), name, &arguments).spawn().unwrap();
                    std::thread::sleep(Duration::from_secs_f64(2.0 * random.unit()));
                    killed += usize::from(child.try_wait().unwrap().is_none());
                    let _ = child.kill();
                    child.wait().unwrap();
                }
                for _ in 0..=usize::from(place % 3 == 1) {
                    run(folder.path(), name, &arguments);
                }
            }
            let merged = Command::new(assert_cmd::cargo::cargo_bin("runner"))
                .current_dir(folder.path())
                .args(["merge", &out])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&merged.stderr);
            assert!(merged.status.success(), "{name} in {count}: {said}");
            assert_same(&folder.path().join(out), &folder.path().join("whole"));
            println!("{name} in {count} parts, {killed} of them killed: the same records");
        }
    }
}

fn runner(folder: &Path, name: &str, arguments: &[&str]) -> Command {
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut runner = Command::new(assert_cmd::cargo::cargo_bin("runner"));
    runner
        .arg(experiments.join(format!("{name}.toml")))
        .args(arguments)
        .args(["--device", "cpu", "-q"])
        .current_dir(folder);
    runner
}

fn run(folder: &Path, name: &str, arguments: &[&str]) {
    let status = runner(folder, name, arguments).status().unwrap();
    assert!(status.success(), "{name} {arguments:?}: {status}");
}
