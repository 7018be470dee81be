//! `runner verify SPEC`.

use super::{SMALL, files, runner};

#[test]
fn every_way_agrees_on_a_network() {
    let folder = tempfile::tempdir().unwrap();
    files::write_data(&folder.path().join("data"));
    let curved = SMALL.replace("\"tanh\"", "\"sigmoid\"");
    std::fs::write(folder.path().join("small.toml"), curved).unwrap();
    let output = runner(folder.path(), &["verify", "small.toml"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}{error}");
    for line in [
        "exact, 0.weight ",
        "hutchinson hmp full ",
        "hutchinson forward parameter ",
        "activation ",
        "propagation ",
        "autodiff, same probes",
        "exact, in standard errors",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(!text.contains("DISAGREES"), "{text}");
    assert!(!folder.path().join("results").exists());
}

#[test]
fn a_mistake_is_shown_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let spec = SMALL.replace("out = 4", "out = -4");
    files::write_data(&folder.path().join("data"));
    std::fs::write(folder.path().join("small.toml"), spec).unwrap();
    let output = runner(folder.path(), &["verify", "small.toml"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && text.contains("out = -4"),
        "{text}"
    );
}
