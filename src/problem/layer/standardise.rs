//! Entries standardised by their own mean and variance, group by group, and the curvature of that.

use super::normalisation::Standardised;
use super::{OwnCurvature, PartialTrace, Symmetric};
use crate::libtorch::layer_norm_adjoint;
use crate::problem::tensors::{plus_product, sum_entries};
use tch::{Kind, Tensor};

/// What entries are measured from.
#[derive(Clone, Copy)]
pub(super) enum Centre {
    /// Their mean: `P = I − 𝟏𝟏ᵀ/m`.
    Mean,
    /// Zero: `P = I`.
    Zero,
}

impl Centre {
    /// `P x`, a tensor of its own.
    fn of(self, x: &Tensor) -> Tensor {
        match self {
            Self::Mean => x - mean(x),
            Self::Zero => x.copy(),
        }
    }
}

/// `x̂ = P x/σ` in groups of m entries that lie side by side, `σ² = |P x|²/m + ε`.
///
/// `J = (P − x̂x̂ᵀ/m)/σ` for every group.
pub(super) struct StandardisedGroups {
    /// `x̂` as the input has it: `[N, *in]`.
    value: Tensor,
    /// `x̂` by groups: `[N, G, m]`.
    normal: Tensor,
    /// `P x: [N, G, m]`.
    centred: Tensor,
    /// `1/σ: [N, G, 1]`.
    slope: Tensor,
    /// P.
    centre: Centre,
}

impl StandardisedGroups {
    /// At `x: [N, *in]`.
    pub fn new(x: &Tensor, m: i64, eps: f64, centre: Centre) -> Self {
        let groups = x.reshape([x.size()[0], -1, m]);
        let centred = centre.of(&groups);
        let slope = (mean(&centred.square()) + eps).rsqrt();
        let normal = &centred * &slope;
        Self {
            value: normal.reshape(x.size()),
            normal,
            centred,
            slope,
            centre,
        }
    }

    /// `[K, N, *in] -> [K, N, G, m]`.
    fn groups(&self, dx: &Tensor) -> Tensor {
        dx.reshape([&dx.size()[..1], self.normal.size().as_slice()].concat())
    }
}

impl Standardised for StandardisedGroups {
    fn value(&self) -> &Tensor {
        &self.value
    }

    fn jacobian(&self, dx: &Tensor) -> Tensor {
        let d = self.groups(dx);
        if let Centre::Mean = self.centre {
            return layer_norm_adjoint(&d, &self.centred, &self.slope, None).reshape(dx.size());
        }
        let along = mean(&(&d * &self.normal)).neg();
        let mut rest = d.addcmul(&self.normal, &along);
        rest *= &self.slope;
        rest.reshape(dx.size())
    }

    /// In the same pass where the weight is one for every entry of a group.
    fn adjoint(&self, gz: &Tensor, w: Option<&Tensor>) -> Tensor {
        let m = self.normal.size()[2];
        match (w, self.centre) {
            (Some(w), Centre::Mean) if w.size() == [m] => {
                let d = self.groups(gz);
                let adjoint = layer_norm_adjoint(&d, &self.centred, &self.slope, Some(w));
                adjoint.reshape(gz.size())
            }
            (Some(w), _) => self.jacobian(&(gz * w)),
            (None, _) => self.jacobian(gz),
        }
    }

    fn own_curvature(&self, u: &Tensor) -> OwnCurvature {
        let u = self.centre.of(&u.reshape(self.normal.size()));
        OwnCurvature::General(Box::new(GroupedCurvature::new(self, &u)))
    }
}

/// `Σ_a u_a ∂²x̂_a/∂x² = −(u x̂ᵀ + x̂ uᵀ + (uᵀx̂) P − 3 (uᵀx̂) x̂x̂ᵀ/m)/(m σ²)` for `u = P u`: a multiple `κ` of P,
/// and the form `(x̂ᵀd) (yᵀd)` with `y = −(2 u − 3 (uᵀx̂) x̂/m)/(m σ²)`.
struct GroupedCurvature {
    /// The input's shape, `[N, *in]`.
    shape: Vec<i64>,
    /// `x̂` and y, scaled to the same length: `[N, G, m]`.
    factors: [Tensor; 2],
    /// `κ: [N, G, 1]`.
    multiple: Tensor,
    /// P.
    centre: Centre,
}

impl GroupedCurvature {
    fn new(at: &StandardisedGroups, u: &Tensor) -> Self {
        let (normal, m) = (&at.normal, at.normal.size()[2] as f64);
        let alpha = sum(&(u * normal));
        let square = at.slope.square() / -m;
        let y = plus_product(u * 2.0, normal, &(&alpha * (-3.0 / m))) * &square;
        // Where y is zero, x̂ is left out as well: it would be nothing but noise.
        let scale = (norm(&y) / norm(normal)).sqrt();
        let scale = scale.where_self(&scale.isfinite(), &scale.ones_like());
        let divisor = scale.where_self(&scale.gt(0.0), &scale.ones_like());
        Self {
            shape: at.value.size(),
            factors: [normal * scale, y / divisor],
            multiple: square * alpha,
            centre: at.centre,
        }
    }

    /// The shape of groups and of what they have of their own, `[N, G, m]`.
    fn size(&self) -> Vec<i64> {
        self.factors[0].size()
    }

    /// What the first factor is multiplied by, and `√|κ| P` of the rest of `v: [K, N, G m + G columns]`.
    fn split(&self, v: &Tensor, columns: i64) -> [Tensor; 2] {
        let [_, groups, m] = self.size()[..] else {
            unreachable!("three axes")
        };
        let shaped = |first, width| {
            let part = v.narrow(2, first, groups * width);
            part.reshape([&v.size()[..2], &[groups, width]].concat())
        };
        let outside = self.centre.of(&shaped(0, m));
        [
            shaped(groups * m, columns),
            outside * self.multiple.abs().sqrt(),
        ]
    }

    /// `[K, N, G, m] -> [K, N, *in]`.
    fn in_shape(&self, d: Tensor) -> Tensor {
        d.reshape([&d.size()[..1], self.shape.as_slice()].concat())
    }

    /// The shape of what takes so many columns for a group besides one for every entry.
    fn with_columns(&self, columns: i64) -> Vec<i64> {
        let [n, groups, m] = self.size()[..] else {
            unreachable!("three axes")
        };
        vec![n, groups * (m + columns)]
    }
}

impl Symmetric for GroupedCurvature {
    fn apply(&self, dx: &Tensor) -> Tensor {
        let d = dx.reshape([&dx.size()[..1], self.size().as_slice()].concat());
        let [x, y] = &self.factors;
        let along = |factor: &Tensor| sum(&(&d * factor)) / 2.0;
        let product = self.centre.of(&d) * &self.multiple;
        let product = plus_product(product, x, &along(y));
        self.in_shape(plus_product(product, y, &along(x)))
    }

    /// `κ |P d|² + (x̂ᵀd) (yᵀd)` of every group.
    fn quadratic(&self, dx: &Tensor) -> Tensor {
        let d = dx.reshape([&dx.size()[..1], self.size().as_slice()].concat());
        let [x, y] = self.factors.each_ref().map(|factor| sum(&(&d * factor)));
        let squares = sum(&self.centre.of(&d).square_());
        sum_entries(&plus_product(x * y, &squares, &self.multiple))
    }

    fn pair(&self, v: &Tensor) -> [Tensor; 2] {
        let [own, outside] = self.split(v, 1);
        let [x, y] = &self.factors;
        let signed = &outside * self.multiple.sign();
        [(outside, x), (signed, y)]
            .map(|(column, factor)| self.in_shape(plus_product(column, factor, &own)))
    }

    /// One for every entry of a group, then one for every group.
    fn pair_shape(&self) -> Vec<i64> {
        self.with_columns(1)
    }

    /// One for every entry of a group, then two for every group: half the sum of its factors, and half their
    /// difference.
    fn signs(&self) -> Tensor {
        let sign = self
            .multiple
            .sign()
            .expand(self.size(), false)
            .flatten(1, 2);
        let [n, groups, _] = self.size()[..] else {
            unreachable!("three axes")
        };
        let two = Tensor::from_slice(&[1.0, -1.0])
            .to_kind(sign.kind())
            .to_device(sign.device());
        Tensor::cat(&[&sign, &two.repeat([n, groups])], 1)
    }

    fn root(&self, v: &Tensor) -> Tensor {
        let [own, outside] = self.split(v, 2);
        let [x, y] = &self.factors;
        let [plus, minus] = [own.narrow(3, 0, 1) / 2.0, own.narrow(3, 1, 1) / 2.0];
        let column = plus_product(outside, x, &(&plus + &minus));
        self.in_shape(plus_product(column, y, &(plus - minus)))
    }

    /// For every group, which a position is, or else has another number of.
    fn partial_trace(&self) -> Option<PartialTrace> {
        let m = self.size()[2] as f64;
        let rank = match self.centre {
            Centre::Mean => m - 1.0,
            Centre::Zero => m,
        };
        let [x, y] = &self.factors;
        let trace = &self.multiple * rank + sum(&(x * y));
        Some(PartialTrace::At(trace.squeeze_dim(2).to_kind(Kind::Double)))
    }
}

fn sum(x: &Tensor) -> Tensor {
    x.sum_dim_intlist(-1, true, None::<Kind>)
}

fn mean(x: &Tensor) -> Tensor {
    x.mean_dim(-1, true, None::<Kind>)
}

fn norm(x: &Tensor) -> Tensor {
    sum(&x.square()).sqrt()
}
