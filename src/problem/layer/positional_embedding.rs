//! A vector for every position.

use super::own_entries::OwnEntries;
use super::{Init, Layer, LayerConfig, LayerError, Local, ParameterShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = x + w` on `[T, D]`: a vector of its own for every position, the same for all samples. It
/// starts normal of variance 1, as torch.nn.Embedding does, and at zero where it is frozen.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PositionalEmbedding {
    /// Whether w is a constant from the weights file and no parameter, such as sines of the position (Vaswani
    /// et al., NeurIPS 2017, arXiv:1706.03762).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
}

impl LayerConfig for PositionalEmbedding {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        positions(input)?;
        let layer = Positions {
            shape: input.to_vec(),
            frozen: self.frozen,
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
    frozen: bool,
}

impl Positions {
    fn weight(&self, init: Init) -> Vec<ParameterShape> {
        vec![ParameterShape {
            name: "weight",
            shape: self.shape.clone(),
            init,
        }]
    }
}

impl Layer for Positions {
    fn parameters(&self) -> Vec<ParameterShape> {
        match self.frozen {
            true => Vec::new(),
            false => self.weight(Init::Normal { zero: None }),
        }
    }

    fn buffers(&self) -> Vec<ParameterShape> {
        match self.frozen {
            true => self.weight(Init::Constant { value: 0.0 }),
            false => Vec::new(),
        }
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        x + &w[0]
    }

    fn at(&self, _x: &Tensor, w: &[Tensor], z: &Tensor) -> Box<dyn Local> {
        if self.frozen {
            return Box::new(Shift);
        }
        Box::new(OwnEntries {
            weight: w[0].shallow_clone(),
            output: z.size(),
            rows: self.shape[0],
            before: 0,
        })
    }
}

/// `z = x + c`.
struct Shift;

impl Local for Shift {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        dx.shallow_clone()
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        gz.shallow_clone()
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        Some(d.shallow_clone())
    }
}
