//! XNysTrace.

use super::block::{Sketcher, column_dots, inner, inverse, values};
use super::nystrom::Nystrom;
use super::xtrace::leave_one_out;
use super::{Method, Part, Probe, State};
use tch::{Kind, Tensor};

/// `kind = "xnystrace"`: every probe samples what the Nyström approximation from all the others
/// leaves.
///
/// Epperly, Tropp, Webber (SIMAX 45:1, 2024, arXiv:2301.07825). With `Y = AΩ + νΩ = QR`,
/// `H = ΩᵀY`, `B = R H⁻¹ᐟ²` and S the columns of `R H⁻¹` over the roots of the diagonal of `H⁻¹`,
/// the mean of `t_i = ‖B‖_F² − ‖s_i‖² + c_i (s_iᵀQᵀω_i)² − νn`; `c_i = 1` for signs, on the sphere
/// `n − k + 1` over the squared distance of ω_i to the span of the other probes. V products in one
/// round. For positive semidefinite A only. Errors as for `xtrace`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct XNysTrace;

impl Method for XNysTrace {
    const KIND: &'static str = "xnystrace";
    const PROBES: &'static [Probe] = &[Probe::Sphere, Probe::Rademacher];
    const LEAST: u64 = 2;
    const SEMIDEFINITE: bool = true;
    const DOUBLE: bool = true;

    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a> {
        Box::new(Running(Nystrom::new(sketcher)))
    }
}

struct Running<'a>(Nystrom<'a>);

impl State for Running<'_> {
    fn grow(&mut self, v: u64) {
        self.0.grow_to(v as i64);
    }

    fn finish(&self) -> Part {
        let factors = self.0.factors();
        let (q, r) = Tensor::linalg_qr(&factors.y, "reduced");
        let b = r.matmul(&factors.root);
        let inverse_h = factors.root.matmul(&factors.root.tr());
        let s = r.matmul(&inverse_h) / inverse_h.diagonal(0, 0, 1).sqrt();
        let n = self.0.sketcher.size();
        let forms = column_dots(&s, &q.tr().matmul(&self.0.omega)).square();
        let scale = match self.0.sketcher.probe() {
            Probe::Sphere => {
                let (_, r) = Tensor::linalg_qr(&self.0.omega, "reduced");
                let inverse = inverse(&r).square().sum_dim_intlist(1, false, None::<Kind>);
                inverse * (n - r.size()[0] + 1) as f64
            }
            _ => forms.ones_like(),
        };
        let known = inner(&b, &b) - factors.shift * n as f64;
        let t = forms * scale - column_dots(&s, &s) + known;
        Part::of(leave_one_out(values(&t)))
    }
}
