//! Hutch++.

use super::block::{Sketcher, values};
use super::deflation::Deflation;
use super::{Method, Part, Probe, State};
use crate::estimator::Moments;

/// `kind = "hutchpp"`: `tr(QᵀAQ) + (1/m) Σ_j g_jᵀ(I−QQᵀ)A(I−QQᵀ)g_j`, `Q = orth(A S)`.
///
/// Meyer, Musco, Musco, Woodruff (SOSA 2021, arXiv:2010.09649). A third of V sketches, a third
/// multiplies Q, the rest, m of them, are probes. Unbiased for every symmetric A; the error falls
/// as 1/V for positive semidefinite ones, and for indefinite ones with the trace norm in place of
/// the trace. On flat spectra Hutchinson's estimator is better by √3. The standard error is that of the
/// mean over the probes, Q being given, so that its interval holds. Memory: `(2k + 2m) n` numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HutchPp;

impl Method for HutchPp {
    const KIND: &'static str = "hutchpp";
    const PROBES: &'static [Probe] = &[Probe::Rademacher, Probe::Gaussian, Probe::Sphere];
    const LEAST: u64 = 4;

    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a> {
        Box::new(Running(Deflation::new(sketcher)))
    }
}

struct Running<'a>(Deflation<'a>);

impl State for Running<'_> {
    fn grow(&mut self, v: u64) {
        let k = v as i64 / 3;
        self.0.sketch(k);
        self.0.probe(v as i64 - 2 * k);
    }

    fn finish(&self) -> Part {
        let forms = values(&self.0.outside_forms());
        Part::of(Moments::of(forms.into_iter()).shifted(self.0.known()))
    }
}
