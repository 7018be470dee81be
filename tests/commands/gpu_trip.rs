//! The script that takes the programs to a machine with a GPU, gone through without one.

use std::path::Path;
use std::process::Command;

/// A folder as `gpu.sh pack` leaves it, and the libraries of a PyTorch, without which `run` ends.
fn packed(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let trip = folder.join("trip");
    std::fs::create_dir_all(folder.join("python/torch")).unwrap();
    std::fs::write(folder.join("python/torch/__init__.py"), "").unwrap();
    std::fs::create_dir(&trip).unwrap();
    std::fs::copy(root.join("scripts/gpu.sh"), trip.join("gpu.sh")).unwrap();
    for (place, target) in [
        ("python/torch/lib", Path::new(env!("LIBTORCH")).join("lib")),
        ("trip/experiments", root.join("experiments")),
        ("trip/data", root.join("data")),
        ("trip/runner", env!("CARGO_BIN_EXE_runner").into()),
    ] {
        std::os::unix::fs::symlink(target, folder.join(place)).unwrap();
    }
}

fn trip(folder: &Path, steps: &str) -> (bool, String) {
    let output = Command::new("trip/gpu.sh")
        .args(["run", "results"])
        .current_dir(folder)
        .env("PYTHONPATH", folder.join("python"))
        .envs([("DEVICE", "cpu"), ("QUICK", "1"), ("STEPS", steps)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

/// Called by a relative path from another folder, it writes where it was called.
#[test]
fn a_trip_brings_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    packed(folder.path());
    let (success, said) = trip(folder.path(), "device smoke");
    assert!(success, "{said}");
    let results = folder.path().join("results");
    let status = std::fs::read_to_string(results.join("status.txt")).unwrap();
    let codes = status.matches("exit code 0").count();
    assert_eq!(codes, 2, "{status}");
    assert!(results.join("smoke/records.csv").exists());
    assert!(folder.path().join("results.tar.gz").exists());
}

/// A step that fails does not end the others, and is not forgotten.
#[test]
fn a_trip_goes_on_after_a_step_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    packed(folder.path());
    let (success, said) = trip(folder.path(), "no_such_spec device");
    assert!(!success, "{said}");
    assert!(said.contains("device: exit code 0"), "{said}");
}
