//! `runner verify SPEC`.

use super::{SMALL, files, runner};

fn verify(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    files::write_data(&folder.path().join("data"));
    let curved = SMALL.replace("\"tanh\"", "\"sigmoid\"");
    std::fs::write(folder.path().join("small.toml"), curved).unwrap();
    let arguments = [&["verify", "small.toml"], arguments].concat();
    let output = runner(folder.path(), &arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}{error}");
    assert!(!text.contains("DISAGREE"), "{text}");
    assert!(!folder.path().join("results").exists());
    text
}

/// The spec's estimators, each in a line or two, and nothing that the spec does not ask for.
#[test]
fn the_estimators_of_a_spec_are_verified() {
    let text = verify(&[]);
    for line in [
        "exact ",
        "second derivatives by autodiff",
        "hutchinson forward parameter ",
        "hutchinson hmp full ",
        "autodiff, same probes",
        "propagation ",
        "exact, in standard errors",
        " checks agree",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(
        !text.contains("activation") && !text.contains("0.weight"),
        "{text}"
    );
    assert!(!text.contains("left out"), "{text}");
    assert!(text.lines().count() < 16, "{text}");
}

#[test]
fn details_have_a_line_for_every_check() {
    let text = verify(&["-v"]);
    assert!(
        text.contains("exact, 0.weight ") && text.contains("expected"),
        "{text}"
    );
}

#[test]
fn every_way_agrees_on_a_network() {
    let text = verify(&["--all"]);
    for line in [
        "hutchinson autodiff parameter ",
        "activation ",
        "xtrace ",
        "frobenius",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
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
