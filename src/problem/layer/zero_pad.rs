//! Zero padding in one to three dimensions.

use super::linear_map::{FixedLinear, LinearMap};
use super::window::channels;
use super::{Layer, LayerConfig, LayerError, PerDimension};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Zeros around `[channels, *spatial]`, two `SIDES` per dimension (torch.nn.ZeroPad1d to 3d).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroPad<const SIDES: usize> {
    /// How many: left, right, top, bottom, front, back; negative ones cut off.
    pub padding: PerDimension<SIDES>,
}

impl<const SIDES: usize> LayerConfig for ZeroPad<SIDES> {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        channels(input, SIDES / 2)?;
        let sides = self
            .padding
            .checked("padding", -PerDimension::<SIDES>::MOST)?;
        // The first two sides are those of the last dimension.
        let mut output = input.to_vec();
        for (size, sides) in output.iter_mut().rev().zip(sides.chunks(2)) {
            *size += sides[0] + sides[1];
        }
        if output[1..].iter().any(|&size| size < 1) {
            return Err(LayerError {
                expected: format!("`padding` that leaves something of its input, found {sides:?}"),
                remedy: "cut off less".into(),
            });
        }
        Ok((Box::new(FixedLinear(Padding { sides })), output))
    }
}

#[derive(Clone, Debug)]
struct Padding {
    sides: Vec<i64>,
}

impl LinearMap for Padding {
    fn apply(&self, x: &Tensor) -> Tensor {
        x.constant_pad_nd(&self.sides)
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        let opposite: Vec<i64> = self.sides.iter().map(|side| -side).collect();
        z.constant_pad_nd(opposite)
    }

    fn diagonal(&self, d: &Tensor) -> Option<Tensor> {
        Some(self.transpose(d))
    }
}
