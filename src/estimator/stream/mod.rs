//! Streams of random probes.

mod torch;

pub use torch::TorchStream;

use serde::{Deserialize, Serialize};

/// Which random numbers a spec's probes are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// libtorch's CPU generator, drawn chunk by chunk as BackPACK's example draws.
    #[default]
    Torch,
}
