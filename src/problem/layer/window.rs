//! Sliding windows: the geometry that convolutions and pooling share.

use super::{LayerError, PerDimension};

/// A window of `kernel` entries, `dilation` apart, that moves by `stride` over an input with
/// `padding` entries added at both ends; one number per spatial dimension.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub kernel: Vec<i64>,
    pub stride: Vec<i64>,
    pub padding: Vec<i64>,
    pub dilation: Vec<i64>,
}

impl Window {
    /// The window, if its numbers make sense at all.
    pub fn new<const D: usize>(
        kernel: PerDimension<D>,
        stride: PerDimension<D>,
        padding: PerDimension<D>,
        dilation: PerDimension<D>,
    ) -> Result<Self, LayerError> {
        Ok(Self {
            kernel: kernel.checked("kernel_size", 1)?,
            stride: stride.checked("stride", 1)?,
            padding: padding.checked("padding", 0)?,
            dilation: dilation.checked("dilation", 1)?,
        })
    }

    /// How many entries it holds.
    pub fn entries(&self) -> i64 {
        self.kernel.iter().product()
    }

    /// From its first to its last entry: `dilation (kernel − 1) + 1`.
    pub fn span(&self, dimension: usize) -> i64 {
        self.dilation[dimension] * (self.kernel[dimension] - 1) + 1
    }

    /// Where it fits on an input of spatial shape `input`: `⌊(S + 2 padding − span) / stride⌋ + 1`.
    ///
    /// With `ceil` a last window may stand over the end, if it begins before that.
    pub fn positions(&self, input: &[i64], ceil: bool) -> Result<Vec<i64>, LayerError> {
        let along = |dimension: usize| {
            let (size, stride) = (input[dimension], self.stride[dimension]);
            let free = size + 2 * self.padding[dimension] - self.span(dimension);
            let steps = match ceil {
                true => (free + stride - 1).div_euclid(stride),
                false => free.div_euclid(stride),
            };
            let over = ceil && steps * stride >= size + self.padding[dimension];
            steps + 1 - i64::from(over)
        };
        let positions: Vec<i64> = (0..input.len()).map(along).collect();
        match positions.iter().all(|&count| count > 0) {
            true => Ok(positions),
            false => Err(self.too_large()),
        }
    }

    /// Pooling pads by half a window at most, as torch.nn has it.
    pub fn padded_by_half(&self) -> Result<(), LayerError> {
        match self
            .padding
            .iter()
            .zip(&self.kernel)
            .all(|(p, k)| 2 * p <= *k)
        {
            true => Ok(()),
            false => Err(LayerError {
                expected: format!(
                    "`padding` of at most half of kernel_size {:?}, found {:?}",
                    self.kernel, self.padding
                ),
                remedy: "make padding smaller".into(),
            }),
        }
    }

    fn too_large(&self) -> LayerError {
        let least = |d: usize| (self.span(d) - 2 * self.padding[d]).max(1);
        let least: Vec<i64> = (0..self.kernel.len()).map(least).collect();
        LayerError {
            expected: format!("at least {least:?} positions per channel under its kernel"),
            remedy: "make kernel_size or dilation smaller, or padding larger".into(),
        }
    }
}

/// Splits an input `[channels, *spatial]` with `dimensions` spatial ones.
pub(super) fn channels(input: &[i64], dimensions: usize) -> Result<(i64, &[i64]), LayerError> {
    match input {
        [channels, spatial @ ..] if spatial.len() == dimensions => Ok((*channels, spatial)),
        _ => Err(LayerError {
            expected: match dimensions {
                1 => "an input [channels, length]",
                2 => "an input [channels, height, width]",
                _ => "an input [channels, depth, height, width]",
            }
            .into(),
            remedy: "use the kind for as many dimensions as the data has, before any flatten"
                .into(),
        }),
    }
}
