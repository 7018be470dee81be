//! What normalisation layers share: `z = x̂(x) ∘ w + b` with standardised inputs `x̂`.

use super::affine::AffineSharing;
use super::channels::ChannelSum;
use super::elementwise::finite;
use super::{ColumnPair, LayerError, Local, LocalParameters, OwnCurvature};
use crate::problem::vectors::{Vectors, numbers_of};
use tch::Tensor;

pub(super) const WEIGHT: usize = 0;
pub(super) const BIAS: usize = 1;

/// Standardised inputs of one layer at one point. Their Jacobian `J = ∂x̂/∂x` is a symmetric matrix
/// for every sample.
pub(super) trait Standardised {
    /// `x̂: [N, *in]`.
    fn value(&self) -> &Tensor;

    /// `J dx`: `[K, N, *in] -> [K, N, *in]`.
    fn jacobian(&self, dx: &Tensor) -> Tensor;

    /// `J (w ∘ gz)` with the layer's weight.
    fn adjoint(&self, gz: &Tensor, w: Option<&Tensor>) -> Tensor {
        match w {
            Some(w) => self.jacobian(&(gz * w)),
            None => self.jacobian(gz),
        }
    }

    /// J where it scales every channel: `[C, 1, ..]`.
    fn slope(&self) -> Option<&Tensor> {
        None
    }

    /// `Σ_a u_a ∂²x̂_a/∂x²` for `u: [N, *in]`.
    fn own_curvature(&self, _u: &Tensor) -> OwnCurvature {
        OwnCurvature::Zero
    }
}

/// Refuses an `eps` that is none.
pub(super) fn check_epsilon(eps: f64) -> Result<(), LayerError> {
    finite("eps", eps)?;
    match eps < 0.0 {
        false => Ok(()),
        true => Err(LayerError {
            expected: format!("`eps` of 0 or more, found {eps}"),
            remedy: "leave it out for torch.nn's default, 1e-5".into(),
        }),
    }
}

pub(super) fn epsilon() -> f64 {
    1e-5
}

/// A normalisation layer at one point; `weight` broadcasts over `[N, *in]` as
/// [`AffineSharing::along`] has it.
pub(super) struct Normalised<S> {
    standard: S,
    weight: Option<Tensor>,
    affine: AffineSharing,
    /// `∂z/∂x` where that is a scale per channel, `[C, 1, ..]`.
    slope: Option<Tensor>,
}

/// `s ∘ x` for a scale s of every channel: `[K, N, C, *] -> [K, N, C, *]`.
pub(super) fn scaled(x: &Tensor, s: &Tensor) -> Tensor {
    let size = x.size();
    let sum = ChannelSum {
        scaled: Some((x, s)),
        ..ChannelSum::default()
    };
    sum.of(size[0], &size[1..])
}

impl<S: Standardised> Normalised<S> {
    pub fn new(standard: S, weight: Option<Tensor>, affine: AffineSharing) -> Self {
        let slope = standard.slope().map(|slope| match &weight {
            Some(weight) => slope * weight,
            None => slope.shallow_clone(),
        });
        Self {
            standard,
            weight,
            affine,
            slope,
        }
    }

    fn scale(&self, s: &Tensor) -> Tensor {
        match &self.weight {
            Some(weight) => s * weight,
            None => s.shallow_clone(),
        }
    }
}

impl<S: Standardised> Local for Normalised<S> {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        match &self.slope {
            Some(slope) => scaled(dx, slope),
            None => match &self.weight {
                Some(weight) => self.standard.jacobian(dx).g_mul_(weight),
                None => self.standard.jacobian(dx),
            },
        }
    }

    /// In one pass where the input's part is a scale.
    fn tangent_along(&self, dx: Option<&Tensor>, dw: &[(usize, Vectors)]) -> Option<Tensor> {
        let (weight, bias) = (numbers_of(WEIGHT, dw), numbers_of(BIAS, dw));
        let Some(slope) = &self.slope else {
            let mut sum = dx.map(|dx| Local::tangent(self, dx));
            for (i, dw) in [(WEIGHT, weight), (BIAS, bias)] {
                let Some(dw) = dw else { continue };
                sum = Some(match sum {
                    Some(sum) => self.affine.plus_spread(sum, self.factor(i), &dw),
                    None => LocalParameters::tangent(self, i, &dw),
                });
            }
            return sum;
        };
        let any = dx.or(weight.as_ref()).or(bias.as_ref())?;
        let sum = ChannelSum {
            scaled: dx.map(|dx| (dx, slope)),
            weighted: weight.as_ref().map(|dw| (self.standard.value(), dw)),
            shift: bias.as_ref(),
        };
        Some(sum.of(any.size()[0], &self.standard.value().size()))
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        match &self.slope {
            Some(slope) => scaled(gz, slope),
            None => self.standard.adjoint(gz, self.weight.as_ref()),
        }
    }

    fn own_curvature(&self, g: &Tensor) -> OwnCurvature {
        self.standard.own_curvature(&self.scale(g))
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        self.slope.as_ref().map(|slope| d * slope.square())
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        self.weight.is_some().then_some(self)
    }
}

impl<S: Standardised> Normalised<S> {
    /// The rules of the weight are those of the bias with `x̂ ∘ s` for s.
    fn as_for_bias(&self, i: usize, s: &Tensor) -> Tensor {
        match i {
            BIAS => s.shallow_clone(),
            _ => s * self.standard.value(),
        }
    }

    /// What entries of the weight or the bias are multiplied by.
    fn factor(&self, i: usize) -> Option<&Tensor> {
        (i == WEIGHT).then(|| self.standard.value())
    }

    fn samples(&self) -> i64 {
        self.standard.value().size()[0]
    }

    /// The parameter's own shape in place of the axes from `axis` on.
    fn in_shape(&self, flat: &Tensor, axis: usize) -> Tensor {
        flat.reshape([&flat.size()[..axis], self.affine.parameter.as_slice()].concat())
    }
}

impl<S: Standardised> LocalParameters for Normalised<S> {
    fn shape(&self, _i: usize) -> Vec<i64> {
        self.affine.parameter.clone()
    }

    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        self.affine.spread(self.factor(i), dw, self.samples())
    }

    fn adjoint(&self, i: usize, gz: &Tensor) -> Tensor {
        self.affine.gather(self.factor(i), gz)
    }

    /// `J (g ∘ dw)`.
    fn mixed_input(&self, i: usize, g: &Tensor, dw: Vectors) -> Option<Tensor> {
        (i == WEIGHT).then(|| {
            let u = self.affine.spread(Some(g), &dw.numbers(), self.samples());
            self.standard.jacobian(&u)
        })
    }

    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        (i == WEIGHT).then(|| self.affine.gather(Some(g), &self.standard.jacobian(dx)))
    }

    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let s = self.affine.by_channel(&self.as_for_bias(i, s));
        let diagonal = self.affine.bias().diagonal_of_columns(&s, sign);
        self.in_shape(&diagonal, 0)
    }

    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        let twice = self.as_for_bias(i, &self.as_for_bias(i, d));
        self.affine.gather(None, &twice.unsqueeze(0)).squeeze_dim(0)
    }

    /// Entries differ in what the weight sees.
    fn trace_factor(&self, i: usize) -> Option<Tensor> {
        match i {
            BIAS => self.affine.bias().trace_factor(self.standard.value()),
            _ => None,
        }
    }

    fn trace_of_columns(&self, i: usize, s: &ColumnPair) -> Tensor {
        let s = s.map(|s| self.affine.by_channel(&self.as_for_bias(i, s)));
        self.affine.bias().trace_of_columns(&s)
    }

    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        let z = self.affine.bias().sample_tangent(&dw.flatten(2, -1));
        self.as_for_bias(i, &self.affine.by_sample(&z))
    }
}
