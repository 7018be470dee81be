//! README and docs: their links lead somewhere, their specs are right, their commands run, and what they
//! show of results is what is there.

use super::runner;
use curvature_runner::spec::{Spec, SpecText};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README and every page of docs.
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let markdown = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    let mut pages: Vec<PathBuf> = docs.filter(markdown).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// Whole blocks of code in a page, each with its language, in their order.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.into(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, code))) => *code += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// A page without its blocks of code and spans of code.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if !fenced {
            let outside = line.split('`').step_by(2);
            prose += &(outside.collect::<Vec<_>>().join("") + "\n");
        }
    }
    prose
}

/// The places that a page links to.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let links = prose.split("](").skip(1);
    links
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_string()))
        .collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if let Some(title) = line.strip_prefix('#').filter(|_| !fenced) {
            let title = title.trim_start_matches('#').trim().to_lowercase();
            let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
            anchors.insert(
                title
                    .chars()
                    .filter(kept)
                    .collect::<String>()
                    .replace(' ', "-"),
            );
        }
    }
    anchors
}

#[test]
fn every_link_leads_somewhere() {
    let others = ["DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    for page in pages().into_iter().chain(others) {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let place = format!("{}: {link}", page.display());
            assert!(target.exists(), "{place} is not there");
            if !anchor.is_empty() {
                let there = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(
                    there.contains(anchor),
                    "{place}: no such heading in {there:?}"
                );
            }
        }
    }
}

#[test]
fn the_summary_has_every_page_once() {
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let mut listed = links(&summary);
    listed.sort();
    let names = pages()
        .into_iter()
        .filter(|page| page.starts_with(root().join("docs")));
    let names = names.map(|page| page.file_name().unwrap().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name != "SUMMARY.md").collect();
    names.sort();
    assert_eq!(listed, names);
}

/// Tables and figures are copies of files in results/, which a script brings up to date.
#[test]
fn what_is_shown_of_results_is_what_is_there() {
    let script = root().join("scripts/refresh_docs.py");
    let output = std::process::Command::new("python3")
        .args([script.as_os_str(), "--check".as_ref()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_readme_is_short() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let lines = text.lines().count();
    assert!(lines <= 120, "{lines} lines");
}

/// What pages add to when they have no whole spec of their own.
const BASE: &str = r#"
data = { source = "mnist", root = "../data/mnist", batch = 32 }
model = { layers = [{ kind = "flatten" }, { kind = "linear", out = 10 }] }
loss = { kind = "cross_entropy" }
sampling = { V = [10], seeds = [0, 1, 2] }
estimator = [{ kind = "exact" }, { kind = "hutchinson" }]
"#;

/// As a reader who does what a page says, in a folder like the project's.
struct Reader {
    folder: tempfile::TempDir,
    /// The reader's own spec so far.
    spec: toml::Table,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        std::fs::create_dir(place.join("experiments")).unwrap();
        let link = |from: PathBuf, to: PathBuf| std::os::unix::fs::symlink(from, to).unwrap();
        link(root().join("data"), place.join("data"));
        for entry in std::fs::read_dir(root().join("experiments")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_owned();
            link(path, place.join("experiments").join(name));
        }
        let spec = BASE.parse().unwrap();
        let reader = Self { folder, spec };
        reader.save();
        reader
    }

    /// Writes the spec where a page may call for it: beside the experiments, or in the current folder.
    fn save(&self) {
        let text = toml::to_string(&self.spec).unwrap();
        let place = self.folder.path();
        std::fs::write(place.join("experiments/mine.toml"), &text).unwrap();
        let here = text.replace("\"../", "\"");
        std::fs::write(place.join("mine.toml"), here).unwrap();
    }

    /// Takes in a block of TOML: a whole spec, or what is added to or changed in the one before.
    fn write(&mut self, code: &str, page: &str) {
        let table: toml::Table = code
            .parse()
            .unwrap_or_else(|e| panic!("{page}: {e}\n{code}"));
        let whole = ["data", "model", "loss"]
            .iter()
            .all(|key| table.contains_key(*key));
        let before = self.spec.clone();
        match whole {
            true => self.spec = table.clone(),
            false => self.spec.extend(table.clone()),
        }
        // A file of the reader's own is not there: then the spec is read alone.
        if code.contains("torchscript") || code.contains("names = ") {
            let text = toml::to_string(&self.spec).unwrap();
            let parsed = Spec::parse(&SpecText::new("mine.toml", text));
            assert!(parsed.is_ok(), "{page}: {parsed:?}\n{code}");
            self.spec = before;
            return;
        }
        self.save();
        self.run("runner check experiments/mine.toml", page);
    }

    /// Runs a line as one types it.
    fn run(&self, line: &str, page: &str) {
        let words = line.split_whitespace().skip(1);
        let words: Vec<&str> = words.take_while(|word| *word != "#").collect();
        let output = runner(self.folder.path(), &words).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success(), "{page}: {line}\n{text}");
    }
}

/// Every `make TARGET` is in the Makefile.
fn check_make(line: &str, page: &str) {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let target = line.split_whitespace().nth(1).unwrap();
    assert!(makefile.contains(&format!("\n{target}:")), "{page}: {line}");
}

fn follow(page: &Path) {
    let name = page.strip_prefix(root()).unwrap().display().to_string();
    let text = std::fs::read_to_string(page).unwrap();
    let mut reader = Reader::new();
    for (language, code) in blocks(&text) {
        match language.as_str() {
            "toml" => reader.write(&code, &name),
            "console" => {
                for line in code.lines() {
                    match line.split_whitespace().next() {
                        Some("runner") => reader.run(line, &name),
                        Some("make") => check_make(line, &name),
                        // What needs a scheduler, a network or Python.
                        _ => {}
                    }
                }
            }
            // Run by python/tests/test_docs.py.
            "python" => {}
            other => assert!(other.is_empty(), "{name}: a block of \"{other}\""),
        }
    }
}

#[test]
fn every_spec_is_right_and_every_command_runs() {
    let pages = pages();
    std::thread::scope(|scope| {
        for page in &pages {
            scope.spawn(|| follow(page));
        }
    });
}
