//! `[sampling]`: what estimators share unless they say otherwise, and where their probes begin.

use super::stream::{PhiloxStream, StreamKind};
use super::{Probe, Tolerance};
use crate::error::UserError;
use crate::lists::{Counts, Seeds, VBatches};
use crate::problem::Problem;
use crate::problem::generator::TorchGenerator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

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
    /// Memory that `V_batch = "auto"` and the exact trace may use: "512MiB"; absent: "2GiB", on a GPU
    /// half of what is free.
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

    /// The memory budget in bytes, where one is given.
    ///
    /// # Errors
    /// What is no size.
    pub fn memory(&self) -> Result<Option<u64>, UserError> {
        let Some(text) = &self.memory else {
            return Ok(None);
        };
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if size.as_u64() > 0 => Ok(Some(size.as_u64())),
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
        self.philox_of(problem.kind(), problem.device())
    }

    /// The counter-based stream of vectors of this kind on `device`.
    ///
    /// # Panics
    /// As [`philox`](Self::philox).
    pub fn philox_of(&self, kind: Kind, device: Device) -> PhiloxStream {
        match self {
            Self::Philox(seed) => PhiloxStream::new(*seed, kind, device),
            Self::Torch(_) => unreachable!("the plan refuses stream \"torch\" here"),
        }
    }
}
