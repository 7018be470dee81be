//! How the source is cut: imports go one way, no files import each other, files are short.
//!
//! An import is a `use` or any other path that begins with `crate`, `super`, `self` or the name of
//! the library, outside tests. It counts as one of the file that defines the name, through whatever
//! re-exports it passes. One thing is no import: a parent may name what its own child modules
//! define, as `mod.rs` does to hand names on; what a child takes from its parent is one. So a trait
//! in `mod.rs` and its implementations below it are no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lines that a file may have.
const MOST_LINES: usize = 350;

/// Folders and files in the order in which they may import: each only what stands before it, or
/// itself. All others come before the first and import none of these.
const ORDER: &[&str] = &[
    "problem",
    "curvature",
    "estimator",
    "spec",
    "plan",
    "output",
    "run",
    "verify",
    "command",
    "main",
];

/// A path as it is written: `["crate", "problem", "Network"]`.
type Words = Vec<String>;

/// A file of the source and what it names.
struct File {
    lines: usize,
    /// Every path that it takes names from.
    paths: Vec<Words>,
    /// The paths of those that a `use` gives a name in this file.
    names: BTreeMap<String, Words>,
}

/// All files by their modules, `["crate", "problem", "network"]`; those of the program begin with
/// `"main"`, those of the library with `"crate"`.
struct House {
    files: BTreeMap<Words, File>,
    places: BTreeMap<Words, String>,
}

#[test]
fn no_files_import_each_other() {
    let house = House::read();
    let imports = house.imports();
    assert!(imports.len() > 100, "{} files import others", imports.len());
    let circle = |from: &&String| reached(&imports, from).contains(*from);
    let circles: Vec<&String> = imports.keys().filter(circle).collect();
    assert!(circles.is_empty(), "files in circles: {circles:#?}");
}

#[test]
fn imports_go_one_way() {
    let rank = |file: &str| {
        let top = file.split(['/', '.']).next().expect("a first part");
        ORDER.iter().position(|place| *place == top)
    };
    let house = House::read();
    for (from, all) in house.imports() {
        let back = all.iter().find(|to| rank(to) > rank(&from));
        assert!(back.is_none(), "{from} imports {}", back.unwrap());
    }
}

#[test]
fn files_are_short() {
    let house = House::read();
    for (module, file) in &house.files {
        let place = &house.places[module];
        assert!(file.lines <= MOST_LINES, "{place} has {} lines", file.lines);
    }
}

/// A file of tests is a program of its own, or a module of one: none is left out by mistake.
#[test]
fn every_file_of_tests_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
    let manifest = read("Cargo.toml");
    let programs: Vec<String> = ["core", "program", "cuda", "many_classes"]
        .map(|name| {
            let declared = format!("[[test]]\nname = \"{name}\"\n");
            assert!(manifest.contains(&declared), "Cargo.toml has no {name}");
            read(&format!("tests/{name}.rs"))
        })
        .into();
    for entry in std::fs::read_dir(root.join("tests")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        let is_program = manifest.contains(&format!("[[test]]\nname = \"{name}\"\n"));
        let is_code = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists();
        let declared = format!("mod {name};");
        let is_module = programs.iter().any(|text| text.contains(&declared));
        assert!(
            !is_code || is_program || is_module,
            "tests/{name} is not run"
        );
    }
}

/// The files that one imports, directly or not.
fn reached(imports: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![from.to_string()];
    while let Some(file) = next.pop() {
        for to in imports.get(&file).into_iter().flatten() {
            if found.insert(to.clone()) {
                next.push(to.clone());
            }
        }
    }
    found
}

impl House {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut paths = Vec::new();
        rust_files(&root, &mut paths);
        let program = std::fs::read_to_string(root.join("main.rs")).expect("main.rs");
        let of_program = modules_of(&words_of(&program));
        let mut house = Self {
            files: BTreeMap::new(),
            places: BTreeMap::new(),
        };
        for path in paths {
            let place = path.strip_prefix(&root).expect("below src");
            let place = place.to_string_lossy().replace('\\', "/");
            let module = module(&place, &of_program);
            let text = std::fs::read_to_string(&path).expect("a source file");
            house.places.insert(module.clone(), place);
            house.files.insert(module, File::read(&text));
        }
        house
    }

    /// The files that each one imports.
    fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let of = |(module, file): (&Words, &File)| {
            let defining = file
                .paths
                .iter()
                .filter_map(|path| self.defining(module, path));
            // A parent may name its children.
            let imported = defining.filter(|defining| !defining.starts_with(module));
            let imported = imported.map(|module| self.places[&module].clone());
            (self.places[module].clone(), imported.collect())
        };
        self.files.iter().map(of).collect()
    }

    /// The module whose file defines what `path` names in `module`; `None` for other crates.
    fn defining(&self, module: &Words, path: &[String]) -> Option<Words> {
        let (mut at, first) = match path[0].as_str() {
            "crate" => (module[..1].to_vec(), 1),
            "curvature_runner" => (vec!["crate".into()], 1),
            "self" => (module.clone(), 1),
            // A `super` is taken off below; any other word is a child, an import or another crate.
            _ => (module.clone(), 0),
        };
        for (index, word) in path.iter().enumerate().skip(first) {
            if word == "super" {
                at.pop();
                continue;
            }
            let child = [&at[..], std::slice::from_ref(word)].concat();
            if self.files.contains_key(&child) {
                at = child;
                continue;
            }
            let other = self.files.get(&at)?.names.get(word);
            return match other {
                Some(other) if other.len() > 1 => self.defining(&at, other),
                _ if index == 0 => None,
                _ => Some(at),
            };
        }
        Some(at)
    }
}

impl File {
    fn read(text: &str) -> Self {
        let words = words_of(text);
        let mut file = Self {
            lines: text.lines().count(),
            paths: Vec::new(),
            names: BTreeMap::new(),
        };
        let mut index = 0;
        while index < words.len() {
            match words[index].as_str() {
                "use" if words[index + 1] != "<" => {
                    index += 1;
                    file.use_tree(&words, &mut index, &[]);
                }
                "crate" | "super" | "self" | "curvature_runner"
                    if words.get(index + 1).is_some_and(|word| word == "::")
                        && index.checked_sub(1).is_none_or(|i| words[i] != "in") =>
                {
                    let mut path = vec![words[index].clone()];
                    while words.get(index + 1).is_some_and(|word| word == "::") {
                        path.push(words[index + 2].clone());
                        index += 2;
                    }
                    file.paths.push(path);
                }
                _ => {}
            }
            index += 1;
        }
        file
    }

    /// One tree of a `use`, `before` standing before it.
    fn use_tree(&mut self, words: &[String], index: &mut usize, before: &[String]) {
        let mut path = before.to_vec();
        loop {
            match words[*index].as_str() {
                "{" => {
                    *index += 1;
                    while words[*index] != "}" {
                        self.use_tree(words, index, &path);
                        *index += usize::from(words[*index] == ",");
                    }
                    *index += 1;
                    return;
                }
                "::" => *index += 1,
                "," | ";" | "}" => break,
                "as" => {
                    self.names.insert(words[*index + 1].clone(), path.clone());
                    *index += 2;
                }
                "*" => *index += 1,
                "self" if !path.is_empty() => *index += 1,
                word => {
                    path.push(word.into());
                    *index += 1;
                }
            }
        }
        let name = path.last().expect("a use names something").clone();
        self.names.entry(name).or_insert_with(|| path.clone());
        self.paths.push(path);
    }
}

/// All files below a folder that end in `.rs`.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.extension() {
            _ if path.is_dir() => rust_files(&path, found),
            Some(extension) if extension == "rs" => found.push(path),
            _ => {}
        }
    }
}

/// The module of a file: `problem/layer/mod.rs` is `crate::problem::layer`.
fn module(place: &str, of_program: &BTreeSet<String>) -> Words {
    let parts = place.trim_end_matches(".rs").split('/');
    let parts = parts.filter(|part| !["mod", "lib", "main"].contains(part));
    let parts: Vec<String> = parts.map(String::from).collect();
    let program = place == "main.rs" || parts.first().is_some_and(|top| of_program.contains(top));
    let root = if program { "main" } else { "crate" };
    [&[root.to_string()], &parts[..]].concat()
}

/// The modules that a file declares.
fn modules_of(words: &[String]) -> BTreeSet<String> {
    let declared = words.windows(3).filter(|w| w[0] == "mod" && w[2] == ";");
    declared.map(|words| words[1].clone()).collect()
}

/// Names and signs of a source text, without comments, texts, and its tests, which stand last.
fn words_of(text: &str) -> Words {
    let text = text
        .split("#[cfg(test)]\nmod ")
        .next()
        .expect("a first part");
    let mut words = Words::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => text_length(rest),
            'r' if rest.starts_with("r\"") => 2 + rest[2..].find('"').expect("an end") + 1,
            'r' if rest.starts_with("r#\"") => 3 + rest[3..].find("\"#").expect("an end") + 2,
            '\'' => character_length(rest),
            _ if first.is_alphanumeric() || first == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let end = end.unwrap_or(rest.len());
                words.push(rest[..end].into());
                end
            }
            ':' if rest.starts_with("::") => {
                words.push("::".into());
                2
            }
            _ => {
                if !first.is_whitespace() {
                    words.push(first.into());
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    words
}

/// How long a text in double quotes is, with both of them.
fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return index + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// How long a character in quotes is; 1 where a lifetime begins.
fn character_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            // What is escaped may be a quote.
            characters.next();
            characters
                .find(|(_, c)| *c == '\'')
                .map_or(1, |(i, _)| i + 1)
        }
        _ => match characters.next() {
            Some((index, '\'')) => index + 1,
            _ => 1,
        },
    }
}
