//! Convolution in one to three dimensions.

use super::convolution::Convolution;
use super::correlation::Correlation;
use super::window::{Window, channels};
use super::{Layer, LayerConfig, LayerError, PerDimension};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `z[o, t] = b[o] + Σ_{c, δ} W[o, c, δ] x[c, t·stride + δ·dilation − padding]` on inputs
/// `[channels, *spatial]` (torch.nn.Conv1d, Conv2d, Conv3d; in-channels are inferred).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Conv<const D: usize> {
    /// How many channels it puts out.
    pub out: i64,
    /// The size of the kernel.
    pub kernel_size: PerDimension<D>,
    /// How far it moves.
    #[serde(default = "one::<D>")]
    pub stride: PerDimension<D>,
    /// Zeros added at both ends.
    #[serde(default = "zero::<D>")]
    pub padding: PerDimension<D>,
    /// How far its entries are apart.
    #[serde(default = "one::<D>")]
    pub dilation: PerDimension<D>,
    /// Parts of the channels, each convolved by itself.
    #[serde(default = "ungrouped")]
    pub groups: i64,
    /// Whether `b` is there.
    #[serde(default = "yes")]
    pub bias: bool,
}

pub(super) fn one<const D: usize>() -> PerDimension<D> {
    1.into()
}

pub(super) fn zero<const D: usize>() -> PerDimension<D> {
    0.into()
}

pub(super) fn ungrouped() -> i64 {
    1
}

pub(super) fn yes() -> bool {
    true
}

impl<const D: usize> Conv<D> {
    /// The layer with torch.nn's defaults for all other keys.
    pub fn new(out: i64, kernel_size: impl Into<PerDimension<D>>) -> Self {
        Self {
            out,
            kernel_size: kernel_size.into(),
            stride: one(),
            padding: zero(),
            dilation: one(),
            groups: ungrouped(),
            bias: yes(),
        }
    }
}

impl<const D: usize> LayerConfig for Conv<D> {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let (inputs, spatial) = channels(input, D)?;
        divisible(inputs, self.out, self.groups)?;
        let window = Window::new(self.kernel_size, self.stride, self.padding, self.dilation)?;
        let positions = window.positions(spatial, false)?;
        let output = [&[self.out], positions.as_slice()].concat();
        let map = Correlation {
            window,
            groups: self.groups,
            a: input.to_vec(),
            b: output.clone(),
            transposed: false,
        };
        let layer = Convolution {
            map,
            bias: self.bias,
        };
        Ok((Box::new(layer), output))
    }
}

/// Channels that fall into as many groups.
pub(super) fn divisible(inputs: i64, out: i64, groups: i64) -> Result<(), LayerError> {
    let wrong = |expected: String, remedy: &str| {
        Err(LayerError {
            expected,
            remedy: remedy.into(),
        })
    };
    if out < 1 {
        let remedy = "write the number of out-channels, for example out = 16";
        return wrong(format!("`out` of at least 1, found {out}"), remedy);
    }
    if groups < 1 {
        let remedy = "leave `groups` out for a convolution over all channels";
        return wrong(format!("`groups` of at least 1, found {groups}"), remedy);
    }
    if inputs % groups != 0 || out % groups != 0 {
        return wrong(
            format!(
                "`groups` that divide in- and out-channels, {inputs} and {out}, found {groups}"
            ),
            "leave `groups` out for a convolution over all channels",
        );
    }
    Ok(())
}
