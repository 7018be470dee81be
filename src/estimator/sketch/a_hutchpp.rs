//! Adaptive Hutch++.

use super::block::{Sketcher, values};
use super::deflation::Deflation;
use super::{Method, Part, Probe, State};
use crate::estimator::{Moments, Stop, Tolerance};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use tch::{Kind, Tensor};

/// `kind = "a_hutchpp"`: Hutch++ that finds by itself how much to sketch and how much to sample.
///
/// Persson, Cortinovis, Kressner (SIMAX 43:3, 2022, arXiv:2109.10659). To an absolute error ε with a
/// chance of failure of 2δ (`atol`, `confidence = 1 − 2δ`): the sketch grows until
/// `f(k) = 2k + C (‖QᵀAQ‖² − 2‖AQ‖²)`, `C = 4 ln(2/δ)/ε²`, has risen twice in a row, since then a
/// probe is worth more than a column; then probes g until there are `C t/α` of them, t being the
/// mean of `‖(I−QQᵀ)A(I−QQᵀ)g‖²` and α the δ-quantile of `χ²_i/i` for i of them. With a given V the
/// sketch grows until the predicted variance `‖(I−QQᵀ)A(I−QQᵀ)‖²/(V − 2k)` has risen twice in a row,
/// and the rest are probes. Unbiased for every symmetric A, the probes being independent of
/// the sketch; the standard error is that of the mean over them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AHutchPp;

impl Method for AHutchPp {
    const KIND: &'static str = "a_hutchpp";
    const PROBES: &'static [Probe] = &[Probe::Gaussian, Probe::Rademacher, Probe::Sphere];
    const LEAST: u64 = 8;
    const NESTED: bool = false;
    const ABSOLUTE: bool = true;

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

impl Running<'_> {
    /// Sketches, `step` columns at once and at most `most` in all, until `measure` has risen twice
    /// in a row; it is told k, `‖QᵀAQ‖² − 2‖AQ‖²` and the mean of `‖Aω‖²`.
    fn sketch(&mut self, step: i64, most: i64, measure: impl Fn(i64, f64, f64) -> f64) {
        let (mut k, mut squares) = (0, 0.0);
        let (mut last, mut rises) = (f64::INFINITY, 0);
        while k + step <= most && rises < 2 {
            k += step;
            squares += self.deflation.sketch(k);
            let z = &self.deflation.z;
            let inside = self.deflation.basis.q.tr().matmul(z);
            let now = measure(k, square(&inside) - 2.0 * square(z), squares / k as f64);
            rises = if now > last { rises + 1 } else { 0 };
            last = now;
        }
    }
}

fn square(block: &Tensor) -> f64 {
    block.square().sum(Kind::Double).double_value(&[])
}

impl State for Running<'_> {
    fn grow(&mut self, v: u64) {
        let v = v as i64;
        // Few enough steps that the last ones, which were in vain, cost little.
        let step = (v / 24).clamp(1, self.sketcher.v_batch().max(1));
        self.sketch(step, v * 2 / 5, |k, inside, norm| {
            (norm + inside).max(0.0) / (v - 2 * k) as f64
        });
        self.deflation.probe(v - 2 * self.deflation.basis.rank());
    }

    fn finish(&self) -> Part {
        let forms = values(&self.deflation.outside_forms());
        Part::of(Moments::of(forms.into_iter()).shifted(self.deflation.known()))
    }

    fn until(&mut self, tolerance: &Tolerance) -> Option<Stop> {
        let delta = (1.0 - tolerance.confidence) / 2.0;
        let c = 4.0 * (2.0 / delta).ln() / tolerance.atol.powi(2);
        let n = self.sketcher.size();
        let most = tolerance.max_v as i64;
        let columns = (most / 2 - 2).min(n - 1);
        let step = self.sketcher.v_batch().clamp(1, 8).min(columns.max(1));
        self.sketch(step, columns, |k, inside, _| 2.0 * k as f64 + c * inside);
        let rest = most - 2 * self.deflation.basis.rank();
        let mut count = rest.min(2);
        loop {
            self.deflation.probe(count);
            let (_, ag) = self.deflation.outside();
            let q = &self.deflation.basis.q;
            let outside = &ag - q.matmul(&q.tr().matmul(&ag));
            let mean = square(&outside) / count as f64;
            let wanted = (c * mean / quantile(count, delta)).ceil() as i64;
            match () {
                () if count >= wanted => return Some(Stop::Tolerance),
                () if count == rest => return Some(Stop::MaxV),
                () => count = wanted.min(count + self.sketcher.v_batch()).min(rest),
            }
        }
    }
}

/// The δ-quantile of `χ²_i/i`.
fn quantile(i: i64, delta: f64) -> f64 {
    let chi = ChiSquared::new(i as f64).expect("at least one degree of freedom");
    chi.inverse_cdf(delta) / i as f64
}
