//! Diag++.

use super::block::{Sketcher, column_sums, row_sums, values};
use super::deflation::Deflation;
use super::{Method, Part, Probe, State};
use crate::estimator::Moments;
use tch::{Kind, Tensor};

/// `kind = "diagpp"`: the diagonal, `diag(QZᵀ) + (1/m) Σ_j g_j ∘ (A g_j − Q Zᵀg_j)`, `Z = AQ`.
///
/// Baston and Nakatsukasa (arXiv:2201.10684, 2022). `QQᵀA` is known, `(I − QQᵀ)A` sampled; V is split
/// as for Hutch++. Unbiased for every symmetric A. The trace is the sum; its standard error, and
/// those of the parameters' parts, are of means over the probes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiagPp;

impl Method for DiagPp {
    const KIND: &'static str = "diagpp";
    const PROBES: &'static [Probe] = &[Probe::Rademacher, Probe::Gaussian, Probe::Sphere];
    const LEAST: u64 = 4;

    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a> {
        Box::new(Running {
            sketcher,
            deflation: Deflation::new(sketcher),
        })
    }
}

struct Running<'a> {
    sketcher: &'a Sketcher<'a>,
    deflation: Deflation<'a>,
}

impl State for Running<'_> {
    fn grow(&mut self, v: u64) {
        let k = v as i64 / 3;
        self.deflation.sketch(k);
        self.deflation.probe(v as i64 - 2 * k);
    }

    fn finish(&self) -> Part {
        let Deflation {
            basis, z, g, ag, ..
        } = &self.deflation;
        let known = row_sums(&(&basis.q * z));
        let terms = g * (ag - basis.q.matmul(&z.tr().matmul(g)));
        let row = |(known, terms): (&Tensor, &Tensor)| {
            let sums = values(&column_sums(terms));
            Moments::of(sums.into_iter()).shifted(known.sum(Kind::Double).double_value(&[]))
        };
        let parts = self.sketcher.split(&known);
        let sampled = self.sketcher.split(&terms);
        Part {
            trace: row((&known, &terms)),
            exact: false,
            parameters: parts.iter().zip(&sampled).map(row).collect(),
            diagonal: Some(known + terms.mean_dim(1, false, Kind::Double)),
        }
    }
}
