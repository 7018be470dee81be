//! XTrace.

use super::block::{Basis, Set, Sketcher, column_dots, inner, inverse, overlaps, values};
use super::{Method, Part, Probe, State};
use crate::estimator::{Interval, Moments};
use tch::{Kind, Tensor};

/// `kind = "xtrace"`: every probe samples what the sketch of all the others leaves.
///
/// Epperly, Tropp, Webber (SIMAX 45:1, 2024, arXiv:2301.07825), in the form for symmetric A. With
/// `k = V/2` probes Ω, `Y = AΩ = QR`, `Z = AQ`, `H = QᵀZ`, `W = QᵀΩ`, S the columns of `R⁻ᵀ` at
/// unit length, `d_i = s_iᵀr_i`, `x_i = w_i − s_i s_iᵀw_i`, the mean of
/// `t_i = tr H − s_iᵀHs_i + c_i [d_i s_iᵀw_i − r_iᵀx_i + x_iᵀHx_i]`,
/// where `c_i = 1` for signs and `(n−k+1)/(‖ω_i‖² − ‖x_i‖²)` on the sphere, which makes the probe
/// one on the sphere of what is left. Unbiased for every symmetric A, indefinite ones too.
///
/// The `t_i` depend on each other: `std(t_i)/√k` is the authors' error estimate, which "tends to
/// underestimate"; see [`Interval::INFLATION`] for the interval. Where Y has not full
/// rank in the precision of the products the matrix is known, `tr(QᵀAQ)` exact, and no error stated.
/// Cost beyond products: `O(nV²)`; memory `1.5 V n` numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct XTrace;

impl Method for XTrace {
    const KIND: &'static str = "xtrace";
    const PROBES: &'static [Probe] = &[Probe::Sphere, Probe::Rademacher];
    const LEAST: u64 = 4;

    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a> {
        Box::new(LeaveOneOut::new(sketcher))
    }
}

/// What XTrace and XDiag share: `Ω`, `AΩ = QR`, `AQ`.
pub(super) struct LeaveOneOut<'a> {
    pub(super) sketcher: &'a Sketcher<'a>,
    pub(super) omega: Tensor,
    pub(super) basis: Basis,
    pub(super) z: Tensor,
}

impl<'a> LeaveOneOut<'a> {
    pub(super) fn new(sketcher: &'a Sketcher<'a>) -> Self {
        Self {
            sketcher,
            omega: sketcher.empty(),
            basis: Basis::new(sketcher.empty()),
            z: sketcher.empty(),
        }
    }

    /// Goes on to k probes, two products each.
    pub(super) fn grow_to(&mut self, k: i64) {
        let have = self.basis.rank();
        if k > have {
            let omega = self.sketcher.draw(Set::First, have, k - have);
            let q = self.basis.append(&self.sketcher.multiply(&omega));
            self.omega = Tensor::cat(&[&self.omega, &omega], 1);
            self.z = Tensor::cat(&[&self.z, &self.sketcher.multiply(&q)], 1);
        }
    }

    /// Whether the sketch reaches all that the precision of products can tell of the matrix.
    pub(super) fn is_complete(&self) -> bool {
        let scale = self.basis.r.diagonal(0, 0, 1).abs();
        let (low, high) = (scale.min().double_value(&[]), scale.max().double_value(&[]));
        low <= high * self.sketcher.epsilon() * self.basis.rank() as f64
    }

    /// Columns of `R⁻ᵀ` at unit length, and `d`.
    pub(super) fn directions(&self) -> (Tensor, Tensor) {
        let s = inverse(&self.basis.r).tr();
        let norms = s.square().sum_dim_intlist(0, false, None::<Kind>).sqrt();
        (s / &norms, norms.reciprocal())
    }
}

impl State for LeaveOneOut<'_> {
    fn grow(&mut self, v: u64) {
        self.grow_to(v as i64 / 2);
    }

    fn finish(&self) -> Part {
        let (q, r) = (&self.basis.q, &self.basis.r);
        let known = inner(q, &self.z);
        if self.is_complete() {
            return Part {
                exact: true,
                ..Part::of(Moments::exact(known))
            };
        }
        let h = overlaps(q, &self.z);
        let w = overlaps(q, &self.omega);
        let (s, d) = self.directions();
        let sw = column_dots(&s, &w);
        let x = &w - &s * &sw;
        let scale = match self.sketcher.probe() {
            Probe::Sphere => {
                let left = column_dots(&self.omega, &self.omega) - column_dots(&x, &x);
                left.reciprocal() * (self.sketcher.size() - self.basis.rank() + 1) as f64
            }
            _ => sw.ones_like(),
        };
        let left = d * sw - column_dots(r, &x) + column_dots(&x, &h.matmul(&x));
        let t = scale * left - column_dots(&s, &h.matmul(&s)) + known;
        Part::of(leave_one_out(values(&t)))
    }
}

/// The mean of leave-one-out estimates with their authors' error estimate.
pub(super) fn leave_one_out(t: Vec<f64>) -> Moments {
    let freedom = t.len() as u64 - 1;
    Moments {
        interval: Interval::LeaveOneOut { freedom },
        ..Moments::of(t.into_iter())
    }
}
