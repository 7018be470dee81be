//! Permutes the axes of a sample.

use super::linear_map::{FixedLinear, LinearMap};
use super::{Layer, LayerConfig, LayerError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Axis i of the output is axis `dims[i]` of the input, the samples staying axis 0 (torch.permute).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Permute {
    /// All axes in their new order, the samples first: `[0, 2, 1]`.
    pub dims: Vec<i64>,
}

impl LayerConfig for Permute {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let all: Vec<i64> = (0..=input.len() as i64).collect();
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if sorted != all || self.dims[0] != 0 {
            let reversed = all[1..].iter().rev().copied();
            let example: Vec<i64> = all[..1].iter().copied().chain(reversed).collect();
            return Err(LayerError {
                expected: format!(
                    "`dims` with each of the axes {all:?} of its input once, the samples' 0 first, found {:?}",
                    self.dims
                ),
                remedy: format!("write for example dims = {example:?}"),
            });
        }
        let output = self.dims[1..].iter().map(|&d| input[d as usize - 1]);
        let output = output.collect();
        let layer = Permutation {
            dims: self.dims.clone(),
        };
        Ok((Box::new(FixedLinear(layer)), output))
    }
}

#[derive(Clone, Debug)]
struct Permutation {
    dims: Vec<i64>,
}

impl LinearMap for Permutation {
    fn apply(&self, x: &Tensor) -> Tensor {
        x.permute(&self.dims)
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        let mut inverse = vec![0; self.dims.len()];
        for (i, &d) in self.dims.iter().enumerate() {
            inverse[d as usize] = i as i64;
        }
        z.permute(&inverse)
    }

    fn reorders(&self) -> bool {
        true
    }

    fn diagonal(&self, d: &Tensor) -> Option<Tensor> {
        Some(self.transpose(d))
    }
}
