//! A vector that all positions share.

use super::{
    ColumnPair, Init, Layer, LayerConfig, LayerError, Local, LocalParameters, ParameterShape,
};
use crate::problem::vectors::Vectors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// `z = x + b` on the last axis of `x: [N, *positions, D]`: a vector `[D]`, the same at all positions of
/// all samples, such as the embedding of a kind of token that all are of. It starts at zero.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bias {}

impl LayerConfig for Bias {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        if input.is_empty() {
            return Err(LayerError {
                expected: "an input [features] or [*positions, features]".into(),
                remedy: "give the data an axis of features".into(),
            });
        }
        let sample = input.to_vec();
        Ok((Box::new(SharedBias { sample }), input.to_vec()))
    }
}

#[derive(Clone, Debug)]
struct SharedBias {
    /// A sample's shape, `[*positions, D]`.
    sample: Vec<i64>,
}

impl SharedBias {
    fn features(&self) -> i64 {
        *self.sample.last().expect("an axis of features")
    }
}

impl Layer for SharedBias {
    fn parameters(&self) -> Vec<ParameterShape> {
        vec![ParameterShape {
            name: "bias",
            shape: vec![self.features()],
            init: Init::Constant { value: 0.0 },
        }]
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        x + &w[0]
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        Box::new(LocalBias {
            layer: self.clone(),
            ones: w[0].new_ones([x.size()[0]], (w[0].kind(), w[0].device())),
        })
    }
}

/// At N samples.
struct LocalBias {
    layer: SharedBias,
    /// `[N]`.
    ones: Tensor,
}

impl LocalBias {
    /// Sums over positions: `[.., *positions, D] -> [.., D]` after `leading` axes.
    fn over_positions(&self, z: &Tensor, leading: usize) -> Tensor {
        let shape = [&z.size()[..leading], &[-1, self.layer.features()]].concat();
        z.reshape(shape).sum_dim_intlist(-2, false, None::<Kind>)
    }
}

impl Local for LocalBias {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        dx.shallow_clone()
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        gz.shallow_clone()
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        Some(d.shallow_clone())
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        Some(self)
    }
}

impl LocalParameters for LocalBias {
    fn shape(&self, _i: usize) -> Vec<i64> {
        vec![self.layer.features()]
    }

    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        let each = [dw.size()[0], self.ones.size()[0], self.layer.features()];
        self.sample_tangent(i, &dw.unsqueeze(1).expand(each, false))
    }

    fn adjoint(&self, _i: usize, gz: &Tensor) -> Tensor {
        self.over_positions(gz, 2)
            .sum_dim_intlist(1, false, None::<Kind>)
    }

    fn mixed_input(&self, _i: usize, _g: &Tensor, _dw: Vectors) -> Option<Tensor> {
        None
    }

    fn mixed_parameter(&self, _i: usize, _g: &Tensor, _dx: &Tensor) -> Option<Tensor> {
        None
    }

    fn diagonal_of_columns(&self, _i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let squares = self.over_positions(s, 2).square();
        let signed = match sign {
            Some(sign) => squares * sign.unsqueeze(-1),
            None => squares,
        };
        signed.sum_dim_intlist([0, 1].as_slice(), false, None::<Kind>)
    }

    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        LocalParameters::adjoint(self, i, &d.unsqueeze(0)).squeeze_dim(0)
    }

    /// 1 where there is a single position.
    fn trace_factor(&self, _i: usize) -> Option<Tensor> {
        let positions: i64 = self.layer.sample.iter().rev().skip(1).product();
        (positions == 1).then(|| self.ones.shallow_clone())
    }

    fn trace_of_columns(&self, _i: usize, s: &ColumnPair) -> Tensor {
        let sums = s.map(|s| self.over_positions(s, 2).to_kind(Kind::Double));
        (sums.product()).sum_dim_intlist([1, 2].as_slice(), false, None::<Kind>)
    }

    fn sample_tangent(&self, _i: usize, dw: &Tensor) -> Tensor {
        let (leading, sample) = (dw.size(), &self.layer.sample);
        let ones = vec![1; sample.len() - 1];
        let one = [&leading[..2], &ones, &leading[2..]].concat();
        dw.reshape(one)
            .expand([&leading[..2], sample.as_slice()].concat(), false)
    }
}
