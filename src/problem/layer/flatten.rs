//! Flattens axes of a sample to one.

use super::axis::sample_axis;
use super::{Layer, LayerConfig, LayerError, Local};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// The axes `start_dim` to `end_dim` as one (torch.nn.Flatten); by default all of a sample:
/// `[N, *in] -> [N, features]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flatten {
    /// The first of the axes, the samples being axis 0; a negative one counts from the last.
    #[serde(skip_serializing_if = "is_first")]
    pub start_dim: i64,
    /// The last of the axes.
    #[serde(skip_serializing_if = "is_last")]
    pub end_dim: i64,
}

const FIRST: i64 = 1;
const LAST: i64 = -1;

fn is_first(dim: &i64) -> bool {
    *dim == FIRST
}

fn is_last(dim: &i64) -> bool {
    *dim == LAST
}

impl Default for Flatten {
    fn default() -> Self {
        Self {
            start_dim: FIRST,
            end_dim: LAST,
        }
    }
}

impl LayerConfig for Flatten {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let layer = |output: Vec<i64>| {
            let input = input.to_vec();
            let layer: Box<dyn Layer> = Box::new(Reshape {
                input,
                output: output.clone(),
            });
            (layer, output)
        };
        if input.is_empty() && *self == Self::default() {
            return Ok(layer(vec![1]));
        }
        let start = sample_axis("start_dim", self.start_dim, input)?;
        let end = sample_axis("end_dim", self.end_dim, input)?;
        if start > end {
            return Err(LayerError {
                expected: format!(
                    "`end_dim` no axis before start_dim = {}, found {}",
                    self.start_dim, self.end_dim
                ),
                remedy: "leave both out to flatten all of a sample".into(),
            });
        }
        let flat = input[start - 1..end].iter().product();
        Ok(layer(
            [&input[..start - 1], &[flat], &input[end..]].concat(),
        ))
    }
}

#[derive(Clone, Debug)]
struct Reshape {
    input: Vec<i64>,
    output: Vec<i64>,
}

impl Layer for Reshape {
    fn forward(&self, x: &Tensor, _w: &[Tensor]) -> Tensor {
        in_shape(x, 1, &self.output)
    }

    fn at(&self, _x: &Tensor, _w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        Box::new(self.clone())
    }
}

impl Local for Reshape {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        in_shape(dx, 2, &self.output)
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        in_shape(gz, 2, &self.input)
    }

    fn reorders(&self) -> bool {
        true
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        Some(in_shape(d, 1, &self.input))
    }
}

/// `shape` in place of the axes from `leading` on.
fn in_shape(t: &Tensor, leading: usize, shape: &[i64]) -> Tensor {
    t.reshape([&t.size()[..leading], shape].concat())
}
