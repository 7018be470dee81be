//! Nyström approximation of a positive semidefinite matrix.

use super::block::{Set, Sketcher};
use tch::{Kind, Tensor};

/// Probes Ω with `AΩ`, and from them `Â = Y H⁻¹ Yᵀ` with `Y = AΩ + νΩ`, `H = ΩᵀY`.
pub(super) struct Nystrom<'a> {
    pub(super) sketcher: &'a Sketcher<'a>,
    pub(super) omega: Tensor,
    y: Tensor,
}

/// The factors of one approximation.
pub(super) struct Factors {
    /// The shift: Â approximates `A + νI`.
    pub(super) shift: f64,
    /// `[n, k]`.
    pub(super) y: Tensor,
    /// `H⁻¹ᐟ²` as `U Λ⁻¹ᐟ²`: `[k, k]`.
    pub(super) root: Tensor,
}

impl<'a> Nystrom<'a> {
    pub(super) fn new(sketcher: &'a Sketcher<'a>) -> Self {
        Self {
            sketcher,
            omega: sketcher.empty(),
            y: sketcher.empty(),
        }
    }

    /// Goes on to k probes, one product each.
    pub(super) fn grow_to(&mut self, k: i64) {
        let have = self.omega.size()[1];
        if k > have {
            let omega = self.sketcher.draw(Set::First, have, k - have);
            self.y = Tensor::cat(&[&self.y, &self.sketcher.multiply(&omega)], 1);
            self.omega = Tensor::cat(&[&self.omega, &omega], 1);
        }
    }

    /// Shifted by `ν = ε ‖AΩ‖_F/√n`, ε the precision of products, so that rounding leaves H
    /// positive; by its eigenvalues, which stays stable where Cholesky does not.
    pub(super) fn factors(&self) -> Factors {
        let norm = self.y.square().sum(Kind::Double).sqrt().double_value(&[]);
        let shift = self.sketcher.epsilon() * norm / (self.sketcher.size() as f64).sqrt();
        let y = &self.y + &self.omega * shift;
        let h = self.omega.tr().matmul(&y);
        let (eigenvalues, vectors) = ((&h + h.tr()) / 2.0).linalg_eigh("L");
        let least = eigenvalues.max().double_value(&[]) * f64::EPSILON * h.size()[0] as f64;
        // All zero only for the zero matrix.
        let least = least.max(f64::MIN_POSITIVE);
        Factors {
            shift,
            y,
            root: vectors / eigenvalues.clamp_min(least).sqrt(),
        }
    }
}
