//! `[sampling]`: what estimators share unless they say otherwise, and where their probes begin.

use super::stream::{PhiloxStream, StreamKind};
use super::{Budget, Probe, Tolerance};
use crate::curvature::{Blocks, OperatorSpec, ProductKind};
use crate::error::UserError;
use crate::lists::{Counts, Seed, Seeds, VBatch, VBatches};
use crate::problem::generator::TorchGenerator;
use crate::problem::{Curvature, MatrixKind, Problem, ProblemSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[sampling]` of a spec; an estimator may carry its own `V`, `V_batch`, `seeds` or `probe`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Numbers of probes.
    #[serde(default, rename = "V", skip_serializing_if = "Option::is_none")]
    pub v: Option<Counts>,
    /// Instead of V: the error that is allowed, relative to the trace. Goes on until the interval
    /// is within `max(atol, rtol |trace|)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtol: Option<f64>,
    /// Instead of V: the absolute error that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atol: Option<f64>,
    /// Of intervals, and the share of runs that keep a tolerance: 0.95 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The most probes that a tolerance may cost: 100000 if absent.
    #[serde(default, rename = "max_V", skip_serializing_if = "Option::is_none")]
    pub max_v: Option<u64>,
    /// Numbers of probes multiplied at once.
    #[serde(default, rename = "V_batch", skip_serializing_if = "Option::is_none")]
    pub v_batch: Option<VBatches>,
    /// Memory that `V_batch = "auto"` and the exact trace may use: "512MiB", "2GiB".
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
    /// Targets drawn per sample for `matrix = "fisher_mc"`; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mc_samples: Option<u32>,
}

impl Sampling {
    /// A tolerance that needs more is likely not to be met at all.
    const MAX_V: u64 = 100_000;

    /// Enough for a fast V_batch, little enough for a laptop.
    const MEMORY: &str = "2GiB";

    /// The confidence of intervals.
    ///
    /// # Errors
    /// What is no probability between 0 and 1.
    pub fn confidence(&self) -> Result<f64, UserError> {
        match self.confidence.unwrap_or(0.95) {
            confidence if confidence > 0.0 && confidence < 1.0 => Ok(confidence),
            confidence => Err(UserError::new(
                "sampling.confidence",
                format!("found {confidence:?}, expected a number between 0 and 1"),
                "write for example confidence = 0.95",
            )),
        }
    }

    /// The tolerance, where one is given.
    ///
    /// # Errors
    /// A tolerance beside V, `max_V` without a tolerance, or what makes no sense.
    pub fn tolerance(&self) -> Result<Option<Tolerance>, UserError> {
        let confidence = self.confidence()?;
        let key = match (self.rtol, self.atol) {
            (None, None) if self.max_v.is_some() => {
                return Err(UserError::new(
                    "sampling.max_V",
                    "found max_V without a tolerance",
                    "add rtol = 0.01, or write V = [1000] instead",
                ));
            }
            (None, None) => return Ok(None),
            (Some(_), _) => "sampling.rtol",
            (None, Some(_)) => "sampling.atol",
        };
        if self.v.is_some() {
            return Err(UserError::new(
                key,
                "found a tolerance beside V",
                "keep one of them; an estimator may have a V of its own",
            ));
        }
        let most = self.max_v.unwrap_or(Self::MAX_V);
        let tolerance = Tolerance::new(self.rtol, self.atol, confidence, most);
        tolerance.map(Some).map_err(|e| e.within("sampling"))
    }

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
    /// The counter-based stream for `problem`.
    ///
    /// # Panics
    /// If this is PyTorch's stream, which a plan refuses where it is not defined.
    pub fn philox(&self, problem: &Problem) -> PhiloxStream {
        match self {
            Self::Philox(seed) => PhiloxStream::new(*seed, problem.kind(), problem.device()),
            Self::Torch(_) => unreachable!("the plan refuses stream \"torch\" here"),
        }
    }
}

/// How an estimator's `blocks` (all of the matrix if absent) and `product` (`usual` if absent) reach the
/// matrix of `problem`.
///
/// # Errors
/// A matrix with either key, or what [`curvature`] refuses.
pub(super) fn operator_spec(
    problem: &ProblemSpec,
    shared: &Sampling,
    matrix: Option<MatrixKind>,
    blocks: Option<Blocks>,
    product: Option<ProductKind>,
    usual: ProductKind,
) -> Result<OperatorSpec, UserError> {
    let curvature = curvature(problem, shared, matrix)?;
    let meaningless = |key: &str| Err(meaningless(key));
    match (problem.is_network(), blocks, product) {
        (true, blocks, product) => Ok(OperatorSpec::Network {
            curvature,
            blocks: blocks.unwrap_or(Blocks::Full),
            product: product.unwrap_or(usual),
        }),
        (false, None, None) => Ok(OperatorSpec::Matrix),
        (false, Some(_), _) => meaningless("blocks"),
        (false, None, Some(_)) => meaningless("product"),
    }
}

/// Which matrix of a network an estimator is about: the Hessian unless it says otherwise.
///
/// # Errors
/// A given matrix, which is the only one; no draws at all.
pub(super) fn curvature(
    problem: &ProblemSpec,
    shared: &Sampling,
    matrix: Option<MatrixKind>,
) -> Result<Curvature, UserError> {
    let samples = match shared.mc_samples {
        Some(0) => {
            let found = "found 0, expected at least 1";
            return Err(UserError::new(
                "sampling.mc_samples",
                found,
                "leave it out for 1",
            ));
        }
        samples => samples.unwrap_or(1),
    };
    match matrix {
        Some(_) if !problem.is_network() => Err(meaningless("matrix")),
        matrix => Ok(matrix.unwrap_or_default().with(samples)),
    }
}

fn meaningless(key: &str) -> UserError {
    UserError::new(
        key,
        format!("`{key}` means nothing to a given matrix, whose entries are known"),
        "remove it",
    )
}

/// V as it stands with an estimator (`own`), or else the tolerance or V of `[sampling]`, or else
/// `usual`.
///
/// # Errors
/// What makes no sense.
pub(super) fn budget(
    own: &Option<Counts>,
    shared: &Sampling,
    usual: i64,
) -> Result<Budget, UserError> {
    match shared.tolerance()? {
        Some(tolerance) if own.is_none() => Ok(Budget::Tolerance(tolerance)),
        _ => {
            let (list, key) = pick(own, &shared.v, "V", Counts::List(vec![usual]));
            let counts = list.expand().map_err(|error| error.within(&key))?;
            Ok(Budget::Counts(counts))
        }
    }
}

/// V as it stands with an estimator (`own`), or else in `[sampling]`, or else `usual`, for one that
/// has no rule to stop by.
///
/// # Errors
/// A tolerance in place of V, or what makes no sense.
pub(super) fn fixed_budget(
    own: &Option<Counts>,
    shared: &Sampling,
    usual: i64,
) -> Result<Budget, UserError> {
    match budget(own, shared, usual)? {
        Budget::Tolerance(_) => Err(UserError::new(
            "",
            "found a tolerance, which this estimator cannot stop by",
            format!("add V = {usual} here"),
        )),
        counts => Ok(counts),
    }
}

/// Probes at once, as they stand with an estimator, or else in `[sampling]`, or else found by a trial.
///
/// # Errors
/// Sizes below 1.
pub(super) fn batches(
    own: &Option<VBatches>,
    shared: &Option<VBatches>,
) -> Result<Vec<Option<VBatch>>, UserError> {
    let (batches, key) = pick(own, shared, "V_batch", VBatches::Auto);
    let batches = batches.expand().map_err(|error| error.within(&key))?;
    Ok(batches.into_iter().map(Some).collect())
}

/// The seeds that stand with an estimator, or else in `[sampling]`, or else 0.
///
/// # Errors
/// An empty list.
pub(super) fn seeds(own: &Option<Seeds>, shared: &Option<Seeds>) -> Result<Vec<Seed>, UserError> {
    let (seeds, key) = pick(own, shared, "seeds", Seeds::List(vec![0]));
    seeds.expand().map_err(|error| error.within(&key))
}

/// The seeds of an estimator whose probes only the Philox stream defines.
///
/// # Errors
/// Those of [`seeds`], and seeds or a stream that are PyTorch's.
pub(super) fn philox_seeds(
    own: &Option<Seeds>,
    shared: &Sampling,
) -> Result<Vec<Option<Seed>>, UserError> {
    let seeds = seeds(own, &shared.seeds)?;
    if shared.stream != StreamKind::Philox || seeds.contains(&Seed::Continue) {
        return Err(UserError::new(
            "sampling.stream",
            "stream \"torch\" is defined for kind = \"hutchinson\" alone",
            "write stream = \"philox\" and seeds = [0]",
        ));
    }
    Ok(seeds.into_iter().map(Some).collect())
}

/// A count that must not be zero.
///
/// # Errors
/// What is less.
pub(super) fn positive(key: &str, value: i64) -> Result<u64, UserError> {
    match u64::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(UserError::new(
            key,
            format!("found {value}, expected at least 1"),
            format!("write for example {key} = 10"),
        )),
    }
}

/// Refuses a problem whose matrices are not known to be positive semidefinite.
///
/// # Errors
/// With `reason`, why that would be needed.
pub(super) fn semidefinite(
    problem: &ProblemSpec,
    matrix: Option<MatrixKind>,
    reason: &str,
) -> Result<(), UserError> {
    let found = match problem {
        ProblemSpec::Network(_) if matrix.is_some_and(|m| m != MatrixKind::Hessian) => {
            return Ok(());
        }
        ProblemSpec::Network(_) => "a Hessian, which may have negative eigenvalues".to_string(),
        ProblemSpec::Matrix(spec) => match spec.indefinite() {
            None => return Ok(()),
            Some(name) => format!("the spectrum \"{name}\", which has negative eigenvalues"),
        },
    };
    Err(UserError::new(
        "",
        format!("found {found}: {reason}"),
        "take matrix = \"ggn\", or a spectrum that is positive semidefinite",
    ))
}

/// What stands with an estimator, or else in `[sampling]`, or else what is usual; and its key.
fn pick<T: Clone>(own: &Option<T>, shared: &Option<T>, name: &str, usual: T) -> (T, String) {
    match (own, shared) {
        (Some(own), _) => (own.clone(), name.to_string()),
        (None, Some(shared)) => (shared.clone(), format!("sampling.{name}")),
        (None, None) => (usual, name.to_string()),
    }
}
