//! A batch of a data set: samples that are looked at together.

use tch::{Device, Kind, Tensor};

/// Samples that are looked at together, and what their loss counts for in that of all batches.
///
/// A batch of many may lie as it does in its file until its turn comes: see [`Batch::placed`].
#[derive(Debug)]
pub struct Batch {
    /// The inputs, `[N, *in]`.
    pub inputs: Tensor,
    /// What the loss compares the outputs with.
    pub targets: Tensor,
    /// Which positions of every sample may be looked at, `[N, T]`: 1 for those, 0 for padding; absent:
    /// all.
    pub mask: Option<Tensor>,
    /// What the batch's loss is multiplied with, so that the products add up to the loss of all.
    pub weight: f64,
    /// How many samples lie in the batches before.
    pub first: u64,
    /// What is still to be done with 8-bit inputs.
    pub normalisation: Option<Normalisation>,
}

/// A clone is another handle on the same tensors: nothing is copied.
impl Clone for Batch {
    fn clone(&self) -> Self {
        Self {
            inputs: self.inputs.shallow_clone(),
            targets: self.targets.shallow_clone(),
            mask: self.mask.as_ref().map(Tensor::shallow_clone),
            ..*self
        }
    }
}

impl Batch {
    /// A batch by itself, of weight 1.
    pub fn new(inputs: Tensor, targets: Tensor) -> Self {
        Self {
            inputs,
            targets,
            mask: None,
            weight: 1.0,
            first: 0,
            normalisation: None,
        }
    }

    /// Some of its samples, as a batch by itself.
    pub(super) fn slice(&self, first: i64, count: i64) -> Self {
        Self {
            inputs: self.inputs.narrow(0, first, count),
            targets: self.targets.narrow(0, first, count),
            mask: self.mask.as_ref().map(|mask| mask.narrow(0, first, count)),
            weight: 1.0,
            first: 0,
            normalisation: self.normalisation,
        }
    }

    /// How many samples it has.
    pub fn len(&self) -> usize {
        self.inputs.size()[0] as usize
    }

    /// Whether it has no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch as it is computed with: on `device`, inputs normalised, floats of `kind`, a mask
    /// in truth values.
    ///
    /// Nothing is copied where that is so already.
    pub fn placed(&self, device: Device, kind: Kind) -> Self {
        let inputs = self.inputs.to_device(device);
        let inputs = match self.normalisation {
            None => inputs,
            Some(normalisation) => normalisation.apply(&inputs),
        };
        let targets = self.targets.to_device(device);
        Self {
            inputs: inputs.to_kind(kind),
            targets: match targets.is_floating_point() {
                true => targets.to_kind(kind),
                false => targets.to_kind(Kind::Int64),
            },
            mask: self
                .mask
                .as_ref()
                .map(|mask| mask.to_device(device).to_kind(Kind::Bool)),
            weight: self.weight,
            first: self.first,
            normalisation: None,
        }
    }
}

/// Scaling of 8-bit pixels, in float32 as torchvision's ToTensor and Normalize.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Mean of the scaled pixels, of every channel.
    pub mean: &'static [f64],
    /// Their standard deviation.
    pub deviation: &'static [f64],
}

impl Normalisation {
    /// `(x / 255 − mean) / deviation` in float32.
    pub fn apply(&self, pixels: &Tensor) -> Tensor {
        let each = |values: &[f64]| {
            let values = Tensor::from_slice(values).to_kind(Kind::Float);
            values.to_device(pixels.device()).reshape([-1, 1, 1])
        };
        ((pixels.to_kind(Kind::Float) / 255.0) - each(self.mean)) / each(self.deviation)
    }
}
