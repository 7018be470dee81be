//! The parameters of linear layers.

use super::{Init, ParameterShape};

pub(super) const WEIGHT: usize = 0;
pub(super) const BIAS: usize = 1;

/// A weight `[outputs, inputs]` and a bias `[outputs]`.
#[derive(Clone, Debug)]
pub(super) struct LinearWeights {
    pub inputs: i64,
    pub outputs: i64,
    /// Whether the bias is there.
    pub bias: bool,
    /// The parameter of another layer that the weight is.
    pub tied: Option<String>,
}

impl LinearWeights {
    /// Both are drawn from U(−1/√in, 1/√in): `kaiming_uniform_(a=√5)` gives the weight that bound.
    pub fn parameters(&self) -> Vec<ParameterShape> {
        let weight = ParameterShape {
            name: "weight",
            shape: vec![self.outputs, self.inputs],
            init: Init::kaiming_uniform(self.inputs),
        };
        let bias = self.bias.then(|| ParameterShape {
            name: "bias",
            shape: vec![self.outputs],
            init: Init::Uniform {
                bound: 1.0 / (self.inputs as f64).sqrt(),
            },
        });
        [weight].into_iter().chain(bias).collect()
    }
}
