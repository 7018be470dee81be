//! Cross-entropy of a softmax.

use super::{
    Likelihood, LocalLoss, Loss, Reduction, TargetKind, check_weights, expected, numbered,
};
use crate::error::UserError;
use crate::problem::tensors::{samples_innermost, sum_entries};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// `ℓ = Σ_n −Σ_c q_nc log softmax(f_n)_c`, or its mean (torch.nn.CrossEntropyLoss), with
/// `q_nc = (1−ε) w_c [c = y_n] + ε w_c / C` for class weights w and label smoothing ε.
///
/// Outputs are `[classes]` or `[classes, *positions]`, where every position is a term of its own.
/// The mean divides by `Σ_n w_{y_n}`; terms whose target is `ignore_index` count nowhere.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossEntropy {
    /// Mean or sum.
    pub reduction: Reduction,
    /// A weight for every class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Vec<f64>>,
    /// How much of every target is spread over all classes.
    #[serde(skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// A target that is left out.
    #[serde(skip_serializing_if = "is_usual")]
    pub ignore_index: i64,
}

const IGNORED: i64 = -100;

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

fn is_usual(index: &i64) -> bool {
    *index == IGNORED
}

impl Default for CrossEntropy {
    fn default() -> Self {
        Self {
            reduction: Reduction::default(),
            weight: None,
            label_smoothing: 0.0,
            ignore_index: IGNORED,
        }
    }
}

impl CrossEntropy {
    /// The class weights beside `like`.
    fn weights(&self, like: &Tensor) -> Option<Tensor> {
        let weight = self.weight.as_ref()?;
        Some(
            Tensor::from_slice(weight)
                .to_device(like.device())
                .to_kind(like.kind()),
        )
    }

    /// `w_{y_n}`, zero for ignored targets: the shape of y.
    fn target_weights(&self, y: &Tensor, kind: Kind) -> Tensor {
        let counted = y.not_equal(self.ignore_index);
        match &self.weight {
            None => counted.to_kind(kind),
            Some(weight) => {
                let weight = Tensor::from_slice(weight)
                    .to_device(y.device())
                    .to_kind(kind);
                let y = y.where_self(&counted, &y.zeros_like());
                weight.take(&y) * counted
            }
        }
    }
}

impl Loss for CrossEntropy {
    fn targets(&self, output: &[i64]) -> Result<TargetKind, UserError> {
        let [classes, positions @ ..] = output else {
            return Err(expected(
                "cross_entropy",
                "one score per class, [classes]",
                output,
            ));
        };
        if let Some(weight) = &self.weight {
            check_weights("weight", weight, *classes)?;
        }
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return Err(UserError::new(
                "label_smoothing",
                format!(
                    "found {}, expected a number from 0 to 1",
                    self.label_smoothing
                ),
                "leave it out for none",
            ));
        }
        Ok(TargetKind::Classes {
            classes: *classes,
            positions: positions.to_vec(),
            ignored: self.ignore_index,
        })
    }

    fn terms(&self, y: &Tensor) -> Option<f64> {
        let terms = self.target_weights(y, Kind::Double).sum(Kind::Double);
        self.reduction.divisor(terms.double_value(&[]))
    }

    fn value(&self, f: &Tensor, y: &Tensor) -> Tensor {
        f.cross_entropy_loss(
            y,
            self.weights(f),
            self.reduction.torch(),
            self.ignore_index,
            self.label_smoothing,
        )
    }

    /// With `p = softmax(f)`, `a_n = Σ_c q_nc` and D what the mean divides by: gradient
    /// `(a p − q) / D`, Hessian `a (diag p − p pᵀ) / D`.
    fn at(&self, f: &Tensor, y: &Tensor) -> Box<dyn Likelihood> {
        let kind = f.kind();
        let classes = f.size()[1];
        let of_target = self.target_weights(y, kind).unsqueeze(1);
        let counted = y.not_equal(self.ignore_index).unsqueeze(1).to_kind(kind);
        let y = (y * y.not_equal(self.ignore_index)).unsqueeze(1);
        let along = [&[1, classes], vec![1; f.dim() - 2].as_slice()].concat();
        let weights = match self.weights(f) {
            Some(weights) => weights.reshape(&along),
            None => Tensor::ones(&along, (kind, f.device())),
        };
        let smooth = &counted * weights * (self.label_smoothing / classes as f64);
        let one_hot = f.zeros_like().scatter_(1, &y, &y.ones_like().to_kind(kind));
        let q = one_hot * &of_target * (1.0 - self.label_smoothing) + smooth;
        let a = q.sum_dim_intlist(1, true, None::<Kind>);
        // A term without weight has no target, and needs none.
        let q = q / a.where_self(&a.not_equal(0.0), &a.ones_like());
        let weight = match self.reduction {
            // A number that stays on the device: nothing waits for it.
            Reduction::Mean => a * of_target.sum(Kind::Double).reciprocal(),
            Reduction::Sum => a,
        };
        Box::new(LocalCrossEntropy {
            p: samples_innermost(f.softmax(1, None::<Kind>)),
            q,
            weight,
        })
    }
}

/// `p: [N, C, *]`, targets `q` that add up to 1 over classes, `weight: [N, 1, *]`.
struct LocalCrossEntropy {
    p: Tensor,
    q: Tensor,
    weight: Tensor,
}

/// Sums over classes: `[K, N, C, *] -> [K, N, 1, *]`.
fn over_classes(t: &Tensor) -> Tensor {
    t.sum_dim_intlist(2, true, None::<Kind>)
}

impl LocalLoss for LocalCrossEntropy {
    fn gradient(&self) -> Tensor {
        (&self.p - &self.q) * &self.weight
    }

    fn hessian(&self, df: &Tensor) -> Tensor {
        let pdf = &self.p * df;
        let mean = over_classes(&pdf);
        (pdf - &self.p * mean) * &self.weight
    }

    /// `c p (1 − p)`, so written that nothing cancels where p is close to 1.
    fn hessian_diagonal(&self) -> Tensor {
        &self.p * (1.0 - &self.p) * &self.weight
    }

    /// One for every position.
    fn terms(&self) -> Tensor {
        numbered(&self.weight.size()[1..], self.p.device()).expand(&self.p.size()[1..], false)
    }

    /// `R v = √c (√p ∘ v − p (√p · v))`.
    fn root(&self, v: &Tensor) -> Tensor {
        let scaled = self.p.sqrt() * v;
        let mean = over_classes(&scaled);
        (scaled - &self.p * mean) * self.weight.sqrt()
    }

    /// `Σ_t c (Σ p df² − (Σ p df)²)`.
    fn quadratic(&self, df: &Tensor) -> Tensor {
        let pdf = &self.p * df;
        let mean = over_classes(&pdf).to_kind(Kind::Double);
        let square = over_classes(&(pdf * df)).to_kind(Kind::Double);
        sum_entries(&((square - mean.square()) * &self.weight))
    }
}

impl Likelihood for LocalCrossEntropy {
    /// A class c with probability p_c gives `√c (p − e_c)`.
    fn of_draws(&self, u: &Tensor) -> Tensor {
        let below = self.p.cumsum(1, None::<Kind>);
        // The first class whose cumulative probability reaches u; the last one if rounding hides it.
        let class = u.gt_tensor(&below).to_kind(Kind::Int64);
        let last = self.p.size()[1] - 1;
        let class = class.sum_dim_intlist(2, true, None::<Kind>).clamp_max(last);
        let size = [&[u.size()[0]], self.p.size().as_slice()].concat();
        let p = self.p.expand(&size, false);
        let one_hot = p.zeros_like().scatter_value(2, &class, 1.0);
        (p - one_hot) * self.weight.sqrt()
    }

    /// One number for every term.
    fn draw_shape(&self) -> Vec<i64> {
        self.weight.size()
    }

    fn of_data(&self) -> Tensor {
        (&self.p - &self.q) * self.weight.sqrt()
    }

    fn inner(&self, s: &Tensor, df: &Tensor) -> Tensor {
        over_classes(&(s * df))
    }
}
