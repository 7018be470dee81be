//! Adaptive average pooling in one to three dimensions.

use super::avg_pool::shape_only;
use super::linear_map::{FixedLinear, LinearMap};
use super::window::channels;
use super::{Layer, LayerConfig, LayerError, PerDimension};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Means over `output_size` parts of every dimension of `[channels, *spatial]`, part t of T from
/// `⌊tS/T⌋` to `⌈(t+1)S/T⌉` (torch.nn.AdaptiveAvgPool1d to 3d).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool<const D: usize> {
    /// The number of parts.
    pub output_size: PerDimension<D>,
}

impl<const D: usize> LayerConfig for AdaptiveAvgPool<D> {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let (features, _) = channels(input, D)?;
        let sizes = self.output_size.checked("output_size", 1)?;
        let output = [&[features], sizes.as_slice()].concat();
        let layer = AdaptiveMeans {
            sizes,
            input: input.to_vec(),
        };
        Ok((Box::new(FixedLinear(layer)), output))
    }
}

#[derive(Clone, Debug)]
struct AdaptiveMeans {
    sizes: Vec<i64>,
    input: Vec<i64>,
}

impl LinearMap for AdaptiveMeans {
    fn apply(&self, x: &Tensor) -> Tensor {
        match self.sizes.len() {
            1 => x.adaptive_avg_pool1d(&self.sizes),
            2 => x.adaptive_avg_pool2d(&self.sizes),
            _ => x.adaptive_avg_pool3d(&self.sizes),
        }
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        let x = shape_only(z, &self.input);
        match self.sizes.len() {
            // libtorch has the adjoint of two dimensions and up.
            1 => x
                .unsqueeze(2)
                .internal_adaptive_avg_pool2d_backward(&z.unsqueeze(2))
                .squeeze_dim(2),
            2 => x.internal_adaptive_avg_pool2d_backward(z),
            _ => x.internal_adaptive_avg_pool3d_backward(z),
        }
    }
}
