//! Batch normalisation, as it is in evaluation.

use super::channel_bias::ChannelBias;
use super::conv::yes;
use super::elementwise::finite;
use super::window::channels;
use super::{Config, Init, Layer, Local, LocalParameters, Misfit, ParameterShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `z = x̂ ∘ w + b` per channel of `[channels, *spatial]` with `x̂ = (x − mean)/√(var + ε)` of the
/// running statistics, mean 0 and var 1 as torch.nn initialises them (torch.nn.BatchNorm1d to 3d in
/// evaluation mode, in which no sample depends on another).
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

fn epsilon() -> f64 {
    1e-5
}

impl<const D: usize> Default for BatchNorm<D> {
    fn default() -> Self {
        Self {
            eps: epsilon(),
            affine: yes(),
        }
    }
}

impl<const D: usize> Config for BatchNorm<D> {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), Misfit> {
        finite("eps", self.eps)?;
        if self.eps < 0.0 {
            return Err(Misfit {
                expected: format!("`eps` of 0 or more, found {}", self.eps),
                remedy: "leave it out for torch.nn's default, 1e-5".into(),
            });
        }
        // In one dimension a sample may also be a vector.
        if D > 1 || input.len() != 1 {
            channels(input, D)?;
        }
        let layer = Normalisation {
            shape: input.to_vec(),
            eps: self.eps,
            affine: self.affine,
        };
        Ok((Box::new(layer), input.to_vec()))
    }
}

const WEIGHT: usize = 0;
const BIAS: usize = 1;

#[derive(Clone, Debug)]
struct Normalisation {
    shape: Vec<i64>,
    eps: f64,
    affine: bool,
}

impl Layer for Normalisation {
    fn parameters(&self) -> Vec<ParameterShape> {
        let parameter = |name, value| ParameterShape {
            name,
            shape: self.shape[..1].to_vec(),
            init: Init::Constant { value },
        };
        match self.affine {
            true => vec![parameter("weight", 1.0), parameter("bias", 0.0)],
            false => Vec::new(),
        }
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        let options = (x.kind(), x.device());
        let mean = Tensor::zeros(&self.shape[..1], options);
        let var = mean.ones_like();
        let (weight, bias) = (w.get(WEIGHT), w.get(BIAS));
        x.batch_norm(
            weight,
            bias,
            Some(&mean),
            Some(&var),
            false,
            0.0,
            self.eps,
            false,
        )
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        let slope = 1.0 / (1.0 + self.eps).sqrt();
        let along = [&self.shape[..1], vec![1; self.shape.len() - 1].as_slice()].concat();
        let scale = match w.get(WEIGHT) {
            Some(weight) => weight.reshape(&along) * slope,
            None => Tensor::full(along.as_slice(), slope, (x.kind(), x.device())),
        };
        Box::new(LocalNormalisation {
            normal: x * slope,
            slope,
            scale,
            affine: self.affine,
            bias: ChannelBias {
                output: self.shape.clone(),
            },
        })
    }
}

/// `normal` is `x̂: [N, *in]`, `scale` is `∂z/∂x: [C, 1, ..]`, `slope` is `∂x̂/∂x`.
struct LocalNormalisation {
    normal: Tensor,
    slope: f64,
    scale: Tensor,
    affine: bool,
    bias: ChannelBias,
}

impl Local for LocalNormalisation {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        dx * &self.scale
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        gz * &self.scale
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        Some(d * self.scale.square())
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        self.affine.then_some(self)
    }
}

impl LocalNormalisation {
    /// The rules of the weight are those of the bias with `x̂ ∘ s` for s.
    fn seen_by(&self, i: usize, s: &Tensor) -> Tensor {
        match i {
            BIAS => s.shallow_clone(),
            _ => s * &self.normal,
        }
    }
}

impl LocalParameters for LocalNormalisation {
    fn shape(&self, _i: usize) -> Vec<i64> {
        self.bias.output[..1].to_vec()
    }

    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        self.seen_by(i, &self.bias.tangent(dw, self.normal.size()[0]))
    }

    fn adjoint(&self, i: usize, gz: &Tensor) -> Tensor {
        self.bias.adjoint(&self.seen_by(i, gz))
    }

    /// `g ∘ dw ∘ ∂x̂/∂x`.
    fn mixed_input(&self, i: usize, g: &Tensor, dw: &Tensor) -> Option<Tensor> {
        (i == WEIGHT).then(|| self.bias.tangent(dw, g.size()[0]) * (g * self.slope))
    }

    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        (i == WEIGHT).then(|| self.bias.adjoint(&(dx * (g * self.slope))))
    }

    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        self.bias.diagonal_of_columns(&self.seen_by(i, s), sign)
    }

    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        let twice = self.seen_by(i, &self.seen_by(i, d));
        self.bias.diagonal_of_diagonal(&twice)
    }

    /// Channels differ in what the weight sees.
    fn gain(&self, i: usize) -> Option<Tensor> {
        match i {
            BIAS => self.bias.gain(&self.normal),
            _ => None,
        }
    }

    fn trace_of_columns(&self, i: usize, s: &Tensor) -> Tensor {
        self.bias.trace_of_columns(&self.seen_by(i, s))
    }

    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        self.seen_by(i, &self.bias.sample_tangent(dw))
    }
}
