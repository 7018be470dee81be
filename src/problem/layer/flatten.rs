//! Flattens a sample to a vector.

use super::{Layer, LayerConfig, LayerError, Local};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `[N, *in] -> [N, features]` (torch.nn.Flatten with its defaults).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl LayerConfig for Flatten {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let layer = Reshape {
            input: input.to_vec(),
        };
        Ok((Box::new(layer), vec![input.iter().product()]))
    }
}

#[derive(Clone, Debug)]
struct Reshape {
    input: Vec<i64>,
}

impl Layer for Reshape {
    fn forward(&self, x: &Tensor, _w: &[Tensor]) -> Tensor {
        x.flatten(1, -1)
    }

    fn at(&self, _x: &Tensor, _w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        Box::new(self.clone())
    }
}

impl Local for Reshape {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        dx.flatten(2, -1)
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        let size = gz.size();
        gz.reshape([&size[..2], &self.input].concat())
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        Some(d.reshape([&d.size()[..1], &self.input].concat()))
    }
}
