//! The linear layer.

use super::positions::AtPositions;
use super::weights::{BIAS, LinearWeights, WEIGHT};
use super::{
    ColumnPair, Layer, LayerConfig, LayerError, Local, LocalParameters, ParameterShape,
    PartialTrace,
};
use crate::problem::sign_products::TiledMatrix;
use crate::problem::signs::Signs;
use crate::problem::tensors::sum_entries;
use crate::problem::vectors::Vectors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use tch::{Kind, Tensor};

/// `z = x Wᵀ + b` on the last axis of `x: [N, *, in]` (torch.nn.Linear; in-features are inferred).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// How many features it puts out.
    pub out: i64,
    /// Whether `b` is there.
    #[serde(default = "yes")]
    pub bias: bool,
    /// A parameter of a layer before this one, `"0.weight"`, which is W here as well: this layer then has
    /// no weight of its own, and the parameter counts once, under its first name. Its position
    /// counts, whatever `names` there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tied: Option<String>,
}

impl Linear {
    /// With a weight of its own.
    pub fn new(out: i64, bias: bool) -> Self {
        Self {
            out,
            bias,
            tied: None,
        }
    }
}

fn yes() -> bool {
    true
}

impl LayerConfig for Linear {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        if self.out < 1 {
            return Err(LayerError {
                expected: format!("`out` of at least 1, found {}", self.out),
                remedy: "write the number of out-features, for example out = 10".into(),
            });
        }
        let Some((&inputs, positions)) = input.split_last() else {
            return Err(LayerError {
                expected: "an input [features] or [*positions, features]".into(),
                remedy: "give the data an axis of features".into(),
            });
        };
        let weights = LinearWeights {
            inputs,
            outputs: self.out,
            bias: self.bias,
            tied: self.tied.clone(),
        };
        let layer: Box<dyn Layer> = match positions {
            [] => Box::new(LinearLayer(weights)),
            _ => Box::new(AtPositions(weights)),
        };
        Ok((layer, [positions, &[self.out]].concat()))
    }
}

#[derive(Clone, Debug)]
struct LinearLayer(LinearWeights);

impl Layer for LinearLayer {
    fn tied(&self) -> Option<&str> {
        self.0.tied.as_deref()
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        self.0.parameters()
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        x.linear(&w[WEIGHT], w.get(BIAS))
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        Box::new(LocalLinear {
            x: x.shallow_clone(),
            weight: w[WEIGHT].shallow_clone(),
            columns: OnceLock::new(),
        })
    }
}

/// `x: [N, in]`, `weight: [out, in]`.
struct LocalLinear {
    x: Tensor,
    weight: Tensor,
    /// x for products with signs, made when the first is asked for.
    columns: OnceLock<Option<TiledMatrix>>,
}

impl Local for LocalLinear {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        map_features(&self.weight, dx)
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        map_features(&self.weight.tr(), gz)
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        Some(self)
    }
}

/// `A x_kn` for every probe and sample: `[to, from] × [K, N, from] -> [K, N, to]`.
///
/// One matrix product with features outermost in memory, several times as fast as one per probe.
fn map_features(a: &Tensor, x: &Tensor) -> Tensor {
    let (k, n, from) = (x.size()[0], x.size()[1], x.size()[2]);
    let x = x.permute([2, 0, 1]).reshape([from, k * n]);
    a.matmul(&x).view([-1, k, n]).permute([1, 2, 0])
}

impl LocalParameters for LocalLinear {
    fn shape(&self, i: usize) -> Vec<i64> {
        let size = self.weight.size();
        match i {
            BIAS => size[..1].to_vec(),
            _ => size,
        }
    }

    /// `x dWᵀ` as one matrix product over all probes, or `db` for every sample.
    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        if i == BIAS {
            return dw.unsqueeze(1).expand([-1, self.x.size()[0], -1], false);
        }
        let (k, out) = (dw.size()[0], dw.size()[1]);
        dw.reshape([k * out, -1])
            .matmul(&self.x.tr())
            .view([k, out, -1])
            .transpose(1, 2)
    }

    /// `x dWᵀ` without a multiplication.
    fn tangent_of_signs(&self, i: usize, dw: &Signs) -> Tensor {
        let product = (i == WEIGHT).then(|| self.columns.get_or_init(|| TiledMatrix::of(&self.x)));
        let product = product.and_then(|columns| dw.times(columns.as_ref()?));
        match product {
            Some(product) => product.transpose(1, 2),
            None => LocalParameters::tangent(self, i, &dw.dense()),
        }
    }

    /// `gzᵀ x` as one matrix product over all probes, or `Σ_n gz`.
    fn adjoint(&self, i: usize, gz: &Tensor) -> Tensor {
        if i == BIAS {
            return gz.sum_dim_intlist(1, false, None::<Kind>);
        }
        let (k, n, out) = (gz.size()[0], gz.size()[1], gz.size()[2]);
        gz.transpose(1, 2)
            .reshape([k * out, n])
            .matmul(&self.x)
            .view([k, out, -1])
    }

    /// `g dW`.
    fn mixed_input(&self, i: usize, g: &Tensor, dw: Vectors) -> Option<Tensor> {
        (i == WEIGHT).then(|| g.matmul(&dw.numbers()))
    }

    /// `gᵀ dx`.
    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        (i == WEIGHT).then(|| g.tr().matmul(dx))
    }

    /// A wide weight as one matrix product over the samples of both, which writes it once.
    fn adjoint_with_mixed(&self, i: usize, gz: &Tensor, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        let (k, n) = (gz.size()[0], gz.size()[1]);
        let (out, inputs) = (self.weight.size()[0], self.weight.size()[1]);
        // The samples of both are copied, for every vector.
        if i == BIAS || out * inputs < 4 * n * (out + inputs) {
            return None;
        }
        let each = |t: &Tensor| t.unsqueeze(0).expand([k, -1, -1], false);
        let outputs = Tensor::cat(&[gz.shallow_clone(), each(g)], 1);
        let inputs = Tensor::cat(&[each(&self.x), dx.shallow_clone()], 1);
        Some(outputs.transpose(1, 2).bmm(&inputs))
    }

    /// `Σ_n gᵀ dW dx`.
    fn mixed_form(&self, i: usize, g: &Tensor, dx: &Tensor, dw: Vectors) -> Option<Tensor> {
        if let (WEIGHT, Vectors::Signs(dw)) = (i, dw)
            && let Some(forms) = dw.inner_products(g, dx)
        {
            return Some(forms);
        }
        let row = self.mixed_parameter(i, g, dx)?;
        Some(dw.dot(&row))
    }

    /// `z` has no positions that share the weight, so only the diagonal of `H_n` is seen.
    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let squares = s * s;
        let signed = match sign {
            Some(sign) => squares * sign.unsqueeze(-1),
            None => squares,
        };
        self.diagonal_of_diagonal(i, &signed.sum_dim_intlist(0, false, None::<Kind>))
    }

    /// `[a, j] = Σ_n d_na x_nj²`, and `[a] = Σ_n d_na` for the bias.
    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        match i {
            BIAS => d.sum_dim_intlist(0, false, None::<Kind>),
            _ => d.tr().matmul(&(&self.x * &self.x)),
        }
    }

    /// `‖x_n‖²`, and 1 for the bias.
    fn trace_factor(&self, i: usize) -> Option<Tensor> {
        Some(match i {
            BIAS => Tensor::ones([self.x.size()[0]], (self.x.kind(), self.x.device())),
            _ => (&self.x * &self.x).sum_dim_intlist(1, false, None::<Kind>),
        })
    }

    /// `Σ_n γ_n ⟨a_kn, b_kn⟩`.
    fn trace_of_columns(&self, i: usize, s: &ColumnPair) -> Tensor {
        let products = sum_entries(&s.product());
        let factor = self.trace_factor(i).expect("no positions share the weight");
        (products * factor).sum_dim_intlist(1, false, None::<Kind>)
    }

    fn trace_of_partial(&self, i: usize, partial: &PartialTrace) -> Option<Tensor> {
        let b = partial.at_single_position()?;
        let factor = self.trace_factor(i).expect("no positions share the weight");
        Some((b * factor).sum(Kind::Double))
    }

    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        match i {
            BIAS => dw.shallow_clone(),
            _ => dw.matmul(&self.x.unsqueeze(-1)).squeeze_dim(-1),
        }
    }
}
