//! Streams of random probes.

mod bits;
mod on_card;
mod philox;
mod torch;

pub use crate::problem::random::philox;
pub use philox::{PhiloxStream, Space};
pub use torch::TorchStream;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which random numbers a spec's probes are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Counter-based: the k-th probe of a seed is the same vector whatever else is asked.
    #[default]
    Philox,
    /// libtorch's CPU generator, drawn chunk by chunk as BackPACK's example draws.
    Torch,
}
