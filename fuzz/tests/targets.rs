//! Every fuzz target builds and runs: once each, so that none rots between long runs.

use std::process::Command;

#[test]
fn every_target_runs() {
    let folder = tempfile::tempdir().expect("a folder for the input");
    let input = folder.path().join("input");
    std::fs::write(&input, "name = 'fuzz'").expect("a small file");
    for target in [
        env!("CARGO_BIN_EXE_spec"),
        env!("CARGO_BIN_EXE_idx"),
        env!("CARGO_BIN_EXE_safetensors"),
    ] {
        let output = Command::new(target)
            .arg(&input)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("Executed"),
            "{target}: {said}"
        );
    }
}
