//! A sketched range and probes for what lies outside of it.

use super::block::{Basis, Set, Sketcher, column_dots, inner};
use tch::Tensor;

/// `Q = orth(A S)`, `Z = A Q`, and independent probes G with `A G`.
///
/// Products with `(I − QQᵀ) g` follow from these without spending any, so that a larger budget
/// goes on where a smaller one ended.
pub(super) struct Deflation<'a> {
    sketcher: &'a Sketcher<'a>,
    pub(super) basis: Basis,
    /// `A Q`.
    pub(super) z: Tensor,
    /// The probes.
    pub(super) g: Tensor,
    /// `A G`.
    pub(super) ag: Tensor,
}

impl<'a> Deflation<'a> {
    pub(super) fn new(sketcher: &'a Sketcher<'a>) -> Self {
        Self {
            sketcher,
            basis: Basis::new(sketcher.empty()),
            z: sketcher.empty(),
            g: sketcher.empty(),
            ag: sketcher.empty(),
        }
    }

    /// Sketches with k vectors in all: two products each. Returns `‖A S‖²_F` of the new ones.
    pub(super) fn sketch(&mut self, k: i64) -> f64 {
        let have = self.basis.rank();
        if k <= have {
            return 0.0;
        }
        let s = self.sketcher.draw(Set::First, have, k - have);
        let y = self.sketcher.multiply(&s);
        let q = self.basis.append(&y);
        self.z = Tensor::cat(&[&self.z, &self.sketcher.multiply(&q)], 1);
        inner(&y, &y)
    }

    /// Draws m probes in all: one product each.
    pub(super) fn probe(&mut self, m: i64) {
        let have = self.g.size()[1];
        if m > have {
            let g = self.sketcher.draw(Set::Second, have, m - have);
            self.ag = Tensor::cat(&[&self.ag, &self.sketcher.multiply(&g)], 1);
            self.g = Tensor::cat(&[&self.g, &g], 1);
        }
    }

    /// `tr(QᵀAQ)`.
    pub(super) fn known(&self) -> f64 {
        inner(&self.basis.q, &self.z)
    }

    /// `(I − QQᵀ) G` and `A (I − QQᵀ) G`.
    pub(super) fn outside(&self) -> (Tensor, Tensor) {
        let c = self.basis.q.tr().matmul(&self.g);
        let g = &self.g - self.basis.q.matmul(&c);
        let ag = &self.ag - self.z.matmul(&c);
        (g, ag)
    }

    /// `gᵀ (I − QQᵀ) A (I − QQᵀ) g` of every probe: `[m]`.
    pub(super) fn outside_forms(&self) -> Tensor {
        let (g, ag) = self.outside();
        column_dots(&g, &ag)
    }
}
