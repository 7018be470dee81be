//! Group normalisation.

use super::affine::AffineSharing;
use super::conv::yes;
use super::normalisation::{BIAS, Normalised, WEIGHT, check_epsilon, epsilon};
use super::standardise::{Centre, StandardisedGroups};
use super::{Layer, LayerConfig, LayerError, Local, ParameterShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = x̂ ∘ w + b`, w and b per channel of `[channels, *spatial]`, with
/// `x̂ = (x − mean)/√(var + ε)`, mean and variance over each of `num_groups` groups of channels
/// (torch.nn.GroupNorm).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// How many groups the channels are cut into.
    pub num_groups: i64,
    /// `ε`.
    #[serde(default = "epsilon")]
    pub eps: f64,
    /// Whether `w` and `b` are there.
    #[serde(default = "yes")]
    pub affine: bool,
}

impl GroupNorm {
    /// As torch.nn.GroupNorm(groups, ..).
    pub fn new(groups: i64) -> Self {
        Self {
            num_groups: groups,
            eps: epsilon(),
            affine: yes(),
        }
    }
}

impl LayerConfig for GroupNorm {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        check_epsilon(self.eps)?;
        let Some(&channels) = input.first() else {
            return Err(LayerError {
                expected: "an input [channels, *spatial]".into(),
                remedy: "remove it".into(),
            });
        };
        if self.num_groups < 1 || channels % self.num_groups != 0 {
            return Err(LayerError {
                expected: format!(
                    "`num_groups` that divides {channels} channels, found {}",
                    self.num_groups
                ),
                remedy: "write num_groups = 1 for one group of all channels".into(),
            });
        }
        let layer = Normalisation {
            channels: AffineSharing {
                sample: input.to_vec(),
                parameter: vec![channels],
                last: false,
            },
            groups: self.num_groups,
            eps: self.eps,
            affine: self.affine,
        };
        Ok((Box::new(layer), input.to_vec()))
    }
}

#[derive(Debug)]
struct Normalisation {
    channels: AffineSharing,
    groups: i64,
    eps: f64,
    affine: bool,
}

impl Layer for Normalisation {
    fn is_curved(&self) -> bool {
        true
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        self.channels.parameters(self.affine, self.affine)
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        let (weight, bias) = (w.get(WEIGHT), w.get(BIAS));
        x.group_norm(self.groups, weight, bias, self.eps, false)
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        let entries: i64 = self.channels.sample.iter().product();
        let standard = StandardisedGroups::new(x, entries / self.groups, self.eps, Centre::Mean);
        let weight = w.get(WEIGHT).map(|w| self.channels.along(w));
        Box::new(Normalised::new(standard, weight, self.channels.clone()))
    }
}
