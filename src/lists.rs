//! Lists and ranges of numbers.

mod read;

use crate::error::UserError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Positive integers: `[5, 10, 20]`, or `{ from = 10, to = 1000, steps = 30, scale = "log" }`; `5` is a
/// list of one.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Counts {
    /// As they stand.
    List(#[schemars(schema_with = "one_or_list::<i64>")] Vec<i64>),
    /// From one number to another.
    Range(CountRange),
}

/// `steps` integers from `from` to `to`, both included.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CountRange {
    /// The first.
    pub from: i64,
    /// The last.
    pub to: i64,
    /// How many.
    pub steps: i64,
    /// How they are spaced.
    #[serde(default)]
    pub scale: Scale,
}

/// How a range is spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal steps.
    #[default]
    Linear,
    /// As `torch.logspace(log10(from), log10(to), steps).int()`.
    Log,
}

/// A list, or one number for a list of one.
fn one_or_list<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (one, list) = (T::json_schema(generator), Vec::<T>::json_schema(generator));
    json_schema!({ "anyOf": [one, list] })
}

/// Probes at once: a list or range like V, or `"auto"`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum VBatches {
    /// Each of these.
    Counts(Counts),
    /// The fastest that the memory budget allows, found by a short trial.
    #[serde(serialize_with = "as_auto")]
    #[schemars(schema_with = "auto_schema")]
    Auto,
}

fn as_auto<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("auto")
}

fn auto_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": "auto" })
}

/// One number of probes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VBatch {
    /// This many.
    Fixed(u64),
    /// To be found.
    Auto,
}

impl VBatches {
    /// The sizes one by one.
    ///
    /// # Errors
    /// Those of [`Counts::expand`].
    pub fn expand(&self) -> Result<Vec<VBatch>, UserError> {
        match self {
            Self::Auto => Ok(vec![VBatch::Auto]),
            Self::Counts(counts) => Ok(counts.expand()?.into_iter().map(VBatch::Fixed).collect()),
        }
    }
}

/// Seeds of probe streams: `[0, 1]`, `{ from = 0, count = 15 }`, or `"continue"`; `5` is the one seed 5,
/// not five seeds.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Seeds {
    /// As they stand.
    List(#[schemars(schema_with = "one_or_list::<u64>")] Vec<u64>),
    /// So many, one after another.
    Range(SeedRange),
    /// No seed: the draws go on where the model's initialisation, the data's order and the
    /// estimators before have left the stream, as in a script with one global generator.
    #[serde(serialize_with = "as_continue")]
    #[schemars(schema_with = "continue_schema")]
    Continue,
}

/// `count` seeds from `from` on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SeedRange {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u64,
}

fn as_continue<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("continue")
}

fn continue_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": "continue" })
}

impl Counts {
    /// The numbers in rising order, each once.
    ///
    /// # Errors
    /// An empty list, a number below 1, or a range that does not rise.
    pub fn expand(&self) -> Result<Vec<u64>, UserError> {
        let mut counts = match self {
            Self::List(list) => list.clone(),
            Self::Range(range) => range.expand()?,
        };
        if counts.is_empty() {
            return Err(UserError::new(
                "",
                "found an empty list, expected at least one number",
                "write for example [10, 100, 1000]",
            ));
        }
        if let Some(low) = counts.iter().find(|&&count| count < 1) {
            return Err(UserError::new(
                "",
                format!("found {low}, expected integers of at least 1"),
                "remove it or write a positive number",
            ));
        }
        counts.sort_unstable();
        counts.dedup();
        Ok(counts.into_iter().map(|count| count as u64).collect())
    }
}

impl CountRange {
    /// Most steps that make sense; more are taken for a slip of the pen.
    const MOST_STEPS: i64 = 100_000;

    fn expand(&self) -> Result<Vec<i64>, UserError> {
        let example = "write for example { from = 10, to = 1000, steps = 30, scale = \"log\" }";
        let wrong = |key, found: String| Err(UserError::new(key, found, example));
        let most = Self::MOST_STEPS;
        if self.from < 1 {
            return wrong("from", format!("found {}, expected at least 1", self.from));
        }
        if self.to < self.from {
            let (from, to) = (self.from, self.to);
            return wrong("to", format!("found {to}, expected at least from = {from}"));
        }
        if !(1..=most).contains(&self.steps) {
            let steps = self.steps;
            return wrong("steps", format!("found {steps}, expected 1 to {most}"));
        }
        let last = (self.steps - 1).max(1) as f64;
        let (from, to) = (self.from as f64, self.to as f64);
        let between = |i: i64| {
            let part = i as f64 / last;
            let value = match self.scale {
                Scale::Linear => from + part * (to - from),
                Scale::Log => from * (to / from).powf(part),
            };
            // Rounded down like `.int()`, but 10.0 that came out as 9.999999999 stays 10.
            (value * (1.0 + 1e-12)) as i64
        };
        Ok((0..self.steps).map(between).collect())
    }
}

/// One seed of a probe stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seed {
    /// A stream of its own.
    Value(u64),
    /// See [`Seeds::Continue`].
    Continue,
}

impl Seeds {
    /// The seeds one by one.
    ///
    /// # Errors
    /// No seeds at all, one twice, or numbers beyond 64 bits.
    pub fn expand(&self) -> Result<Vec<Seed>, UserError> {
        let seeds: Vec<u64> = match self {
            Self::Continue => return Ok(vec![Seed::Continue]),
            Self::List(list) => list.clone(),
            Self::Range(range) => range.expand()?,
        };
        if seeds.is_empty() {
            return Err(UserError::new(
                "",
                "found no seeds, expected at least one",
                "write for example seeds = { from = 0, count = 15 }",
            ));
        }
        let mut known = HashSet::new();
        if let Some(twice) = seeds.iter().find(|&&seed| !known.insert(seed)) {
            return Err(UserError::new(
                "",
                format!("found the seed {twice} twice, which gives the same result twice"),
                "write each seed once",
            ));
        }
        Ok(seeds.into_iter().map(Seed::Value).collect())
    }
}

impl SeedRange {
    /// Most seeds that make sense; more are taken for a slip of the pen.
    const MOST: u64 = 1_000_000;

    fn expand(&self) -> Result<Vec<u64>, UserError> {
        match self.from.checked_add(self.count) {
            Some(end) if self.count <= Self::MOST => Ok((self.from..end).collect()),
            _ => Err(UserError::new(
                "count",
                format!("found {}, expected at most {}", self.count, Self::MOST),
                "write for example { from = 0, count = 15 }",
            )),
        }
    }
}
