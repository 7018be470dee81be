//! One slice of a sample.

use super::axis::{more_than_one, sample_axis};
use super::linear_map::{FixedLinear, LinearMap};
use super::{Layer, LayerConfig, LayerError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// What stands at `index` of the axis `dim`, which goes (torch.select).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// The axis, the samples being axis 0; a negative one counts from the last.
    pub dim: i64,
    /// Where on it; a negative one counts from the end.
    pub index: i64,
}

impl LayerConfig for Select {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let dim = sample_axis("dim", self.dim, input)?;
        more_than_one(input)?;
        let size = input[dim - 1];
        if !(-size..size).contains(&self.index) {
            return Err(LayerError {
                expected: format!(
                    "`index` from -{size} to {}, as axis {} has {size} entries, found {}",
                    size - 1,
                    self.dim,
                    self.index
                ),
                remedy: "write index = 0 for the first".into(),
            });
        }
        let output = [&input[..dim - 1], &input[dim..]].concat();
        let layer = Slice {
            dim: dim as i64,
            index: self.index.rem_euclid(size),
            input: input.to_vec(),
        };
        Ok((Box::new(FixedLinear(layer)), output))
    }
}

#[derive(Clone, Debug)]
struct Slice {
    dim: i64,
    index: i64,
    input: Vec<i64>,
}

impl LinearMap for Slice {
    fn apply(&self, x: &Tensor) -> Tensor {
        x.select(self.dim, self.index)
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        let size = [&z.size()[..1], self.input.as_slice()].concat();
        let x = Tensor::zeros(size, (z.kind(), z.device()));
        x.select(self.dim, self.index).copy_(z);
        x
    }

    fn diagonal(&self, d: &Tensor) -> Option<Tensor> {
        Some(self.transpose(d))
    }
}
