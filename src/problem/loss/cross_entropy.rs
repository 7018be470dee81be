//! Cross-entropy of a softmax.

use super::{LocalLoss, Loss, Reduction, TargetKind};
use crate::problem::layer::features;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// `ℓ = Σ_n −log softmax(f_n)[y_n]`, or its mean over samples (torch.nn.CrossEntropyLoss).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropy {
    /// Mean or sum.
    #[serde(default)]
    pub reduction: Reduction,
}

impl Loss for CrossEntropy {
    fn targets(&self, output: &[i64]) -> Result<TargetKind, String> {
        match output {
            [classes] => Ok(TargetKind::Classes { classes: *classes }),
            _ => Err("one score per class, [classes]".into()),
        }
    }

    fn terms(&self, y: &Tensor) -> Option<f64> {
        self.reduction.divisor(y.numel() as f64)
    }

    fn value(&self, f: &Tensor, y: &Tensor) -> Tensor {
        f.cross_entropy_loss(y, None::<Tensor>, self.reduction.torch(), -100, 0.0)
    }

    /// With `p = softmax(f)` and weight `c`: gradient `c (p − onehot y)`, Hessian `c (diag p − p pᵀ)`.
    fn at(&self, f: &Tensor, y: &Tensor) -> Box<dyn LocalLoss> {
        Box::new(LocalCrossEntropy {
            p: f.softmax(-1, None::<Kind>),
            y: y.shallow_clone(),
            weight: self.reduction.weight(f.size()[0]),
        })
    }
}

/// `p: [N, C]`, `y: [N]`.
struct LocalCrossEntropy {
    p: Tensor,
    y: Tensor,
    weight: f64,
}

impl LocalLoss for LocalCrossEntropy {
    fn gradient(&self) -> Tensor {
        let classes = self.p.size()[1];
        (&self.p - self.y.one_hot(classes).to_kind(self.p.kind())) * self.weight
    }

    fn hessian(&self, df: &Tensor) -> Tensor {
        let pdf = &self.p * df;
        let mean = pdf.sum_dim_intlist(-1, true, None::<Kind>);
        (pdf - &self.p * mean) * self.weight
    }

    /// `c (Σ p df² − (Σ p df)²)`.
    fn quadratic(&self, df: &Tensor) -> Tensor {
        let pdf = &self.p * df;
        let mean = features(&pdf);
        (features(&(pdf * df)) - &mean * &mean) * self.weight
    }

    /// `R v = √c (√p ∘ v − p (√p · v))`.
    fn root(&self, v: &Tensor) -> Tensor {
        let scaled = self.p.sqrt() * v;
        let mean = scaled.sum_dim_intlist(-1, true, None::<Kind>);
        (scaled - &self.p * mean) * self.weight.sqrt()
    }
}
