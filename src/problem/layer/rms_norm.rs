//! Root mean square normalisation.

use super::affine::AffineSharing;
use super::conv::yes;
use super::normalisation::{Normalised, WEIGHT, check_epsilon};
use super::standardise::{Centre, StandardisedGroups};
use super::{Layer, LayerConfig, LayerError, Local, ParameterShape};
use crate::problem::tensors::epsilon;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// `z = w ∘ x/√(mean x² + ε)`, the mean over the last axes of a sample, for each place before them
/// (torch.nn.RMSNorm; Zhang, Sennrich, NeurIPS 2019, arXiv:1910.07467).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RmsNorm {
    /// The shape of those last axes, a list: `[64]`.
    pub normalized_shape: Vec<i64>,
    /// `ε`; absent: the distance from 1 to the next number of the dtype, as in torch.nn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// Whether `w` is there.
    #[serde(default = "yes")]
    pub elementwise_affine: bool,
}

impl RmsNorm {
    /// As torch.nn.RMSNorm(shape).
    pub fn new(shape: &[i64]) -> Self {
        Self {
            normalized_shape: shape.to_vec(),
            eps: None,
            elementwise_affine: yes(),
        }
    }
}

impl LayerConfig for RmsNorm {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        self.eps.map_or(Ok(()), check_epsilon)?;
        let layer = Normalisation {
            entries: AffineSharing::of_last(&self.normalized_shape, input)?,
            eps: self.eps,
            weight: self.elementwise_affine,
        };
        Ok((Box::new(layer), input.to_vec()))
    }
}

#[derive(Clone, Debug)]
struct Normalisation {
    entries: AffineSharing,
    eps: Option<f64>,
    weight: bool,
}

impl Normalisation {
    fn eps(&self, kind: Kind) -> f64 {
        self.eps.unwrap_or_else(|| epsilon(kind))
    }
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
        self.entries.parameters(self.weight, false)
    }

    /// Written out: libtorch's own function has no second derivative on every device.
    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        let axes: Vec<i64> = (1..=self.entries.parameter.len() as i64)
            .map(|a| -a)
            .collect();
        let mean = x.square().mean_dim(axes, true, None::<Kind>);
        let normal = x * (mean + self.eps(x.kind())).rsqrt();
        match w.get(WEIGHT) {
            Some(weight) => normal * weight,
            None => normal,
        }
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        let m = self.entries.parameter.iter().product();
        let standard = StandardisedGroups::new(x, m, self.eps(x.kind()), Centre::Zero);
        let weight = w.get(WEIGHT).map(|w| self.entries.along(w));
        Box::new(Normalised::new(standard, weight, self.entries.clone()))
    }
}
