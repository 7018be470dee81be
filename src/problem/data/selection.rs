//! Which samples an experiment looks at: how many at once, how many batches, in which order.

use super::Order;
use crate::error::UserError;
use crate::problem::generator::TorchGenerator;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{self, Formatter};

/// How many batches: a number, or `"all"` that the data set has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum BatchCount {
    /// The first so many.
    Number(i64),
    /// As many as hold every sample once.
    #[serde(serialize_with = "as_all")]
    #[schemars(schema_with = "all_schema")]
    All,
}

fn as_all<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("all")
}

fn all_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": "all" })
}

impl Default for BatchCount {
    fn default() -> Self {
        Self::Number(1)
    }
}

/// Declares what a spec says of a data set: keys of its own, then `batch`, `batches` and `order`, by
/// which its samples are selected.
macro_rules! selected_data {
    ($(#[$meta:meta])* pub struct $Name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[derive(serde::Deserialize, schemars::JsonSchema, serde::Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct $Name {
            $($own)*
            /// Samples in a batch; absent: all.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub batch: Option<i64>,
            /// How many batches.
            #[serde(default)]
            pub batches: $crate::problem::data::BatchCount,
            /// Which samples come first.
            #[serde(default)]
            pub order: $crate::problem::data::Order,
        }

        impl $Name {
            /// Which of `len` samples make up the batches.
            ///
            /// # Errors
            /// More samples or batches than there are.
            fn selection(
                &self,
                len: usize,
            ) -> Result<$crate::problem::data::Selection, $crate::error::UserError> {
                let Self { batch, batches, order, .. } = *self;
                $crate::problem::data::Selection::new(batch, batches, order, len)
            }
        }
    };
}
pub(super) use selected_data;

/// Which samples of a data set make up the batches; checked against its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Samples in a batch; the last one of a data set may have fewer.
    pub batch: usize,
    /// How many batches.
    pub batches: usize,
    /// Which samples come first.
    pub order: Order,
}

impl Selection {
    /// What was asked for of `len` samples; `batch` absent: all of them at once.
    ///
    /// # Errors
    /// More samples or batches than there are.
    pub fn new(
        batch: Option<i64>,
        batches: BatchCount,
        order: Order,
        len: usize,
    ) -> Result<Self, UserError> {
        let within = |n: i64, most: usize| n >= 1 && n as u64 <= most as u64;
        let batch = match batch {
            None => len,
            Some(batch) if within(batch, len) => batch as usize,
            Some(batch) => {
                return Err(UserError::new(
                    "batch",
                    format!(
                        "found {batch}, expected 1 to {len}, the number of samples in the data"
                    ),
                    "write a number in that range, or leave `batch` out to take all samples",
                ));
            }
        };
        let most = len.div_ceil(batch);
        let batches = match batches {
            BatchCount::All => most,
            BatchCount::Number(number) if within(number, most) => number as usize,
            BatchCount::Number(number) => {
                return Err(UserError::new(
                    "batches",
                    format!(
                        "found {number}, expected 1 to {most}, as {len} samples make {most} batches of {batch}"
                    ),
                    "write a number in that range, or batches = \"all\"",
                ));
            }
        };
        Ok(Self {
            batch,
            batches,
            order,
        })
    }

    /// The rows of every batch, from a data set of `len` samples.
    pub fn rows(&self, len: usize, generator: &mut TorchGenerator) -> Vec<Vec<i64>> {
        let order = self.order.rows(len, generator);
        let batches = order.chunks(self.batch).take(self.batches);
        batches.map(<[i64]>::to_vec).collect()
    }

    /// How many samples of `len` there are in all batches.
    pub fn samples(&self, len: usize) -> usize {
        len.min(self.batch * self.batches)
    }
}

impl<'de> Deserialize<'de> for BatchCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BatchCountVisitor)
    }
}

struct BatchCountVisitor;

impl Visitor<'_> for BatchCountVisitor {
    type Value = BatchCount;

    fn expecting(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str("a number of batches, or \"all\"")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<BatchCount, E> {
        Ok(BatchCount::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<BatchCount, E> {
        match i64::try_from(number) {
            Ok(number) => Ok(BatchCount::Number(number)),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<BatchCount, E> {
        match text {
            "all" => Ok(BatchCount::All),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }
}
