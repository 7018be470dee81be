//! Which entries of a matrix are seen: all, or those of diagonal blocks.

use crate::error::UserError;
use crate::problem::Network;
use glob::Pattern;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Range;

/// Which entries of the matrix a product sees; every choice has the same trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Blocks {
    /// The whole matrix.
    Full,
    /// Its block diagonal, one block per parameter tensor.
    Parameter,
    /// One block per layer.
    Layer,
    /// One block per pattern of parameter names, in which `*` stands for any text, `?` for one
    /// character and `[ab]` for one of these.
    Patterns(Vec<String>),
}

/// The parameters of every block, by their numbers; each parameter is in one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition(Vec<Vec<usize>>);

impl Partition {
    /// The parameters of every block.
    pub fn blocks(&self) -> impl Iterator<Item = &[usize]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Whether every block is of a single parameter, in their order.
    pub fn by_parameter(&self) -> bool {
        self.0.iter().enumerate().all(|(i, block)| block == &[i])
    }
}

impl Blocks {
    /// The blocks of `network`.
    ///
    /// # Errors
    /// A parameter that no pattern matches, or that two of them do; a pattern without parameters, or
    /// what is no pattern.
    pub fn of(&self, network: &Network) -> Result<Partition, UserError> {
        let count = network.parameters().len();
        Ok(Partition(match self {
            Self::Full => vec![(0..count).collect()],
            Self::Parameter => (0..count).map(|i| vec![i]).collect(),
            Self::Layer => network.layers().map(Range::collect).collect(),
            Self::Patterns(patterns) => by_patterns(patterns, network)?,
        }))
    }
}

fn by_patterns(patterns: &[String], network: &Network) -> Result<Vec<Vec<usize>>, UserError> {
    let wrong = |message: String, help: &str| Err(UserError::new("blocks", message, help));
    let mut globs = Vec::new();
    for text in patterns {
        match Pattern::new(text) {
            Ok(glob) => globs.push(glob),
            Err(error) => {
                return wrong(
                    format!("found \"{text}\", which is no pattern: {}", error.msg),
                    "`*` stands for any text, `?` for one character, `[ab]` for one of these",
                );
            }
        }
    }
    let mut blocks = vec![Vec::new(); patterns.len()];
    for (index, parameter) in network.parameters().iter().enumerate() {
        let name = &parameter.name;
        let matches: Vec<usize> = (0..patterns.len())
            .filter(|&block| globs[block].matches(name))
            .collect();
        match matches[..] {
            [block] => blocks[block].push(index),
            [] => {
                let message = format!("no pattern matches the parameter \"{name}\"");
                return wrong(
                    message,
                    "add a pattern for it, for example \"*\" for all the rest",
                );
            }
            [a, b, ..] => {
                let (a, b) = (&patterns[a], &patterns[b]);
                let message = format!("\"{a}\" and \"{b}\" both match the parameter \"{name}\"");
                return wrong(
                    message,
                    "make the patterns narrower: a parameter is in one block",
                );
            }
        }
    }
    match blocks.iter().position(Vec::is_empty) {
        Some(empty) => wrong(
            format!("\"{}\" matches no parameter", patterns[empty]),
            "names are those of the state_dict, as \"0.weight\" or \"3.body.1.bias\"",
        ),
        None => Ok(blocks),
    }
}

/// Written as in a spec.
impl fmt::Display for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Parameter => f.write_str("parameter"),
            Self::Layer => f.write_str("layer"),
            Self::Patterns(patterns) => f.write_str(&patterns.join(" ")),
        }
    }
}

impl Serialize for Blocks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Patterns(patterns) => patterns.serialize(serializer),
            name => serializer.collect_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Blocks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BlocksVisitor)
    }
}

struct BlocksVisitor;

impl<'de> Visitor<'de> for BlocksVisitor {
    type Value = Blocks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"full\", \"parameter\", \"layer\" or a list of name patterns [\"0.*\", \"2.*\"]",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Blocks, E> {
        match text {
            "full" => Ok(Blocks::Full),
            "parameter" => Ok(Blocks::Parameter),
            "layer" => Ok(Blocks::Layer),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Blocks, A::Error> {
        let items = de::value::SeqAccessDeserializer::new(items);
        Vec::deserialize(items).map(Blocks::Patterns)
    }
}

impl JsonSchema for Blocks {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Blocks".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "enum": ["full", "parameter", "layer"] },
            { "type": "array", "items": { "type": "string" } },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let cases = [
            ("0.weight", "0.weight", true),
            ("0.*", "0.weight", true),
            ("0.*", "10.weight", false),
            ("*.bias", "3.body.1.bias", true),
            ("?.weight", "10.weight", false),
            ("[01].weight", "1.weight", true),
            ("*", "", true),
            ("*body*bias", "3.body.1.bias", true),
            ("", "0.weight", false),
        ];
        for (pattern, name, expected) in cases {
            let glob = Pattern::new(pattern).unwrap();
            assert_eq!(glob.matches(name), expected, "{pattern} {name}");
        }
    }
}
