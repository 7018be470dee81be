//! Average pooling in one to three dimensions.

use super::conv::{yes, zero};
use super::linear_map::{FixedLinear, LinearMap};
use super::window::{Window, channels};
use super::{Layer, LayerConfig, LayerError, PerDimension};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z[c, t] = mean_δ x[c, t·stride + δ − padding]` on inputs `[channels, *spatial]`
/// (torch.nn.AvgPool1d, AvgPool2d, AvgPool3d).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool<const D: usize> {
    /// The size of the window.
    pub kernel_size: PerDimension<D>,
    /// How far it moves; absent: by its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<PerDimension<D>>,
    /// Zeros added at both ends.
    #[serde(default = "zero::<D>")]
    pub padding: PerDimension<D>,
    /// Whether a last window may stand over the end.
    #[serde(default)]
    pub ceil_mode: bool,
    /// Whether the added zeros count for the mean.
    #[serde(default = "yes")]
    pub count_include_pad: bool,
    /// What the sum is divided by instead of the number of entries (not in one dimension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divisor_override: Option<i64>,
}

impl<const D: usize> AvgPool<D> {
    /// The layer with torch.nn's defaults for all other keys.
    pub fn new(kernel_size: impl Into<PerDimension<D>>) -> Self {
        Self {
            kernel_size: kernel_size.into(),
            stride: None,
            padding: zero(),
            ceil_mode: false,
            count_include_pad: yes(),
            divisor_override: None,
        }
    }
}

impl<const D: usize> LayerConfig for AvgPool<D> {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let (features, spatial) = channels(input, D)?;
        let stride = self.stride.unwrap_or(self.kernel_size);
        let window = Window::new(self.kernel_size, stride, self.padding, 1.into())?;
        window.padded_by_half()?;
        let positions = window.positions(spatial, self.ceil_mode)?;
        if let Some(divisor) = self.divisor_override.filter(|&n| n < 1 || D == 1) {
            return Err(LayerError {
                expected: format!(
                    "`divisor_override` of at least 1, or none in one dimension, found {divisor}"
                ),
                remedy: "leave it out to divide by the number of entries".into(),
            });
        }
        let layer = AvgPooling {
            window,
            ceil: self.ceil_mode,
            include: self.count_include_pad,
            divisor: self.divisor_override,
            input: input.to_vec(),
        };
        let output = [&[features], positions.as_slice()].concat();
        Ok((Box::new(FixedLinear(layer)), output))
    }
}

#[derive(Clone, Debug)]
struct AvgPooling {
    window: Window,
    ceil: bool,
    include: bool,
    divisor: Option<i64>,
    input: Vec<i64>,
}

impl LinearMap for AvgPooling {
    fn apply(&self, x: &Tensor) -> Tensor {
        let Window {
            kernel: k,
            stride: s,
            padding: p,
            ..
        } = &self.window;
        match k.len() {
            1 => x.avg_pool1d(k, s, p, self.ceil, self.include),
            2 => x.avg_pool2d(k, s, p, self.ceil, self.include, self.divisor),
            _ => x.avg_pool3d(k, s, p, self.ceil, self.include, self.divisor),
        }
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        let Window {
            kernel: k,
            stride: s,
            padding: p,
            ..
        } = &self.window;
        let x = shape_only(z, &self.input);
        match k.len() {
            // libtorch has the adjoint of two dimensions and up.
            1 => x
                .unsqueeze(2)
                .avg_pool2d_backward(
                    &z.unsqueeze(2),
                    [1, k[0]],
                    [1, s[0]],
                    [0, p[0]],
                    self.ceil,
                    self.include,
                    None,
                )
                .squeeze_dim(2),
            2 => x.avg_pool2d_backward(z, k, s, p, self.ceil, self.include, self.divisor),
            _ => x.avg_pool3d_backward(z, k, s, p, self.ceil, self.include, self.divisor),
        }
    }
}

/// A tensor `[B, *input]` of which libtorch looks at the shape only; it holds one number.
pub(super) fn shape_only(z: &Tensor, input: &[i64]) -> Tensor {
    let shape = [&z.size()[..1], input].concat();
    Tensor::zeros([1], (z.kind(), z.device())).expand(shape, false)
}
