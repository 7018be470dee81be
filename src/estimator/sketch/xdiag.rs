//! XDiag.

use super::block::{Sketcher, inner, values};
use super::xtrace::{LeaveOneOut, leave_one_out};
use super::{Method, Part, Probe, State};
use crate::estimator::Moments;
use tch::{Kind, Tensor};

/// `kind = "xdiag"`: the diagonal, every probe sampling what the sketch of all the others leaves:
/// `diag(QZᵀ) + (1/k) Σ_i (Qs_i) ∘ (d_i ω_i − Zs_i)`, notation and cost as for `xtrace`.
///
/// Epperly, Tropp, Webber (SIMAX 45:1, 2024, arXiv:2301.07825, section 4). Signs only; unbiased for
/// every symmetric A. The trace is the sum, with the leave-one-out error estimate.
#[derive(Clone, Debug, PartialEq)]
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
        let known = (&basis.q * z).sum_dim_intlist(1, false, None::<Kind>);
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
        let terms = basis.q.matmul(&s) * (omega * d - z.matmul(&s));
        let row = |(known, terms): (&Tensor, &Tensor)| {
            let sums = terms.sum_dim_intlist(0, false, None::<Kind>);
            leave_one_out(values(&(sums + known.sum(Kind::Double))))
        };
        let parts = sketcher.split(&known);
        let parts = parts.iter().zip(&sketcher.split(&terms)).map(row).collect();
        let total = terms.sum_dim_intlist(0, false, None::<Kind>) + inner(&basis.q, z);
        Part {
            trace: leave_one_out(values(&total)),
            exact: false,
            parameters: parts,
            diagonal: Some(known + terms.mean_dim(1, false, None::<Kind>)),
        }
    }
}
