//! Binary cross-entropy of sigmoids.

use super::{
    Likelihood, LocalLoss, Loss, Reduction, TargetKind, check_weights, expected, numbered,
};
use crate::error::UserError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `ℓ = Σ_{n,c} −w_c (π_c y_nc log σ(f_nc) + (1 − y_nc) log σ(−f_nc))`, or its mean over all entries
/// (torch.nn.BCEWithLogitsLoss), with weights w and positive weights π along the last axis.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BceWithLogits {
    /// Mean or sum.
    pub reduction: Reduction,
    /// A weight for every output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Vec<f64>>,
    /// What a positive target counts, for every output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pos_weight: Option<Vec<f64>>,
}

fn beside(weights: &Option<Vec<f64>>, f: &Tensor) -> Option<Tensor> {
    let weights = Tensor::from_slice(weights.as_ref()?);
    Some(weights.to_device(f.device()).to_kind(f.kind()))
}

impl Loss for BceWithLogits {
    fn targets(&self, output: &[i64]) -> Result<TargetKind, UserError> {
        let Some(&last) = output.last() else {
            return Err(expected("bce_with_logits", "outputs [features]", output));
        };
        for (key, weights) in [("weight", &self.weight), ("pos_weight", &self.pos_weight)] {
            if let Some(weights) = weights {
                check_weights(key, weights, last)?;
            }
        }
        Ok(TargetKind::Probabilities {
            shape: output.to_vec(),
        })
    }

    fn terms(&self, y: &Tensor) -> Option<f64> {
        self.reduction.divisor(y.numel() as f64)
    }

    fn value(&self, f: &Tensor, y: &Tensor) -> Tensor {
        let (weight, positive) = (beside(&self.weight, f), beside(&self.pos_weight, f));
        f.binary_cross_entropy_with_logits(y, weight, positive, self.reduction.torch())
    }

    /// With `p = σ(f)`, `a = w (1 − y + π y)`, `q = π y / (1 − y + π y)` and the reduction's weight c:
    /// gradient `c a (p − q)`, Hessian `c a p (1 − p)`.
    fn at(&self, f: &Tensor, y: &Tensor) -> Box<dyn Likelihood> {
        let scale = self.reduction.weight(f.numel() as i64);
        let positive = match beside(&self.pos_weight, f) {
            Some(positive) => positive * y,
            None => y.shallow_clone(),
        };
        let both: Tensor = 1.0 - y + &positive;
        let weight = &both * scale;
        Box::new(LocalBceWithLogits {
            p: f.sigmoid(),
            q: positive / both.where_self(&both.not_equal(0.0), &both.ones_like()),
            weight: match beside(&self.weight, f) {
                Some(own) => weight * own,
                None => weight,
            },
        })
    }
}

/// The loss at one point, in the letters of its formulas: `p`, `q`, `weight: [N, *out]`.
struct LocalBceWithLogits {
    p: Tensor,
    q: Tensor,
    weight: Tensor,
}

impl LocalLoss for LocalBceWithLogits {
    fn gradient(&self) -> Tensor {
        (&self.p - &self.q) * &self.weight
    }

    fn hessian(&self, df: &Tensor) -> Tensor {
        df * self.hessian_diagonal()
    }

    fn hessian_diagonal(&self) -> Tensor {
        (&self.p - self.p.square()) * &self.weight
    }

    /// Every output is one.
    fn terms(&self) -> Tensor {
        numbered(&self.p.size()[1..], self.p.device())
    }

    fn root(&self, v: &Tensor) -> Tensor {
        v * self.hessian_diagonal().sqrt()
    }
}

impl Likelihood for LocalBceWithLogits {
    /// A coin of probability p for every entry.
    fn of_draws(&self, u: &Tensor) -> Tensor {
        let y = u.lt_tensor(&self.p).to_kind(self.p.kind());
        (&self.p - y) * self.weight.sqrt()
    }

    fn of_data(&self) -> Tensor {
        (&self.p - &self.q) * self.weight.sqrt()
    }
}
