//! Whatever stands in a spec or a data file, reading it ends in a plan or an error, never a panic.

use crate::agreement;
use crate::files;
use curvature_runner::error::UserError;
use curvature_runner::plan::Plan;
use curvature_runner::problem::data::{BatchCount, DataSpec, Mnist, Order, Safetensors};
use curvature_runner::problem::generator::TorchGenerator;
use curvature_runner::problem::layer::{LayerSpec, Linear};
use curvature_runner::problem::{Network, weights};
use curvature_runner::spec::{Spec, SpecError, SpecText};
use miette::{GraphicalReportHandler, GraphicalTheme};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Values, keys and signs that a spec may hold in some place, most of them in the wrong one.
const TOKENS: &str = r#"-1 0 1 2 7 0.5 1e3 1e308 -0.0 inf nan 0x7fffffffffffffff 4294967296 1_0 1__0
9223372036854775807 18446744073709551616 1000000000000 3037000500 2024-05-27 12:00:00 true false ""
"""""" '' [] {} [[]] [{}] [0] [1,2] { } [ ] = , . # "mnist" "safetensors" "continue" "torch" "philox"
"given" "hutchinson" "exact" "hmp" "autodiff" "full" "parameter" "linear" "flatten" "relu" "mse"
"cross_entropy" "sum" "log" "float64" "cpu" "cuda:99" "auto" "timing" "../x" "\u0000" "\ud800" é ☃
name kind device dtype threads data source root path batch order model seed layers weights out bias loss
reduction sampling V V_batch seeds probe stream from to steps scale count timing warmup repeats
estimator blocks product kernel_size stride padding dilation groups "conv1d" "conv2d" "max_pool2d" [data] [model] [loss] [sampling] [timing] [[estimator]] [estimator] [a.b.c]"#;

/// A generator for tests: Steele, Lea, Flood (OOPSLA 2014), SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, or 0.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A piece of `0..n`, mostly a short one.
    fn range(&mut self, n: usize) -> std::ops::Range<usize> {
        let longest = self.pick(&[&1, &8, &64]);
        let start = self.below(n);
        start..(start + 1 + self.below(*longest)).min(n)
    }
}

/// Between one and four mutations of bytes, lines or tokens.
fn mutated_text(text: &str, others: &[String], random: &mut Random) -> String {
    let tokens: Vec<&str> = TOKENS.split_whitespace().collect();
    let mut text = text.to_string();
    for _ in 0..=random.below(2) * random.below(4) {
        text = match random.below(4) {
            0 => {
                let bytes = mutated_bytes(text.as_bytes(), random);
                String::from_utf8_lossy(&bytes).into_owned()
            }
            1 => {
                let mut lines: Vec<&str> = text.lines().collect();
                let (line, other) = (random.below(lines.len()), random.below(lines.len()));
                match random.below(4) {
                    _ if lines.is_empty() => {}
                    0 => drop(lines.remove(line)),
                    1 => lines.insert(other, lines[line]),
                    2 => lines.swap(line, other),
                    _ => {
                        let from: Vec<&str> = others[random.below(others.len())].lines().collect();
                        lines.insert(line, random.pick(&from));
                    }
                }
                lines.join("\n")
            }
            // Twice as often: it is what reaches furthest.
            _ => {
                let words: Vec<(usize, &str)> = words(&text);
                let (start, word) = match words.len() {
                    0 => (0, ""),
                    n => words[random.below(n)],
                };
                let (before, after) = (&text[..start], &text[start + word.len()..]);
                let token = random.pick(&tokens);
                match random.below(3) {
                    0 => format!("{before}{token} {word}{after}"),
                    _ => format!("{before}{token}{after}"),
                }
            }
        };
    }
    text
}

/// The words of a spec with their places: whatever stands between signs.
fn words(text: &str) -> Vec<(usize, &str)> {
    let signs = |c: char| c.is_whitespace() || "[]{}=,".contains(c);
    text.split(signs)
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
        .collect()
}

fn mutated_bytes(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let range = random.range(bytes.len());
    match random.below(5) {
        0 => bytes[range]
            .iter_mut()
            .for_each(|b| *b ^= 1 << random.below(8)),
        1 => bytes[range].fill_with(|| random.next() as u8),
        2 => drop(bytes.drain(range)),
        3 => {
            let copy = bytes[range.clone()].to_vec();
            let _ = bytes.splice(range.end..range.end, copy).count();
        }
        _ => bytes.truncate(range.start),
    }
    bytes
}

/// What the command line does with a spec before anything runs, and prints of an error.
fn plan(source: &SpecText) -> Result<Plan, SpecError> {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    Spec::parse(source)
        .and_then(|spec| Plan::new(spec, source))
        .inspect_err(|error| {
            let mut shown = String::new();
            handler.render_report(&mut shown, error).unwrap();
            assert!(!error.to_string().is_empty() && shown.contains(&error.to_string()[..1]));
        })
}

/// The experiments of the repository over small files, and two with other layers and files.
fn specs(folder: &Path) -> Vec<String> {
    files::write_data(&folder.join("data"));
    std::fs::create_dir(folder.join("experiments")).unwrap();
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    // Weights and tokens that fit no other network.
    for own in ["gpt", "gpt2_small"] {
        let (files, link) = (experiments.join(own), folder.join("experiments").join(own));
        std::os::unix::fs::symlink(files, link).unwrap();
    }
    let mut paths: Vec<_> = std::fs::read_dir(experiments)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        // Its files are fetched.
        .filter(|path| !path.ends_with("minilm.toml"))
        .collect();
    paths.sort();
    let mut specs: Vec<String> = paths
        .iter()
        .map(|path| {
            std::fs::read_to_string(path)
                .unwrap()
                .replace("= 256", "= 8")
                .replace("batch   = 1000", "batch   = 8")
                .replace("batch  = 128", "batch  = 8")
                .replace("weights = \"checkpoints/step_*.safetensors\"", "seed = 0")
        })
        .collect();
    specs.extend([files::TRAINED, files::CONVOLVED].map(str::to_string));
    specs
}

#[test]
fn a_mutated_spec_is_planned_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let specs = specs(folder.path());
    let path = folder.path().join("experiments/mutated.toml");
    let source = |text: String| SpecText::new(&path, text);
    for spec in &specs {
        plan(&source(spec.clone())).unwrap_or_else(|error| panic!("{error}\n{spec}"));
    }
    let mut random = Random(0);
    let validator = agreement::validator();
    let (mut planned, mut refused) = (0, 0);
    for round in 0..4000 {
        let text = mutated_text(&specs[round % specs.len()], &specs, &mut random);
        let source = source(text);
        match catch_unwind(|| plan(&source).is_ok()) {
            Ok(true) => planned += 1,
            Ok(false) => refused += 1,
            Err(_) => panic!("round {round} panics:\n{}", source.text),
        }
        agreement::check(&validator, &source);
    }
    println!("{planned} planned, {refused} refused");
    assert!(planned > 200 && refused > 2000, "{planned} and {refused}");
}

#[test]
fn deep_nesting_is_refused() {
    let deep = [
        format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("a = {}1{}", "{a=".repeat(100_000), "}".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        format!("[[{}a]]", "a.".repeat(100_000)),
        format!("[model]\nlayers = {}", "[{ kind = ".repeat(100_000)),
    ];
    for text in deep {
        assert!(plan(&SpecText::new("deep.toml", text)).is_err());
    }
}

/// Runs `read` on many mutations of a file; `mutate` makes one.
fn mutate_files(
    path: &Path,
    rounds: usize,
    mut mutate: impl FnMut(&mut Random) -> Vec<u8>,
    read: impl Fn() -> Result<(), UserError>,
) {
    let mut random = Random(1);
    for round in 0..rounds {
        let bytes = mutate(&mut random);
        std::fs::write(path, &bytes).unwrap();
        if catch_unwind(AssertUnwindSafe(&read)).is_err() {
            panic!("round {round} of {} panics: {bytes:x?}", path.display());
        }
    }
}

/// Loads a data set and draws its batches.
fn draw(data: &DataSpec, base: &Path) -> Result<(), UserError> {
    let dataset = data.load(base)?;
    for batch in dataset.draw(&mut TorchGenerator::seeded(0)) {
        assert!(batch.len() <= dataset.selection.batch);
        assert_eq!(batch.inputs.size()[0], batch.targets.size()[0]);
    }
    Ok(())
}

fn mnist() -> DataSpec {
    DataSpec::Mnist(Mnist {
        root: "".into(),
        batch: None,
        batches: BatchCount::All,
        order: Order::Torch,
    })
}

#[test]
fn a_mutated_idx_file_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(files::IMAGES);
    std::fs::write(folder.path().join(files::LABELS), files::labels()).unwrap();
    let (plain, packed) = (files::images(), files::gzip(&files::images()));
    std::fs::write(&path, &plain).unwrap();
    draw(&mnist(), folder.path()).unwrap();
    let read = || draw(&mnist(), folder.path());
    mutate_files(
        &path,
        1000,
        |random| mutated_header(&plain, 16, random),
        read,
    );
    mutate_files(&path, 1000, |random| mutated_bytes(&packed, random), read);
}

/// Mutates the first bytes, where the sizes stand.
fn mutated_header(bytes: &[u8], length: usize, random: &mut Random) -> Vec<u8> {
    let (header, rest) = bytes.split_at(length);
    let mut mutated = mutated_bytes(header, random);
    mutated.extend(rest);
    mutated
}

/// Mutates the JSON header and keeps the length before it true.
fn mutated_safetensors(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    if random.below(4) == 0 {
        return mutated_bytes(bytes, random);
    }
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, values) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let numbers = [
        "0",
        "1",
        "3",
        "6",
        "-1",
        "72",
        "1e9",
        "4294967296",
        "9223372036854775808",
        "18446744073709551615",
        "\"F64\"",
        "\"I64\"",
        "\"BOOL\"",
        "\"x\"",
        "[]",
        "null",
        "\"\"",
    ];
    let header = match random.below(2) {
        0 => mutated_bytes(header, random),
        _ => {
            let text = std::str::from_utf8(header).unwrap();
            let signs = |c: char| "[]{}:, ".contains(c);
            let words: Vec<&str> = text.split(signs).filter(|word| !word.is_empty()).collect();
            let word = random.pick(&words);
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            let (before, after) = (&text[..start], &text[start + word.len()..]);
            format!("{before}{}{after}", random.pick(&numbers)).into_bytes()
        }
    };
    [
        &(header.len() as u64).to_le_bytes(),
        header.as_slice(),
        values,
    ]
    .concat()
}

#[test]
fn a_mutated_safetensors_file_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mutated.safetensors");
    let data = DataSpec::Safetensors(Safetensors {
        path: "mutated.safetensors".into(),
        batch: None,
        batches: BatchCount::All,
        order: Order::Given,
    });
    let sound = files::classes();
    std::fs::write(&path, &sound).unwrap();
    draw(&data, folder.path()).unwrap();
    let mutate = |random: &mut Random| mutated_safetensors(&sound, random);
    mutate_files(&path, 2000, mutate, || draw(&data, folder.path()));

    let linear = LayerSpec::Linear(Linear::new(3, true));
    let network = Network::new(&[linear], &[3]).unwrap();
    let load = || {
        let (tensors, _) = weights::load(&path, &network)?;
        tensors.iter().for_each(|tensor| drop(tensor.tensor()));
        Ok(())
    };
    let sound = files::weights();
    std::fs::write(&path, &sound).unwrap();
    load().unwrap();
    let mutate = |random: &mut Random| mutated_safetensors(&sound, random);
    mutate_files(&path, 2000, mutate, load);
}
