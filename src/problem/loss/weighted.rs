//! A loss times a positive number: what a batch of many counts for.

use super::LocalLoss;
use tch::Tensor;

/// `weight · loss`, its root multiplied with `√weight`.
pub(super) fn weighted(loss: Box<dyn LocalLoss>, weight: f64) -> Box<dyn LocalLoss> {
    match weight {
        1.0 => loss,
        _ => Box::new(Weighted { loss, weight }),
    }
}

struct Weighted {
    loss: Box<dyn LocalLoss>,
    weight: f64,
}

impl LocalLoss for Weighted {
    fn gradient(&self) -> Tensor {
        self.loss.gradient() * self.weight
    }

    fn hessian(&self, df: &Tensor) -> Tensor {
        self.loss.hessian(df) * self.weight
    }

    fn quadratic(&self, df: &Tensor) -> Tensor {
        self.loss.quadratic(df) * self.weight
    }

    fn hessian_diagonal(&self) -> Tensor {
        self.loss.hessian_diagonal() * self.weight
    }

    fn terms(&self) -> Tensor {
        self.loss.terms()
    }

    fn root_shape(&self) -> Vec<i64> {
        self.loss.root_shape()
    }

    fn root(&self, v: &Tensor) -> Tensor {
        self.loss.root(v) * self.weight.sqrt()
    }
}
