//! `[sampling]`: what estimators share unless they say otherwise, and where their probes begin.

use super::Probe;
use super::stream::{PhiloxStream, StreamKind};
use crate::curvature::{Access, Blocks, ProductKind};
use crate::error::UserError;
use crate::lists::{Batch, Batches, Counts, Seed, Seeds};
use crate::problem::generator::TorchGenerator;
use crate::problem::{ProblemSpec, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[sampling]` of a spec; an estimator may carry its own `V`, `V_batch`, `seeds` or `probe`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Numbers of probes.
    #[serde(default, rename = "V", skip_serializing_if = "Option::is_none")]
    pub v: Option<Counts>,
    /// Numbers of probes multiplied at once.
    #[serde(default, rename = "V_batch", skip_serializing_if = "Option::is_none")]
    pub v_batch: Option<Batches>,
    /// Memory that `V_batch = "auto"` may use: "512MiB", "2GiB".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Seeds of the probe streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// Distribution of the probes.
    #[serde(default)]
    pub probe: Probe,
    /// Their random numbers.
    #[serde(default)]
    pub stream: StreamKind,
}

impl Sampling {
    /// Enough for a fast V_batch, little enough for a laptop.
    const MEMORY: &str = "2GiB";

    /// The memory budget in bytes.
    ///
    /// # Errors
    /// What is no size.
    pub fn memory(&self) -> Result<u64, UserError> {
        let text = self.memory.as_deref().unwrap_or(Self::MEMORY);
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
            _ => Err(UserError::new(
                "sampling.memory",
                format!("found \"{text}\", expected a size"),
                "write for example memory = \"2GiB\"",
            )),
        }
    }
}

/// Where the random numbers of a run begin.
#[derive(Clone, Debug)]
pub enum Start {
    /// The first probe of this seed.
    Philox(u64),
    /// The next draw of this generator.
    Torch(TorchGenerator),
}

impl Start {
    /// The counter-based stream for `subject`.
    ///
    /// # Panics
    /// If this is PyTorch's stream, which a plan refuses where it is not defined.
    pub fn philox(&self, subject: &Subject) -> PhiloxStream {
        match self {
            Self::Philox(seed) => PhiloxStream::new(*seed, subject.kind(), subject.device()),
            Self::Torch(_) => unreachable!("the plan refuses stream \"torch\" here"),
        }
    }
}

/// How an estimator's `blocks` and `product` (`usual` if absent) reach the matrix of `problem`.
///
/// # Errors
/// A network without `blocks`, a matrix with either key.
pub(super) fn access(
    problem: &ProblemSpec,
    blocks: Option<Blocks>,
    product: Option<ProductKind>,
    usual: ProductKind,
) -> Result<Access, UserError> {
    let meaningless = |key: &str| {
        Err(UserError::new(
            key,
            format!("`{key}` means nothing to a given matrix, whose entries are known"),
            "remove it",
        ))
    };
    match (problem.is_network(), blocks, product) {
        (true, Some(blocks), product) => Ok(Access::Network {
            blocks,
            product: product.unwrap_or(usual),
        }),
        (true, None, _) => Err(UserError::new(
            "",
            "missing key `blocks`",
            "add `blocks = \"full\"` or `blocks = \"parameter\"`",
        )),
        (false, None, None) => Ok(Access::Matrix),
        (false, Some(_), _) => meaningless("blocks"),
        (false, None, Some(_)) => meaningless("product"),
    }
}

/// Expands a list that stands with an estimator (`own`), or else in `[sampling]`.
///
/// # Errors
/// A list that is in neither place, or holds what it must not.
pub(super) fn counts(
    own: &Option<Counts>,
    shared: &Option<Counts>,
    name: &str,
    example: &str,
) -> Result<Vec<u64>, UserError> {
    let (list, key) = pick(own, shared, name, example)?;
    list.expand().map_err(|error| error.within(&key))
}

/// Probes at once, as they stand with an estimator, or else in `[sampling]`.
///
/// # Errors
/// Sizes that are in neither place, or below 1.
pub(super) fn batches(
    own: &Option<Batches>,
    shared: &Option<Batches>,
) -> Result<Vec<Option<Batch>>, UserError> {
    let (batches, key) = pick(own, shared, "V_batch", "\"auto\"")?;
    let batches = batches.expand().map_err(|error| error.within(&key))?;
    Ok(batches.into_iter().map(Some).collect())
}

/// The seeds that stand with an estimator, or else in `[sampling]`.
///
/// # Errors
/// No seeds in either place, or an empty list.
pub(super) fn seeds(own: &Option<Seeds>, shared: &Option<Seeds>) -> Result<Vec<Seed>, UserError> {
    let (seeds, key) = pick(own, shared, "seeds", "[0]")?;
    seeds.expand().map_err(|error| error.within(&key))
}

fn pick<'a, T>(
    own: &'a Option<T>,
    shared: &'a Option<T>,
    name: &str,
    example: &str,
) -> Result<(&'a T, String), UserError> {
    match (own, shared) {
        (Some(own), _) => Ok((own, name.to_string())),
        (None, Some(shared)) => Ok((shared, format!("sampling.{name}"))),
        (None, None) => Err(UserError::new(
            "",
            format!("{name} is set neither here nor in [sampling]"),
            format!("add {name} = {example} to one of them"),
        )),
    }
}
