//! SIGKILL at random instants of a sweep: nothing is lost, doubled or half written.

use super::{MANY, Sweep, assert_same, parameters, timeless};
use curvature_runner::output::Record;
use std::collections::HashSet;

#[test]
fn a_convergence_sweep_survives_30_kills() {
    survives(MANY, 30, 1);
}

#[test]
fn a_sweep_with_one_stream_of_random_numbers_survives_10_kills() {
    let spec = r#"
        kind = "convergence"
        sampling = { V = [70, 200], V_batch = [5], stream = "torch", seeds = "continue" }
        estimator = [
          { kind = "hutchinson", blocks = "full", product = "hmp" },
          { kind = "hutchinson", blocks = "full", product = "autodiff" },
          { kind = "exact" },
          { kind = "hutchinson", blocks = "full", product = "hmp" },
          { kind = "hutchinson", blocks = "parameter", product = "autodiff", seeds = [3] },
          { kind = "hutchinson", blocks = "full", product = "hmp" },
          { kind = "hutchinson", blocks = "full", product = "autodiff" },
        ]
    "#;
    survives(spec, 10, 2);
}

#[test]
fn a_timing_sweep_survives_10_kills() {
    let spec = r#"
        kind = "timing"
        timing = { warmup = 0, repeats = 3 }
        sampling = { V = [10, 20], V_batch = [2, 5], seeds = [0, 1] }
        estimator = [
          { kind = "exact" },
          { kind = "hutchinson", blocks = "full", product = "autodiff" },
          { kind = "hutchinson", blocks = "full", product = "hmp" },
        ]
    "#;
    survives(spec, 10, 3);
}

/// Kills a sweep so often, resuming it each time; one that comes to its end begins anew.
///
/// The instants are events, not times: a line or a byte more in the journal, drawn from `seed`.
fn survives(spec: &str, kills: usize, seed: u64) {
    let undisturbed = Sweep::new(spec);
    assert_eq!(undisturbed.run(&["-q"]).0, 0);
    let expected = timeless(&undisturbed.results());
    let whole = undisturbed.journal();

    let sweep = Sweep::new(spec);
    let mut random = Random(seed);
    let (mut killed, mut before, mut torn) = (0, 0, 0);
    // Who is slow to look may find a sweep at its end: so many more are tried.
    for _ in 0..3 * kills {
        if killed == kills && torn > 0 {
            break;
        }
        let there = sweep.journal();
        let next = Instant::drawn(&mut random, &there, &whole);
        let mut child = sweep.spawn();
        let ended = sweep.wait_until(&mut child, || next.has_come(&sweep.journal()));
        if ended {
            assert_same(&sweep.results(), &undisturbed.results());
            std::fs::remove_dir_all(sweep.results()).unwrap();
            before = 0;
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        let rows = check(&sweep, &expected);
        assert!(rows >= before, "{before} rows became {rows}");
        torn += usize::from(rows > 0 && rows < expected.len());
        before = rows;
    }
    assert!(
        torn > 0,
        "no kill of {killed} came between the first row and the last"
    );
    assert_eq!(sweep.run(&["-q"]).0, 0);
    assert_same(&sweep.results(), &undisturbed.results());
    println!("{killed} kills, {torn} of them among the rows");
}

/// When a sweep is killed: as soon as its journal has so many lines, or so many bytes.
enum Instant {
    Lines(usize),
    Bytes(usize),
}

impl Instant {
    /// One between what is there and the whole.
    fn drawn(random: &mut Random, there: &[u8], whole: &[u8]) -> Self {
        let mut between = |from: usize, to: usize| {
            from + (random.unit() * to.saturating_sub(from) as f64) as usize
        };
        match between(0, 3) {
            0 => Self::Bytes(between(there.len(), whole.len())),
            _ => Self::Lines(between(lines(there), lines(whole))),
        }
    }

    fn has_come(&self, journal: &[u8]) -> bool {
        match self {
            Self::Lines(count) => lines(journal) >= *count,
            Self::Bytes(count) => journal.len() >= *count,
        }
    }
}

fn lines(journal: &[u8]) -> usize {
    journal.iter().filter(|&&byte| byte == b'\n').count()
}

/// Checks the files that a kill has left; returns how many rows there are.
fn check(sweep: &Sweep, expected: &[Record]) -> usize {
    let folder = sweep.results();
    if !folder.join("records.csv").exists() {
        return 0;
    }
    let rows = timeless(&folder);
    for row in &rows {
        // The exact trace may come later than the row.
        let same = |other: &&Record| {
            Record {
                exact: row.exact,
                ..(*other).clone()
            } == *row
        };
        let other = expected.iter().find(same);
        let other = other.unwrap_or_else(|| panic!("no undisturbed run has {row:?}"));
        assert!(row.exact.is_none() || row.exact == other.exact);
    }
    let keys: HashSet<String> = rows.iter().map(key).collect();
    assert_eq!(keys.len(), rows.len(), "a row is there twice");

    let journal = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    let lines = journal
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let jobs: Vec<&str> = lines.map(|line| &line[..42]).collect();
    let distinct: HashSet<&&str> = jobs.iter().collect();
    assert_eq!(distinct.len(), jobs.len(), "a job is in the journal twice");

    let split: HashSet<String> = parameters(&folder)
        .iter()
        .map(|line| line.split(',').take(11).collect::<Vec<_>>().join(","))
        .collect();
    // Propagation with its local terms cannot be split by parameter.
    for row in rows.iter().filter(|row| row.estimator != "propagation") {
        assert!(split.contains(&key(row)), "no parameters for {row:?}");
    }
    rows.len()
}

/// The first columns of a row, which tell it from all others.
fn key(row: &Record) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let number = |value: Option<u64>| value.map(|n| n.to_string()).unwrap_or_default();
    [
        row.experiment.clone(),
        row.estimator.clone(),
        row.matrix.clone(),
        text(&row.blocks),
        text(&row.product),
        text(&row.probe),
        text(&row.stream),
        number(row.v),
        number(row.v_batch),
        number(row.seed),
        row.repeat.to_string(),
    ]
    .join(",")
}

/// Steele, Lea, Flood (OOPSLA 2014), SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
