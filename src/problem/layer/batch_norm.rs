//! Batch normalisation, as it is in evaluation.

use super::affine::AffineSharing;
use super::conv::yes;
use super::normalisation::{
    BIAS, Normalised, Standardised, WEIGHT, check_epsilon, epsilon, scaled,
};
use super::window::channels;
use super::{Init, Layer, LayerConfig, LayerError, Local, ParameterShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = x̂ ∘ w + b` per channel of `[channels, *spatial]` with `x̂ = (x − mean)/√(var + ε)` of the
/// running statistics `running_mean` and `running_var` of the weights file, 0 and 1 without one
/// (torch.nn.BatchNorm1d to 3d in evaluation mode, in which no sample depends on another).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm<const D: usize> {
    /// `ε`.
    #[serde(default = "epsilon")]
    pub eps: f64,
    /// Whether `w` and `b` are there.
    #[serde(default = "yes")]
    pub affine: bool,
}

impl<const D: usize> Default for BatchNorm<D> {
    fn default() -> Self {
        Self {
            eps: epsilon(),
            affine: yes(),
        }
    }
}

impl<const D: usize> LayerConfig for BatchNorm<D> {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        check_epsilon(self.eps)?;
        // In one dimension a sample may also be a vector.
        if D > 1 || input.len() != 1 {
            channels(input, D)?;
        }
        let layer = RunningNorm {
            channels: AffineSharing {
                sample: input.to_vec(),
                parameter: input[..1].to_vec(),
                last: false,
            },
            eps: self.eps,
            affine: self.affine,
        };
        Ok((Box::new(layer), input.to_vec()))
    }
}

#[derive(Clone, Debug)]
struct RunningNorm {
    channels: AffineSharing,
    eps: f64,
    affine: bool,
}

impl Layer for RunningNorm {
    fn parameters(&self) -> Vec<ParameterShape> {
        self.channels.parameters(self.affine, self.affine)
    }

    fn buffers(&self) -> Vec<ParameterShape> {
        let statistic = |name, value| ParameterShape {
            name,
            shape: self.channels.parameter.clone(),
            init: Init::Constant { value },
        };
        vec![
            statistic("running_mean", 0.0),
            statistic("running_var", 1.0),
        ]
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        let (parameters, mean, var) = split(w);
        let (weight, bias) = (parameters.get(WEIGHT), parameters.get(BIAS));
        x.batch_norm(
            weight,
            bias,
            Some(mean),
            Some(var),
            false,
            0.0,
            self.eps,
            false,
        )
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        let (parameters, mean, var) = split(w);
        let slope = (self.channels.along(var) + self.eps).rsqrt();
        let standard = Running {
            value: ((x - self.channels.along(mean)) * &slope).contiguous(),
            slope,
        };
        let weight = parameters.get(WEIGHT).map(|w| self.channels.along(w));
        Box::new(Normalised::new(standard, weight, self.channels.clone()))
    }
}

/// The parameters, the running mean and the running variance.
fn split(w: &[Tensor]) -> (&[Tensor], &Tensor, &Tensor) {
    match w {
        [parameters @ .., mean, var] => (parameters, mean, var),
        _ => unreachable!("batch norm has two buffers"),
    }
}

/// `slope` is `∂x̂/∂x: [C, 1, ..]`.
struct Running {
    value: Tensor,
    slope: Tensor,
}

impl Standardised for Running {
    fn value(&self) -> &Tensor {
        &self.value
    }

    fn jacobian(&self, dx: &Tensor) -> Tensor {
        scaled(dx, &self.slope)
    }

    fn slope(&self) -> Option<&Tensor> {
        Some(&self.slope)
    }
}
