//! Entries standardised by their own mean and variance, group by group, and the curvature of that.

use super::normalisation::Standardised;
use super::{OwnCurvature, PartialTrace, Symmetric};
use crate::problem::tensors::{epsilon, plus_product};
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
        let normal = centred * &slope;
        Self {
            value: normal.reshape(x.size()),
            normal,
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
        let along = mean(&(&d * &self.normal)).neg();
        let mut rest = plus_product(self.centre.of(&d), &self.normal, &along);
        rest *= &self.slope;
        rest.reshape(dx.size())
    }

    fn own_curvature(&self, u: &Tensor) -> OwnCurvature {
        let u = self.centre.of(&u.reshape(self.normal.size()));
        OwnCurvature::General(Box::new(GroupedCurvature::new(self, &u)))
    }
}

/// `Σ_a u_a ∂²x̂_a/∂x² = −(u x̂ᵀ + x̂ uᵀ + (uᵀx̂) P − 3 (uᵀx̂) x̂x̂ᵀ/m)/(m σ²)` for `u = P u`: a
/// multiple `κ` of P but for the plane of `x̂` and u, in which it is a 2 × 2 matrix.
struct GroupedCurvature {
    /// The input's shape, `[N, *in]`.
    shape: Vec<i64>,
    /// Orthonormal eigenvectors in that plane, zero where there is none: `[N, G, m]`.
    eigenvectors: [Tensor; 2],
    /// Their eigenvalues: `[N, G, 1]`.
    eigenvalues: [Tensor; 2],
    /// That of all vectors `P x` orthogonal to them, `κ: [N, G, 1]`.
    other: Tensor,
    /// P.
    centre: Centre,
}

impl GroupedCurvature {
    fn new(at: &StandardisedGroups, u: &Tensor) -> Self {
        let m = at.normal.size()[2] as f64;
        let radius = norm(&at.normal);
        let first = unit(&at.normal, &at.slope.zeros_like());
        let alpha = sum(&(u * &first));
        // Twice, for what rounding leaves of the first direction in a small rest; one as small as
        // rounding is none, as for two entries, whose centred vectors have one direction alone.
        let rest = u - &alpha * &first;
        let rest = &rest - sum(&(&rest * &first)) * &first;
        let beta = norm(&rest);
        let second = unit(&rest, &(norm(u) * (16.0 * epsilon(u.kind()))));
        let factor = at.slope.square() * &radius / -m;
        let other = &factor * &alpha;
        let along = &other * (3.0 - radius.square() * (3.0 / m));
        let mixed = &factor * beta;
        let (half, middle) = ((&along - &other) / 2.0, (&along + &other) / 2.0);
        let spread = (half.square() + mixed.square()).sqrt();
        let angle = mixed.atan2(&half) / 2.0;
        let (cos, sin) = (angle.cos(), angle.sin());
        Self {
            shape: at.value.size(),
            eigenvectors: [&first * &cos + &second * &sin, second * cos - first * sin],
            eigenvalues: [&middle + &spread, middle - spread],
            other,
            centre: at.centre,
        }
    }

    /// What of `d: [K, N, G, m]` is centred and orthogonal to the plane.
    fn outside(&self, d: &Tensor) -> Tensor {
        let less = |rest, e: &Tensor| plus_product(rest, e, &sum(&(d * e)).neg());
        self.eigenvectors.iter().fold(self.centre.of(d), less)
    }

    /// `[K, N, G, m] -> [K, N, *in]`.
    fn in_shape(&self, d: Tensor) -> Tensor {
        d.reshape([&d.size()[..1], self.shape.as_slice()].concat())
    }
}

impl Symmetric for GroupedCurvature {
    fn apply(&self, dx: &Tensor) -> Tensor {
        let size = self.eigenvectors[0].size();
        let d = dx.reshape([&dx.size()[..1], size.as_slice()].concat());
        let mut product = self.outside(&d);
        product *= &self.other;
        for (e, value) in self.eigenvectors.iter().zip(&self.eigenvalues) {
            product = plus_product(product, e, &(sum(&(&d * e)) * value));
        }
        self.in_shape(product)
    }

    /// One for every entry of a group, then two for the plane: `[N, G, m + 2]`.
    fn root_shape(&self) -> Vec<i64> {
        let mut shape = self.eigenvectors[0].size();
        shape[2] += 2;
        shape
    }

    /// What the columns outside the plane give is of one sign in every group.
    fn roots(&self, v: &Tensor) -> [Tensor; 2] {
        let m = self.eigenvectors[0].size()[2];
        let outside = self.outside(&v.narrow(3, 0, m));
        [1.0, -1.0].map(|sign| {
            let root = |value: &Tensor| (value * sign).clamp_min(0.0).sqrt();
            let mut column = &outside * root(&self.other);
            for (i, (e, value)) in self.eigenvectors.iter().zip(&self.eigenvalues).enumerate() {
                let v = v.narrow(3, m + i as i64, 1) * root(value);
                column = plus_product(column, e, &v);
            }
            self.in_shape(column)
        })
    }

    fn signs(&self) -> Tensor {
        let [a, b] = &self.eigenvalues;
        let others = self.other.expand_as(&self.eigenvectors[0]);
        Tensor::cat(&[&others, a, b], 2).sign()
    }

    /// For every group, which a position is, or else has another number of.
    fn partial_trace(&self) -> Option<PartialTrace> {
        let m = self.eigenvectors[0].size()[2] as f64;
        let centred = match self.centre {
            Centre::Mean => 1.0,
            Centre::Zero => 0.0,
        };
        let mut rest = self.other.full_like(m - centred);
        let mut trace = self.other.zeros_like();
        for (e, value) in self.eigenvectors.iter().zip(&self.eigenvalues) {
            // 1, or 0 where there is none.
            let there = sum(&e.square());
            trace += value * &there;
            rest -= there;
        }
        let trace = trace + &self.other * rest;
        Some(PartialTrace::At(trace.squeeze_dim(2).to_kind(Kind::Double)))
    }

    fn root(&self, v: &Tensor) -> Tensor {
        let [plus, minus] = self.roots(v);
        plus + minus
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

/// `x/|x|`, or zero where that is no longer than `least: [N, G, 1]`.
fn unit(x: &Tensor, least: &Tensor) -> Tensor {
    let length = norm(x);
    let zero = length.le_tensor(least);
    let length = length + zero.to_kind(x.kind());
    (x / length).masked_fill(&zero, 0.0)
}
