//! `runner report DIR`.

use super::{runner, small_run};

#[test]
fn it_draws_again_what_the_run_has_drawn() {
    let folder = small_run();
    let results = folder.path().join("results/small");
    let drawn = [
        "summary.csv",
        "convergence.svg",
        "convergence.png",
        "report.html",
    ];
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
    for ((name, before), now) in drawn.iter().zip(before).zip(read()) {
        assert!(now == before, "{name} is another");
    }
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

#[test]
fn the_page_holds_everything_and_asks_for_nothing() {
    let folder = small_run();
    let page = std::fs::read_to_string(folder.path().join("results/small/report.html")).unwrap();
    for text in [
        "How do estimates of the trace of the Hessian converge?",
        "linear 4 → tanh → linear 3",
        "<h1>The trace of the Hessian is ",
        "(exact, ",
        "95 % intervals of all",
        "hutchinson hmp full",
        " ± ",
        "By parameter",
        "0.weight",
        "How it was run",
        "libtorch",
        "<title>",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    // A namespace is a name, and what begins with # is in the page.
    let outside = page
        .replace("http://www.w3.org/2000/svg", "")
        .replace("url(#", "");
    for sign in ["http:", "https:", "src=", "url(", "@import", "<iframe"] {
        assert!(!outside.contains(sign), "{sign}");
    }
}

#[test]
fn tables_and_figures_of_others_and_failures_are_shown() {
    let folder = small_run();
    let results = folder.path().join("results/small");
    let write = |name: &str, text: &str| std::fs::write(results.join(name), text).unwrap();
    write(
        "failures.csv",
        "estimator,error\nhutchinson,out of <memory>\n",
    );
    write("others.csv", "x,density\n0.5,1.25\n");
    write(
        "others.svg",
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"></svg>",
    );
    runner(folder.path(), &["report", "results/small"])
        .assert()
        .success();
    let page = std::fs::read_to_string(results.join("report.html")).unwrap();
    for text in [
        "Jobs that failed",
        "out of &lt;memory&gt;",
        "others.csv, 1 rows",
        "<td class=\"number\">1.25</td>",
        "figure-others",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_folder_without_a_manifest_still_has_a_report() {
    let folder = small_run();
    let results = folder.path().join("results/small");
    std::fs::remove_file(results.join("manifest.toml")).unwrap();
    runner(folder.path(), &["report", "results/small"])
        .assert()
        .success();
    let page = std::fs::read_to_string(results.join("report.html")).unwrap();
    assert!(page.contains("This folder has no manifest.toml") && page.contains("converge?"));
}
