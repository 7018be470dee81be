//! XDiag.

use super::block::{Sketcher, column_sums, inner, row_sums, values};
use super::xtrace::{LeaveOneOut, leave_one_out};
use super::{Method, Part, Probe, State};
use crate::estimator::Moments;
use tch::{Kind, Tensor};

/// `kind = "xdiag"`: the diagonal, every probe sampling what the sketch of all the others leaves:
/// `diag(QZᵀ) + (1/k) Σ_i (Qs_i) ∘ (d_i ω_i − Zs_i)`, notation and cost as for `xtrace`.
///
/// Epperly, Tropp, Webber (SIMAX 45:1, 2024, arXiv:2301.07825, section 4). Signs only; unbiased for
/// every symmetric A. The trace is the sum, with the leave-one-out error estimate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct XDiag;

impl Method for XDiag {
    const KIND: &'static str = "xdiag";
    const PROBES: &'static [Probe] = &[Probe::Rademacher];
    const LEAST: u64 = 4;

    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a> {
        Box::new(Running(LeaveOneOut::new(sketcher)))
    }
}

struct Running<'a>(LeaveOneOut<'a>);

impl State for Running<'_> {
    fn grow(&mut self, v: u64) {
        self.0.grow_to(v as i64 / 2);
    }

    fn finish(&self) -> Part {
        let LeaveOneOut {
            sketcher,
            omega,
            basis,
            z,
        } = &self.0;
        let known = row_sums(&(&basis.q * z));
        if self.0.is_complete() {
            let sum = |part: &Tensor| Moments::exact(part.sum(Kind::Double).double_value(&[]));
            return Part {
                trace: sum(&known),
                exact: true,
                parameters: sketcher.split(&known).iter().map(sum).collect(),
                diagonal: Some(known),
            };
        }
        let (s, d) = self.0.directions();
        let (s, d) = (s.to_kind(z.kind()), d.to_kind(z.kind()));
        let terms = basis.q.matmul(&s) * (omega * d - z.matmul(&s));
        let row = |(known, terms): (&Tensor, &Tensor)| {
            leave_one_out(values(&(column_sums(terms) + known.sum(Kind::Double))))
        };
        let parts = sketcher.split(&known);
        let parts = parts.iter().zip(&sketcher.split(&terms)).map(row).collect();
        let total = column_sums(&terms) + inner(&basis.q, z);
        Part {
            trace: leave_one_out(values(&total)),
            exact: false,
            parameters: parts,
            diagonal: Some(known + terms.mean_dim(1, false, Kind::Double)),
        }
    }
}
