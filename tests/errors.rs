//! Every mistake in `tests/bad/` gets the message in `tests/snapshots/`, and nothing is written.
//!
//! A bad spec's first line says what is wrong with it. A second one may say how it is run
//! (`# runner --device foo SPEC`), or that it is a mistake only on some machines.
//! `INSTA_UPDATE=always cargo test --release --test errors` writes the messages anew.

mod files;

use assert_cmd::Command;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A bad spec with what the runner says of it.
struct Case {
    name: String,
    wrong: String,
    output: std::process::Output,
}

#[test]
fn every_mistake_is_explained_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    files::write_data(&folder.path().join("data"));
    files::write_specs(folder.path());
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let specs = listing(&bad);
    assert!(specs.len() >= 60, "{} bad specs", specs.len());
    for spec in &specs {
        std::fs::copy(bad.join(spec), folder.path().join(spec)).unwrap();
    }
    let before = listing(folder.path());
    let cases: Vec<Case> = specs
        .par_iter()
        .filter_map(|spec| run(spec, folder.path()))
        .collect();
    let done = |case: &&Case| case.output.status.code() != Some(2);
    let done: Vec<&str> = cases.iter().filter(done).map(|case| &*case.name).collect();
    assert!(done.is_empty(), "taken for good: {done:?}");
    assert_eq!(listing(folder.path()), before, "something was written");

    let failed: Vec<&str> = cases
        .iter()
        .filter(|case| std::panic::catch_unwind(|| check(case)).is_err())
        .map(|case| case.name.as_str())
        .collect();
    assert!(failed.is_empty(), "failed: {failed:?}");

    let messages = listing(&bad.with_file_name("snapshots"));
    let stem = |name: &String| name.split('.').next().map(str::to_string);
    let unused: Vec<&String> = messages
        .iter()
        .filter(|name| !specs.iter().any(|spec| stem(spec) == stem(name)))
        .collect();
    assert!(
        unused.is_empty(),
        "no bad spec has these messages: {unused:?}"
    );
}

/// Runs a bad spec in `folder`; `None` where it is no mistake on this machine.
fn run(spec: &str, folder: &Path) -> Option<Case> {
    let text = std::fs::read_to_string(folder.join(spec)).unwrap();
    let mut comments = text.lines().map_while(|line| line.strip_prefix("# "));
    let wrong = comments.next().expect("a comment in the first line");
    let mut arguments = vec![spec];
    for line in comments {
        match line.split_once(' ').map_or((line, ""), |parts| parts) {
            ("runner", rest) => {
                let word = |word| match word {
                    "SPEC" => spec,
                    "''" => "",
                    word => word,
                };
                arguments = rest.split_whitespace().map(word).collect();
            }
            ("only", "without a CUDA device") => {
                if tch::Cuda::is_available() {
                    println!("{spec}: skipped, there is a CUDA device");
                    return None;
                }
            }
            _ => panic!("{spec}: cannot read the line \"{line}\""),
        }
    }
    let output = Command::cargo_bin("runner")
        .unwrap()
        .args(arguments)
        .current_dir(folder)
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    Some(Case {
        name: spec.strip_suffix(".toml").unwrap().to_string(),
        wrong: wrong.to_string(),
        output,
    })
}

fn check(case: &Case) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&case.output.stdout), text(&case.output.stderr));
    assert_eq!(
        case.output.status.code(),
        Some(2),
        "{}: {stderr}",
        case.name
    );
    assert_eq!(stdout, "", "{}", case.name);
    for sign in ["panicked", "backtrace", "libtorch_cpu", "\u{1b}["] {
        assert!(!stderr.contains(sign), "{}: {stderr}", case.name);
    }
    insta::with_settings!({
        description => case.wrong.as_str(),
        omit_expression => true,
        prepend_module_to_snapshot => false,
    }, {
        insta::assert_snapshot!(case.name.as_str(), settled(&stderr));
    });
}

/// The message without what this machine's memory and speed say, and spaces at the ends of lines.
fn settled(text: &str) -> String {
    let of_machine = [
        ("this machine has ", "[MEMORY]"),
        ("is predicted to last about ", "[TIME]"),
    ];
    let settled = |line: &str| {
        let cut = |(before, name): (&str, &str)| {
            let (start, _) = line.split_once(before)?;
            Some(format!("{start}{before}{name}\n"))
        };
        let cut = of_machine.into_iter().find_map(cut);
        cut.unwrap_or_else(|| format!("{}\n", line.trim_end()))
    };
    text.lines().map(settled).collect()
}

/// The names in a folder, sorted.
fn listing(folder: &Path) -> BTreeSet<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| name(entry.unwrap().path())).collect()
}
