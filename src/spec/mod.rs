//! What a user may write: the TOML spec (format 1), as types.
//!
//! Everything here is shape only; whether it makes sense is for the [plan](crate::plan) to say.

mod de;
mod de_error;
pub(crate) mod example;
mod look;
pub(crate) mod missing;
mod overrides;
mod reference;
mod schema;
mod text;

pub use look::show_errors_plainly;
pub use overrides::Override;
pub use reference::reference;
pub use schema::schema;
pub use text::{SpecError, SpecText};

use crate::estimator::{EstimatorSpec, Sampling};
use crate::problem::checkpoints::Weights;
use crate::problem::data::DataSpec;
use crate::problem::layer::LayerSpec;
use crate::problem::loss::LossSpec;
use crate::problem::{Names, ProblemSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One experiment.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Results go to `results/<name>/` under the current directory; absent: the name of the file.
    #[serde(default)]
    pub name: String,
    /// Whether the question is how estimates converge, or what they cost.
    #[serde(default)]
    pub kind: ExperimentKind,
    /// "auto", "cpu", "cuda", "cuda:N", or "cuda:*", which spreads jobs over all cards.
    #[serde(default = "auto")]
    pub device: String,
    /// The floating-point type.
    #[serde(default)]
    pub dtype: Dtype,
    /// Whether a GPU may round products and convolutions in float32 to TF32, of 10 bits: faster, and
    /// `dtype` in the records is then "tf32".
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tf32: bool,
    /// libtorch threads, or jobs side by side; absent: as many as there are cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// What the curvature is of: a network, unless it says otherwise.
    #[serde(default, skip_serializing_if = "ProblemSpec::is_network")]
    pub problem: ProblemSpec,
    /// Where the batch of a network comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataSpec>,
    /// The network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelSpec>,
    /// The loss of a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossSpec>,
    /// What estimators share.
    #[serde(default)]
    pub sampling: Sampling,
    /// How often a timed job runs.
    #[serde(default)]
    pub timing: Timing,
    /// What is compared; absent: the trace, in the best way that the network allows.
    #[serde(default)]
    pub estimator: Vec<EstimatorSpec>,
    /// Where a spec came from, in the manifest of an earlier run; not read.
    #[serde(default, skip_serializing)]
    pub manifest: Ignored,
}

/// A table whose content does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(from = "serde::de::IgnoredAny")]
#[schemars(with = "serde_json::Value")]
pub struct Ignored;

impl From<serde::de::IgnoredAny> for Ignored {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}

fn auto() -> String {
    "auto".into()
}

impl Spec {
    /// Reads a spec from its text.
    ///
    /// # Errors
    /// The first mistake in syntax, keys or types, with its place.
    pub fn parse(source: &SpecText) -> Result<Self, SpecError> {
        let mut spec: Self = source.deserialize()?;
        if !source.has("name") {
            let stem = source.path.file_stem().unwrap_or_default();
            spec.name = stem.to_string_lossy().into_owned();
        }
        Ok(spec)
    }

    /// Everything that names a file or folder.
    pub fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let data = match &mut self.data {
            Some(DataSpec::Mnist(data)) => vec![&mut data.root],
            Some(DataSpec::Cifar10(data)) => vec![&mut data.root],
            Some(DataSpec::Safetensors(data)) => vec![&mut data.path],
            Some(DataSpec::Npz(data)) => vec![&mut data.path],
            Some(DataSpec::Npy(data)) => vec![&mut data.x, &mut data.y],
            Some(DataSpec::Classification(_) | DataSpec::Regression(_)) | None => vec![],
        };
        let model = self.model.as_mut().into_iter().flat_map(|model| {
            let weights = model.weights.iter_mut().flat_map(Weights::entries_mut);
            weights.chain(&mut model.torchscript)
        });
        data.into_iter().chain(model).collect()
    }
}

/// What an experiment is about: how estimates converge, or what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentKind {
    /// The estimate against V, for many seeds.
    #[default]
    Convergence,
    /// The cost of every estimate: serial, repeated.
    Timing,
}

/// The floating-point type of parameters, data and products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32 bits.
    #[default]
    Float32,
    /// 64 bits.
    Float64,
}

/// `[model]`: the layers, and the parameters they have.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// `torch.manual_seed(seed)` before the layers are initialised.
    #[serde(default)]
    pub seed: u64,
    /// Safetensors files with the state_dict; absent: as initialised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// What parameters are called, instead of by their position: `{ 0 = "conv1", "3.body.1" = "block.c1" }`
    /// makes `block.c1.weight` of `3.body.1.weight`, in the weights and in all results.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub names: Names,
    /// From the input up; required without `torchscript`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerSpec>,
    /// A TorchScript file in place of layers and weights, for autodiff products alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torchscript: Option<PathBuf>,
}

/// `[timing]`: repetitions of a timing experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Runs before the first that counts.
    #[serde(default = "one")]
    pub warmup: u64,
    /// Runs that count.
    #[serde(default = "five")]
    pub repeats: u64,
}

fn one() -> u64 {
    1
}

fn five() -> u64 {
    5
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            warmup: one(),
            repeats: five(),
        }
    }
}
