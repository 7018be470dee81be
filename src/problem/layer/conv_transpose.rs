//! Transposed convolution in one to three dimensions.

use super::conv::{divisible, one, ungrouped, yes, zero};
use super::convolution::Convolution;
use super::correlation::Correlation;
use super::window::{Window, channels};
use super::{Layer, LayerConfig, LayerError, PerDimension};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `z[c, t·stride + δ·dilation − padding] += Σ_o W[o, c, δ] x[o, t]`, plus `b[c]`, on inputs
/// `[channels, *spatial]` (torch.nn.ConvTranspose1d to 3d; in-channels are inferred).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose<const D: usize> {
    /// How many channels it puts out.
    pub out: i64,
    /// The size of the kernel.
    pub kernel_size: PerDimension<D>,
    /// How far it moves over the output.
    #[serde(default = "one::<D>")]
    pub stride: PerDimension<D>,
    /// What is cut off at both ends.
    #[serde(default = "zero::<D>")]
    pub padding: PerDimension<D>,
    /// What is added at the far end.
    #[serde(default = "zero::<D>")]
    pub output_padding: PerDimension<D>,
    /// Parts of the channels, each convolved by itself.
    #[serde(default = "ungrouped")]
    pub groups: i64,
    /// Whether `b` is there.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How far the kernel's entries are apart.
    #[serde(default = "one::<D>")]
    pub dilation: PerDimension<D>,
}

impl<const D: usize> ConvTranspose<D> {
    /// The layer with torch.nn's defaults for all other keys.
    pub fn new(out: i64, kernel_size: impl Into<PerDimension<D>>) -> Self {
        Self {
            out,
            kernel_size: kernel_size.into(),
            stride: one(),
            padding: zero(),
            output_padding: zero(),
            groups: ungrouped(),
            bias: yes(),
            dilation: one(),
        }
    }

    /// `(S − 1) stride − 2 padding + span + output_padding` along every dimension.
    fn positions(&self, window: &Window, spatial: &[i64]) -> Result<Vec<i64>, LayerError> {
        let added = self.output_padding.checked("output_padding", 0)?;
        let fits = |d: usize| added[d] < window.stride[d].max(window.dilation[d]);
        if !(0..D).all(fits) {
            return Err(LayerError {
                expected: format!("`output_padding` below stride or dilation, found {added:?}"),
                remedy: "make output_padding smaller".into(),
            });
        }
        let along = |d: usize| {
            let reached = (spatial[d] - 1) * window.stride[d] + window.span(d);
            reached - 2 * window.padding[d] + added[d]
        };
        let positions: Vec<i64> = (0..D).map(along).collect();
        match positions.iter().all(|&size| size > 0) {
            true => Ok(positions),
            false => Err(LayerError {
                expected: format!(
                    "`padding` that leaves something of its output, found {:?}",
                    window.padding
                ),
                remedy: "make padding smaller, or kernel_size larger".into(),
            }),
        }
    }
}

impl<const D: usize> LayerConfig for ConvTranspose<D> {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let (inputs, spatial) = channels(input, D)?;
        divisible(inputs, self.out, self.groups)?;
        let window = Window::new(self.kernel_size, self.stride, self.padding, self.dilation)?;
        let positions = self.positions(&window, spatial)?;
        let output = [&[self.out], positions.as_slice()].concat();
        let map = Correlation {
            window,
            groups: self.groups,
            a: output.clone(),
            b: input.to_vec(),
            transposed: true,
        };
        let layer = Convolution {
            map,
            bias: self.bias,
        };
        Ok((Box::new(layer), output))
    }
}
