//! Every mistake in `tests/bad/` gets the message in `tests/snapshots/`, and nothing is written.
//!
//! A bad spec's first line says what is wrong with it. A second one may say how the program is run
//! on it (`# runner --device foo SPEC`), or that it is a mistake only on some machines. A spec
//! without one is planned in this process, as the program plans it before it does anything else:
//! starting a program two hundred times takes most of a minute.
//! `INSTA_UPDATE=always cargo test --release --test program errors` writes the messages anew.

use crate::files;
use assert_cmd::Command;
use curvature_runner::plan::Plan;
use curvature_runner::spec::{Spec, SpecError, SpecText, show_errors_plainly};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A bad spec with what the runner says of it.
struct Case {
    name: String,
    wrong: String,
    /// What the program printed besides; nothing where it was not started.
    stdout: String,
    /// The message; `None` where the spec was taken for good.
    message: Option<String>,
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
    show_errors_plainly(false);
    let cases: Vec<Case> = specs
        .par_iter()
        .filter_map(|spec| run(spec, folder.path()))
        .collect();
    let done = |case: &&Case| case.message.is_none();
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

/// Runs or plans a bad spec in `folder`; `None` where it is no mistake on this machine.
fn run(spec: &str, folder: &Path) -> Option<Case> {
    let text = std::fs::read_to_string(folder.join(spec)).unwrap();
    let mut comments = text.lines().map_while(|line| line.strip_prefix("# "));
    let wrong = comments.next().expect("a comment in the first line");
    let mut arguments = None;
    for line in comments {
        match line.split_once(' ').map_or((line, ""), |parts| parts) {
            ("runner", rest) => {
                let word = |word| match word {
                    "SPEC" => spec,
                    "''" => "",
                    word => word,
                };
                arguments = Some(rest.split_whitespace().map(word).collect::<Vec<_>>());
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
    let (stdout, message) = match arguments {
        Some(arguments) => started(&arguments, folder),
        None => (
            String::new(),
            planned(spec, folder)
                .err()
                .map(|error| shown(error, folder)),
        ),
    };
    Some(Case {
        name: spec.strip_suffix(".toml").unwrap().to_string(),
        wrong: wrong.to_string(),
        stdout,
        message,
    })
}

/// What the program does first with a spec.
fn planned(spec: &str, folder: &Path) -> Result<Plan, SpecError> {
    let source = SpecText::read(&folder.join(spec))?;
    Plan::new(Spec::parse(&source)?, &source)
}

/// An error as the program prints it where it is started in the folder.
fn shown(error: SpecError, folder: &Path) -> String {
    let text = format!("{:?}\n", miette::Report::from(error));
    text.replace(&format!("{}/", folder.display()), "")
}

/// What the program prints on stdout, and on stderr if it ends with exit code 2.
fn started(arguments: &[&str], folder: &Path) -> (String, Option<String>) {
    let output = Command::cargo_bin("runner")
        .unwrap()
        .args(arguments)
        .current_dir(folder)
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let wrong = output.status.code() == Some(2);
    (text(output.stdout), wrong.then(|| text(output.stderr)))
}

fn check(case: &Case) {
    let message = case.message.as_deref().expect("a mistake");
    assert_eq!(case.stdout, "", "{}", case.name);
    for sign in ["panicked", "backtrace", "libtorch_cpu", "\u{1b}["] {
        assert!(!message.contains(sign), "{}: {message}", case.name);
    }
    insta::with_settings!({
        description => case.wrong.as_str(),
        omit_expression => true,
        prepend_module_to_snapshot => false,
    }, {
        insta::assert_snapshot!(case.name.as_str(), settled(message));
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
