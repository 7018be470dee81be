//! Reads lists and ranges in every form in which a spec may write them.

use super::{CountRange, Counts, SeedRange, Seeds, VBatches};
use serde::Deserialize;

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> serde::de::Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn visit_i64<E: serde::de::Error>(self, one: i64) -> Result<Counts, E> {
        Ok(Counts::List(vec![one]))
    }

    fn visit_u64<E: serde::de::Error>(self, one: u64) -> Result<Counts, E> {
        // TOML's integers have 63 bits and a sign.
        Ok(Counts::List(vec![one as i64]))
    }

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "a list [10, 100] or a range { from = 10, to = 1000, steps = 30, scale = \"log\" }",
        )
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, items: A) -> Result<Counts, A::Error> {
        let items = serde::de::value::SeqAccessDeserializer::new(items);
        Vec::deserialize(items).map(Counts::List)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Counts, A::Error> {
        let map = serde::de::value::MapAccessDeserializer::new(map);
        CountRange::deserialize(map).map(Counts::Range)
    }
}

impl<'de> Deserialize<'de> for VBatches {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BatchesVisitor)
    }
}

struct BatchesVisitor;

impl<'de> serde::de::Visitor<'de> for BatchesVisitor {
    type Value = VBatches;

    fn visit_i64<E: serde::de::Error>(self, one: i64) -> Result<VBatches, E> {
        CountsVisitor.visit_i64(one).map(VBatches::Counts)
    }

    fn visit_u64<E: serde::de::Error>(self, one: u64) -> Result<VBatches, E> {
        CountsVisitor.visit_u64(one).map(VBatches::Counts)
    }

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list [10, 100] or \"auto\"")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, items: A) -> Result<VBatches, A::Error> {
        CountsVisitor.visit_seq(items).map(VBatches::Counts)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<VBatches, A::Error> {
        CountsVisitor.visit_map(map).map(VBatches::Counts)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<VBatches, E> {
        match text {
            "auto" => Ok(VBatches::Auto),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SeedsVisitor)
    }
}

struct SeedsVisitor;

impl<'de> serde::de::Visitor<'de> for SeedsVisitor {
    type Value = Seeds;

    fn visit_u64<E: serde::de::Error>(self, one: u64) -> Result<Seeds, E> {
        Ok(Seeds::List(vec![one]))
    }

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list [0, 1], a range { from = 0, count = 15 }, or \"continue\"")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, items: A) -> Result<Seeds, A::Error> {
        let items = serde::de::value::SeqAccessDeserializer::new(items);
        Vec::deserialize(items).map(Seeds::List)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Seeds, A::Error> {
        let map = serde::de::value::MapAccessDeserializer::new(map);
        SeedRange::deserialize(map).map(Seeds::Range)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Seeds, E> {
        match text {
            "continue" => Ok(Seeds::Continue),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }
}
