//! `runner compare DIR_A DIR_B`.

use super::{runner, small_run};
use std::path::Path;

/// Writes the committed timing results to `folder/name` with seconds of our own, which rise by 2 % from repeat to
/// repeat, those of some rows multiplied: the verdict is not that of the day on which they were measured.
fn write(folder: &Path, name: &str, factor: impl Fn(&str) -> f64) {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/timing/records.csv");
    let mut reader = csv::Reader::from_path(committed).unwrap();
    let head = reader.headers().unwrap().clone();
    let place = |name| head.iter().position(|column| column == name).unwrap();
    let (seconds, repeat) = (place("seconds"), place("repeat"));
    std::fs::create_dir(folder.join(name)).unwrap();
    let mut writer = csv::Writer::from_path(folder.join(name).join("records.csv")).unwrap();
    writer.write_record(&head).unwrap();
    for row in reader.records() {
        let row = row.unwrap();
        let whole = row.iter().collect::<Vec<_>>().join(",");
        let time = 0.1 + 0.002 * row[repeat].parse::<f64>().unwrap();
        let cells = row.iter().enumerate().map(|(i, cell)| match i == seconds {
            true => (time * factor(&whole)).to_string(),
            false => cell.to_string(),
        });
        writer.write_record(cells).unwrap();
    }
}

fn compare(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["compare"], arguments].concat();
    let output = runner(folder, &arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_slowdown_is_exit_code_1_and_noise_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "a", |_| 1.0);
    write(folder, "noisy", |row| {
        1.0 + 0.08 * (row.len() % 3) as f64 - 0.08
    });
    write(
        folder,
        "slow",
        |row| if row.contains("hmp") { 1.3 } else { 1.0 },
    );
    let (code, text) = compare(folder, &["a", "a"]);
    assert!(
        code == Some(0) && text.contains("0 of 15 settings are worse in B"),
        "{text}"
    );
    let (code, text) = compare(folder, &["a", "noisy"]);
    assert!(code == Some(0), "{text}");
    let (code, text) = compare(folder, &["a", "slow"]);
    assert!(
        code == Some(1) && text.contains("12 of 15 settings are worse in B"),
        "{text}"
    );
    assert!(text.contains("1.300  SLOWER"), "{text}");
    let (code, text) = compare(folder, &["slow", "a"]);
    assert!(code == Some(0) && text.contains("faster"), "{text}");
    assert_eq!(
        compare(folder, &["a", "slow", "--fail-on", "50%"]).0,
        Some(0)
    );
}

#[test]
fn results_of_other_problems_are_said_to_be_unlike() {
    let folder = small_run();
    let spec = std::fs::read_to_string(folder.path().join("small.toml")).unwrap();
    let other = spec
        .replace("out = 4", "out = 5")
        .replace("\"small\"", "\"other\"");
    std::fs::write(folder.path().join("other.toml"), other).unwrap();
    runner(folder.path(), &["other.toml"]).assert().success();
    let (code, text) = compare(folder.path(), &["results/small", "results/other"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("they differ in") && text.contains("model.layers"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", |_| 1.0);
    let (code, text) = compare(folder.path(), &["a", "nowhere"]);
    assert!(
        code == Some(2) && text.contains("nowhere: found no records.csv there"),
        "{text}"
    );
    let (code, text) = compare(folder.path(), &["a", "a", "--fail-on", "ten"]);
    assert!(
        code == Some(2) && text.contains("expected a percentage, for example 10%"),
        "{text}"
    );
}
