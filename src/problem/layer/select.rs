//! One slice of a sample.

use super::axis::{more_than_one, sample_axis};
use super::linear_map::{FixedLinear, LinearMap};
use super::{Layer, LayerConfig, LayerError, Place};
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
        let layer = Slice(Place {
            axis: dim as i64 - 1 - input.len() as i64,
            index: self.index.rem_euclid(size),
            places: size,
        });
        Ok((Box::new(FixedLinear(layer)), output))
    }
}

/// A layer that puts out what stands at a place, on an axis that keeps that place alone.
pub(in crate::problem) fn kept(place: Place) -> Box<dyn Layer> {
    Box::new(FixedLinear(Narrow(place)))
}

/// A layer that takes away the axis of a place, where that has no other.
pub(in crate::problem) fn alone(place: Place) -> Box<dyn Layer> {
    Box::new(FixedLinear(Slice(Place {
        index: 0,
        places: 1,
        ..place
    })))
}

/// What stands at a place, without its axis.
#[derive(Clone, Debug)]
struct Slice(Place);

impl LinearMap for Slice {
    fn place(&self) -> Option<Place> {
        Some(self.0)
    }

    fn apply(&self, x: &Tensor) -> Tensor {
        x.select(self.0.axis, self.0.index)
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        self.0.spread(&z.unsqueeze(self.0.axis), self.0.axis)
    }

    fn diagonal(&self, d: &Tensor) -> Option<Tensor> {
        Some(self.transpose(d))
    }
}

/// What stands at a place, with its axis.
#[derive(Clone, Debug)]
struct Narrow(Place);

impl LinearMap for Narrow {
    fn apply(&self, x: &Tensor) -> Tensor {
        x.narrow(self.0.axis, self.0.index, 1)
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        self.0.spread(z, self.0.axis)
    }

    fn diagonal(&self, d: &Tensor) -> Option<Tensor> {
        Some(self.transpose(d))
    }
}
