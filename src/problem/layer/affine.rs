//! Scales and shifts that entries of a sample share.

use super::channel_bias::ChannelBias;
use super::channels::{ChannelSum, channel_sums};
use super::{Init, LayerError, ParameterShape};
use crate::problem::tensors::plus_product;
use tch::Tensor;

/// Which entries of a sample share a scale and a shift.
#[derive(Clone, Debug)]
pub(super) struct AffineSharing {
    /// A sample's shape.
    pub sample: Vec<i64>,
    /// The parameters' shape: the first axis of a sample, or its last ones.
    pub parameter: Vec<i64>,
    /// Whether it is the last axes that parameters lie along.
    pub last: bool,
}

impl AffineSharing {
    /// Parameters along the last axes of an `input`, which have the shape `last`.
    ///
    /// # Errors
    /// An input that does not end so.
    pub fn of_last(last: &[i64], input: &[i64]) -> Result<Self, LayerError> {
        if last.is_empty() || !input.ends_with(last) {
            return Err(LayerError {
                expected: format!("an input whose last axes are normalized_shape, {last:?}"),
                remedy: format!("write normalized_shape = {:?}", input.last().as_slice()),
            });
        }
        Ok(Self {
            sample: input.to_vec(),
            parameter: last.to_vec(),
            last: true,
        })
    }

    /// The same for samples with a single place on an axis before those of the parameters, counted from -1.
    pub fn at_one_place(mut self, axis: i64) -> Option<Self> {
        if !self.last || axis >= -(self.parameter.len() as i64) {
            return None;
        }
        let place = self.sample.len() as i64 + axis;
        self.sample[place as usize] = 1;
        Some(self)
    }

    /// A weight of ones and a bias of zeros, those of them that are there.
    pub fn parameters(&self, weight: bool, bias: bool) -> Vec<ParameterShape> {
        let constant = |name, value| ParameterShape {
            name,
            shape: self.parameter.clone(),
            init: Init::Constant { value },
        };
        let weight = weight.then(|| constant("weight", 1.0));
        let bias = bias.then(|| constant("bias", 0.0));
        weight.into_iter().chain(bias).collect()
    }

    /// A parameter in a shape that broadcasts over a sample.
    pub fn along(&self, parameter: &Tensor) -> Tensor {
        match self.last {
            true => parameter.shallow_clone(),
            false => {
                let ones = vec![1; self.sample.len() - 1];
                parameter.reshape([&[-1], ones.as_slice()].concat())
            }
        }
    }

    /// `y ∘ a`, or a at every entry that shares it: `[N, *sample], [K, *parameter] -> [K, N, *sample]`.
    pub fn spread(&self, y: Option<&Tensor>, a: &Tensor, samples: i64) -> Tensor {
        if self.last {
            let a = self.by_sample(&self.bias().tangent(&a.flatten(1, -1), samples));
            return y.map_or_else(|| a.shallow_clone(), |y| &a * y);
        }
        let sum = match y {
            Some(y) => ChannelSum {
                weighted: Some((y, a)),
                ..ChannelSum::default()
            },
            None => ChannelSum {
                shift: Some(a),
                ..ChannelSum::default()
            },
        };
        sum.of(a.size()[0], &[&[samples], self.sample.as_slice()].concat())
    }

    /// That added to `sum: [K, N, *sample]` in its place.
    pub fn plus_spread(&self, mut sum: Tensor, y: Option<&Tensor>, a: &Tensor) -> Tensor {
        let samples = sum.size()[1];
        match y {
            Some(y) if self.last => plus_product(sum, &self.spread(None, a, samples), y),
            y => {
                sum += self.spread(y, a, samples);
                sum
            }
        }
    }

    /// The transpose of that: `Σ y ∘ z` over the entries that share a parameter's and over samples.
    pub fn gather(&self, y: Option<&Tensor>, z: &Tensor) -> Tensor {
        let sums = match self.last {
            true => {
                let z = y.map_or_else(|| z.shallow_clone(), |y| z * y);
                self.bias().adjoint(&self.by_channel(&z))
            }
            false => channel_sums(z, y),
        };
        sums.reshape([&z.size()[..1], self.parameter.as_slice()].concat())
    }

    pub fn numel(&self) -> i64 {
        self.parameter.iter().product()
    }

    /// Entries that share a parameter's.
    pub fn positions(&self) -> i64 {
        self.sample.iter().product::<i64>() / self.numel()
    }

    pub fn bias(&self) -> ChannelBias {
        ChannelBias {
            output: vec![self.numel(), self.positions()],
        }
    }

    /// `[K, N, *sample] -> [K, N, numel, positions]`.
    pub fn by_channel(&self, z: &Tensor) -> Tensor {
        let (c, p) = (self.numel(), self.positions());
        let kn = &z.size()[..2];
        match self.last {
            true => z.reshape([kn, &[p, c]].concat()).transpose(2, 3),
            false => z.reshape([kn, &[c, p]].concat()),
        }
    }

    /// `[K, N, numel, positions] -> [K, N, *sample]`.
    pub fn by_sample(&self, z: &Tensor) -> Tensor {
        let z = match self.last {
            true => z.transpose(2, 3),
            false => z.shallow_clone(),
        };
        z.reshape([&z.size()[..2], self.sample.as_slice()].concat())
    }
}
