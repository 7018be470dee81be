//! Layer normalisation.

use super::affine::AffineSharing;
use super::conv::yes;
use super::normalisation::{BIAS, Normalised, WEIGHT, check_epsilon, epsilon};
use super::standardise::{Centre, StandardisedGroups};
use super::{Layer, LayerConfig, LayerError, Local, ParameterShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = x̂ ∘ w + b` with `x̂ = (x − mean)/√(var + ε)`, mean and variance over the last axes of a
/// sample, for each place before them (torch.nn.LayerNorm).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// The shape of those last axes, a list: `[64]`.
    pub normalized_shape: Vec<i64>,
    /// `ε`.
    #[serde(default = "epsilon")]
    pub eps: f64,
    /// Whether `w` and `b` are there.
    #[serde(default = "yes")]
    pub elementwise_affine: bool,
    /// Whether `b` is there, beside `w`.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl LayerNorm {
    /// As torch.nn.LayerNorm(shape).
    pub fn new(shape: &[i64]) -> Self {
        Self {
            normalized_shape: shape.to_vec(),
            eps: epsilon(),
            elementwise_affine: yes(),
            bias: yes(),
        }
    }
}

impl LayerConfig for LayerNorm {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        check_epsilon(self.eps)?;
        let layer = Normalisation {
            entries: AffineSharing::of_last(&self.normalized_shape, input)?,
            eps: self.eps,
            weight: self.elementwise_affine,
            bias: self.elementwise_affine && self.bias,
        };
        Ok((Box::new(layer), input.to_vec()))
    }
}

#[derive(Clone, Debug)]
struct Normalisation {
    entries: AffineSharing,
    eps: f64,
    weight: bool,
    bias: bool,
}

impl Layer for Normalisation {
    fn is_curved(&self) -> bool {
        true
    }

    fn at_one_place(&self, axis: i64) -> Option<Box<dyn Layer>> {
        let entries = self.entries.clone().at_one_place(axis)?;
        Some(Box::new(Self {
            entries,
            ..self.clone()
        }))
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        self.entries.parameters(self.weight, self.bias)
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        let (weight, bias) = (w.get(WEIGHT), w.get(BIAS));
        x.layer_norm(&self.entries.parameter, weight, bias, self.eps, false)
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        let m = self.entries.parameter.iter().product();
        let standard = StandardisedGroups::new(x, m, self.eps, Centre::Mean);
        let weight = w.get(WEIGHT).map(|w| self.entries.along(w));
        Box::new(Normalised::new(standard, weight, self.entries.clone()))
    }
}
