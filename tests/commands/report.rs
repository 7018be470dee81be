//! `runner report DIR`.

use super::{runner, small_run};

#[test]
fn it_draws_again_what_the_run_has_drawn() {
    let folder = small_run();
    let results = folder.path().join("results/small");
    let drawn = ["summary.csv", "convergence.svg", "convergence.png"];
    let read = || drawn.map(|name| std::fs::read(results.join(name)).unwrap());
    let before = read();
    for name in drawn {
        std::fs::remove_file(results.join(name)).unwrap();
    }
    let output = runner(folder.path(), &["report", "results/small"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(drawn.iter().all(|name| text.contains(name)), "{text}");
    assert!(read() == before);
}

#[test]
fn a_folder_without_results_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = runner(folder.path(), &["report", "nowhere"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("nowhere: found no records.csv there"),
        "{text}"
    );
    assert!(
        text.contains("name a folder that a run has written"),
        "{text}"
    );
}
