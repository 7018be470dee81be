//! Numbers per spatial dimension, as a spec writes them: `3`, or `[3, 5]`.

use super::LayerError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// One number for each of `D` dimensions; a spec may write one number that stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerDimension<const D: usize>(pub [i64; D]);

impl<const D: usize> PerDimension<D> {
    /// The most that any of them can sensibly be; more is taken for a slip of the pen.
    pub(super) const MOST: i64 = 1 << 24;

    /// The numbers, if each is at least `least`; `key` is what the spec calls them.
    pub(super) fn checked(&self, key: &str, least: i64) -> Result<Vec<i64>, LayerError> {
        match self.0.iter().find(|&n| !(least..=Self::MOST).contains(n)) {
            None => Ok(self.0.to_vec()),
            Some(found) => Err(LayerError {
                expected: format!("`{key}` from {least} to {}, found {found}", Self::MOST),
                remedy: format!("write for example {key} = {}", least.max(1)),
            }),
        }
    }
}

impl<const D: usize> From<i64> for PerDimension<D> {
    fn from(size: i64) -> Self {
        Self([size; D])
    }
}

impl<const D: usize> From<[i64; D]> for PerDimension<D> {
    fn from(sizes: [i64; D]) -> Self {
        Self(sizes)
    }
}

/// Written as a spec would write it: one number where all are equal.
impl<const D: usize> Serialize for PerDimension<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.iter().all(|&size| size == self.0[0]) {
            true => self.0[0].serialize(serializer),
            false => self.0.as_slice().serialize(serializer),
        }
    }
}

impl<'de, const D: usize> Deserialize<'de> for PerDimension<D> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        deserializer.deserialize_any(PerDimensionVisitor)
    }
}

impl<const D: usize> JsonSchema for PerDimension<D> {
    fn schema_name() -> Cow<'static, str> {
        format!("PerDimension{D}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let integer = json_schema!({ "type": "integer" });
        match D {
            1 => integer,
            _ => json_schema!({ "anyOf": [
                integer,
                { "type": "array", "items": integer, "minItems": D, "maxItems": D },
            ] }),
        }
    }
}

struct PerDimensionVisitor<const D: usize>;

impl<'de, const D: usize> Visitor<'de> for PerDimensionVisitor<D> {
    type Value = PerDimension<D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match D {
            1 => f.write_str("an integer"),
            _ => write!(f, "an integer or a list of {D} integers"),
        }
    }

    fn visit_i64<E: de::Error>(self, size: i64) -> Result<PerDimension<D>, E> {
        Ok(size.into())
    }

    fn visit_u64<E: de::Error>(self, size: u64) -> Result<PerDimension<D>, E> {
        i64::try_from(size)
            .map(PerDimension::from)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(size), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<PerDimension<D>, A::Error> {
        let mut sizes = Vec::with_capacity(D);
        while let Some(size) = items.next_element()? {
            sizes.push(size);
        }
        let count = sizes.len();
        let wrong = |_| {
            let found = format!("a list of {count}");
            de::Error::invalid_value(Unexpected::Other(&found), &self)
        };
        sizes.try_into().map(PerDimension).map_err(wrong)
    }
}
