//! A vector for every position.

use super::own_entries::OwnEntries;
use super::{Init, Layer, LayerConfig, LayerError, Local, ParameterShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = x + w` on `[T, D]`: a vector of its own for every position, the same for all samples. It
/// starts normal of variance 1, as torch.nn.Embedding does.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PositionalEmbedding {}

impl LayerConfig for PositionalEmbedding {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        positions(input)?;
        let layer = Positions {
            shape: input.to_vec(),
        };
        Ok((Box::new(layer), input.to_vec()))
    }
}

/// T and D of an input `[T, D]`.
///
/// # Errors
/// An input of another rank.
pub(super) fn positions(input: &[i64]) -> Result<(i64, i64), LayerError> {
    match *input {
        [positions, features] => Ok((positions, features)),
        _ => Err(LayerError {
            expected: "an input [positions, features]".into(),
            remedy: "give it two axes, for example by an embedding of [positions] tokens".into(),
        }),
    }
}

#[derive(Debug)]
struct Positions {
    shape: Vec<i64>,
}

impl Layer for Positions {
    fn parameters(&self) -> Vec<ParameterShape> {
        vec![ParameterShape {
            name: "weight",
            shape: self.shape.clone(),
            init: Init::Normal { zero: None },
        }]
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        x + &w[0]
    }

    fn at(&self, _x: &Tensor, w: &[Tensor], z: &Tensor) -> Box<dyn Local> {
        Box::new(OwnEntries {
            weight: w[0].shallow_clone(),
            output: z.size(),
            rows: self.shape[0],
            before: 0,
        })
    }
}
