//! Disks that are full and folders that cannot be written.

use super::{MANY, Sweep, assert_same, timeless};
use curvature_runner::output::Record;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

fn runner() -> std::path::PathBuf {
    assert_cmd::cargo::cargo_bin("runner")
}

/// What a disk that filled up has left is right, and the rest can be run.
fn check(sweep: &Sweep, output: &Output, error: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("cannot write ") && text.contains(error),
        "{text}"
    );
    let undisturbed = Sweep::new(MANY);
    undisturbed.run(&["-q"]);
    let expected = timeless(&undisturbed.results());
    let rows = timeless(&sweep.results());
    assert!(
        !rows.is_empty() && rows.len() < expected.len(),
        "{} rows",
        rows.len()
    );
    let without_exact = |row: &Record| Record {
        exact: None,
        ..row.clone()
    };
    let expected: Vec<Record> = expected.iter().map(without_exact).collect();
    assert!(
        rows.iter()
            .all(|row| expected.contains(&without_exact(row)))
    );
    for entry in std::fs::read_dir(sweep.results()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().ends_with(".partial"), "{name:?}");
    }
    assert_eq!(sweep.run(&["-q"]).0, 0);
    assert_same(&sweep.results(), &undisturbed.results());
}

#[test]
fn a_file_system_that_is_full() {
    let sweep = Sweep::new(MANY);
    // The file system is gone with the process that mounted it: its files are copied out.
    let script = r#"
        mkdir full && mount -t tmpfs -o size=64k none full || exit 77
        "$0" spec.toml --out full/sweep
        code=$?
        mkdir -p results && cp -r full/sweep results/
        exit $code
    "#;
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script])
        .arg(runner())
        .current_dir(&sweep.0)
        .output();
    match output {
        Ok(output) if ![Some(77), Some(1)].contains(&output.status.code()) => {
            check(&sweep, &output, "No space left on device");
        }
        other => println!("skipped: this user may not mount a file system ({other:?})"),
    }
}

#[test]
fn a_file_that_may_not_grow() {
    let sweep = Sweep::new(MANY);
    let output = Command::new("bash")
        .args(["-c", "ulimit -f 24 && exec \"$0\" spec.toml"])
        .arg(runner())
        .current_dir(&sweep.0)
        .output()
        .unwrap();
    check(&sweep, &output, "File too large");
}

/// Root may write everywhere, so that root runs this as nobody.
#[test]
fn a_folder_that_may_not_be_written() {
    let sweep = Sweep::new(MANY);
    sweep.run(&["-q"]);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let before = timeless(&sweep.results());
    mode(sweep.0.path(), 0o755);
    mode(&sweep.results(), 0o555);
    let mut command = Command::new(runner());
    // Who runs this owns what it makes.
    let root =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(sweep.0.path()).unwrap()) == 0;
    if root {
        command.uid(65534);
    }
    let output = command
        .args(["spec.toml", "--fresh"])
        .current_dir(&sweep.0)
        .output();
    mode(&sweep.results(), 0o755);
    let output = match output {
        Ok(output) => output,
        Err(error) if root => return println!("skipped: nobody may not run the runner ({error})"),
        Err(error) => panic!("{error}"),
    };
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("results/sweep") && text.contains("Permission denied"),
        "{text}"
    );
    assert_eq!(timeless(&sweep.results()), before);
}
