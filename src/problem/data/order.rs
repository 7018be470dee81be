//! Which samples make up the batch.

use crate::problem::generator::TorchGenerator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The order in which samples are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As PyTorch's shuffling DataLoader draws its first epoch, after the layers are initialised.
    Torch,
    /// The order of the file.
    #[default]
    Given,
}

impl Order {
    /// All of `len` samples in this order; draws from the global stream as PyTorch.
    ///
    /// The loader takes its base seed, then the sampler the seed of its own generator, whose
    /// `randperm(len)` is the order.
    pub fn rows(self, len: usize, generator: &mut TorchGenerator) -> Vec<i64> {
        match self {
            Self::Given => (0..len as i64).collect(),
            Self::Torch => {
                let _base_seed = generator.int63();
                let seed = generator.int63();
                TorchGenerator::seeded(seed as u64).permutation(len)
            }
        }
    }
}
