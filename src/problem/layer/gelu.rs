//! Gaussian error linear unit.

use super::elementwise::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_2_SQRT_PI, SQRT_2};
use tch::Tensor;

/// `z = x Φ(x)` with the normal distribution Φ, or its approximation by tanh (torch.nn.GELU).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gelu {
    /// "none" or "tanh".
    pub approximate: Approximation,
}

/// How Φ is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Approximation {
    /// `Φ(x) = (1 + erf(x/√2))/2`; `σ' = Φ + xφ`, `σ'' = φ(2−x²)` with the density φ.
    #[default]
    None,
    /// `Φ(x) ≈ (1+t)/2`, `t = tanh u`, `u = √(2/π)(x + 0.044715x³)`; with `t' = (1−t²)u'` and
    /// `t'' = (1−t²)u'' − 2tt'u'`: `σ' = (1 + t + xt')/2`, `σ'' = t' + xt''/2`.
    Tanh,
}

/// `√(2/π)`.
const SLOPE: f64 = FRAC_2_SQRT_PI / SQRT_2;
const CUBIC: f64 = 0.044_715;

/// `φ(x) = e^(−x²/2)/√(2π)`.
fn density(x: &Tensor) -> Tensor {
    (x.square() / -2.0).exp() * (SLOPE / 2.0)
}

/// `t, t', t''`.
fn approximation(x: &Tensor) -> [Tensor; 3] {
    let squared = x.square();
    let t = (x * (&squared * CUBIC + 1.0) * SLOPE).tanh();
    let du = (&squared * (3.0 * CUBIC) + 1.0) * SLOPE;
    let flat = 1 - t.square();
    let dt = &flat * &du;
    let ddt = flat * x * (6.0 * CUBIC * SLOPE) - &t * &dt * du * 2.0;
    [t, dt, ddt]
}

impl Activation for Gelu {
    fn value(&self, x: &Tensor) -> Tensor {
        x.gelu(match self.approximate {
            Approximation::None => "none",
            Approximation::Tanh => "tanh",
        })
    }

    fn first(&self, x: &Tensor, _z: &Tensor) -> Tensor {
        match self.approximate {
            Approximation::None => ((x / SQRT_2).erf() + 1.0) / 2.0 + x * density(x),
            Approximation::Tanh => {
                let [t, dt, _] = approximation(x);
                (t + x * dt + 1.0) / 2.0
            }
        }
    }

    fn second(&self, x: &Tensor, _z: &Tensor) -> Option<Tensor> {
        Some(match self.approximate {
            Approximation::None => density(x) * (2 - x.square()),
            Approximation::Tanh => {
                let [_, dt, ddt] = approximation(x);
                dt + x * ddt / 2.0
            }
        })
    }
}
