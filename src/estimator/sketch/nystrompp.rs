//! Nyström++.

use super::block::{Set, Sketcher, column_dots, inner, values};
use super::nystrom::Nystrom;
use super::{Method, Part, Probe, State};
use crate::estimator::Moments;
use tch::Tensor;

/// `kind = "nystrompp"`: `tr Â + (1/m) Σ_j [ψ_jᵀAψ_j − ψ_jᵀÂψ_j]` with the Nyström approximation
/// `Â = AΩ(ΩᵀAΩ)⁺ΩᵀA`.
///
/// Persson, Cortinovis, Kressner (SIMAX 43:3, 2022, arXiv:2109.10659). Half of V for Ω, half for Ψ,
/// one round. For positive semidefinite A only: on others Â may be arbitrarily large. Unbiased; the
/// standard error is that of the mean over Ψ, Ω being given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NystromPp;

impl Method for NystromPp {
    const KIND: &'static str = "nystrompp";
    const PROBES: &'static [Probe] = &[Probe::Rademacher, Probe::Gaussian, Probe::Sphere];
    const LEAST: u64 = 4;
    const SEMIDEFINITE: bool = true;
    const DOUBLE: bool = true;

    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a> {
        Box::new(Running {
            nystrom: Nystrom::new(sketcher),
            psi: sketcher.empty(),
            products: sketcher.empty(),
        })
    }
}

struct Running<'a> {
    nystrom: Nystrom<'a>,
    psi: Tensor,
    products: Tensor,
}

impl State for Running<'_> {
    fn grow(&mut self, v: u64) {
        let k = v as i64 / 2;
        self.nystrom.grow_to(k);
        let (have, sketcher) = (self.psi.size()[1], self.nystrom.sketcher);
        let count = v as i64 - k - have;
        if count > 0 {
            let psi = sketcher.draw(Set::Second, have, count);
            self.products = Tensor::cat(&[&self.products, &sketcher.multiply(&psi)], 1);
            self.psi = Tensor::cat(&[&self.psi, &psi], 1);
        }
    }

    fn finish(&self) -> Part {
        let factors = self.nystrom.factors();
        let root = factors.y.matmul(&factors.root);
        let known = inner(&root, &root) - factors.shift * self.nystrom.sketcher.size() as f64;
        let psi = &self.psi;
        let shifted = &self.products + psi * factors.shift;
        let projected = root.tr().matmul(psi);
        let forms = column_dots(psi, &shifted) - column_dots(&projected, &projected);
        Part::of(Moments::of(values(&forms).into_iter()).shifted(known))
    }
}
