//! The mean over an axis of a sample.

use super::axis::{more_than_one, sample_axis};
use super::linear_map::{FixedLinear, LinearMap};
use super::{Layer, LayerConfig, LayerError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The mean over the axis `dim`, which goes (torch.mean).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// The axis, the samples being axis 0; a negative one counts from the last.
    pub dim: i64,
}

impl LayerConfig for Mean {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let dim = sample_axis("dim", self.dim, input)?;
        more_than_one(input)?;
        let output = [&input[..dim - 1], &input[dim..]].concat();
        let layer = MeanOver {
            dim: dim as i64,
            size: input[dim - 1],
        };
        Ok((Box::new(FixedLinear(layer)), output))
    }
}

#[derive(Clone, Debug)]
struct MeanOver {
    dim: i64,
    size: i64,
}

impl LinearMap for MeanOver {
    fn apply(&self, x: &Tensor) -> Tensor {
        x.mean_dim(self.dim, false, None::<Kind>)
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        let z = (z / self.size as f64).unsqueeze(self.dim);
        let mut size = z.size();
        size[self.dim as usize] = self.size;
        z.expand(&size, false)
    }
}
