//! Non-adaptive Hutch++.

use super::block::{Set, Sketcher, column_dots, inner, values};
use super::{Method, Part, Probe, State};
use crate::estimator::Moments;
use tch::Tensor;

/// `kind = "na_hutchpp"`: Hutch++ in a single round of products,
/// `tr((SᵀZ)⁺ WᵀZ) + (1/m) Σ_j [g_jᵀAg_j − g_jᵀZ (SᵀZ)⁺ Wᵀg_j]` with `Z = A R`, `W = A S`.
///
/// Meyer, Musco, Musco, Woodruff (SOSA 2021, arXiv:2010.09649), S a sixth, R a third, G half of V.
/// Unbiased for every symmetric A; the pseudo-inverse can blow the variance up where the spectrum
/// does not decay, so that Hutch++ is to be preferred wherever two rounds are possible. The
/// standard error is that of the mean over the probes G.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NaHutchPp;

impl Method for NaHutchPp {
    const KIND: &'static str = "na_hutchpp";
    const PROBES: &'static [Probe] = &[Probe::Rademacher, Probe::Gaussian, Probe::Sphere];
    const LEAST: u64 = 6;
    const DOUBLE: bool = true;

    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a> {
        let set = |set| Multiplied {
            sketcher,
            set,
            v: sketcher.empty(),
            av: sketcher.empty(),
        };
        Box::new(Running {
            s: set(Set::First),
            r: set(Set::Second),
            g: set(Set::Third),
        })
    }
}

/// Probes of one set and their products.
struct Multiplied<'a> {
    sketcher: &'a Sketcher<'a>,
    set: Set,
    v: Tensor,
    av: Tensor,
}

impl Multiplied<'_> {
    fn grow(&mut self, count: i64) {
        let have = self.v.size()[1];
        if count > have {
            let v = self.sketcher.draw(self.set, have, count - have);
            self.av = Tensor::cat(&[&self.av, &self.sketcher.multiply(&v)], 1);
            self.v = Tensor::cat(&[&self.v, &v], 1);
        }
    }
}

struct Running<'a> {
    s: Multiplied<'a>,
    r: Multiplied<'a>,
    g: Multiplied<'a>,
}

impl State for Running<'_> {
    fn grow(&mut self, v: u64) {
        let v = v as i64;
        self.s.grow(v / 6);
        self.r.grow(v / 3);
        self.g.grow(v - v / 6 - v / 3);
    }

    fn finish(&self) -> Part {
        let (s, w, z) = (&self.s.v, &self.s.av, &self.r.av);
        let core = s
            .tr()
            .matmul(z)
            .linalg_pinv(self.s.sketcher.epsilon(), false);
        let known = inner(&core.tr(), &w.tr().matmul(z));
        let left = z.tr().matmul(&self.g.v);
        let right = core.matmul(&w.tr().matmul(&self.g.v));
        let forms = column_dots(&self.g.v, &self.g.av) - column_dots(&left, &right);
        Part::of(Moments::of(values(&forms).into_iter()).shifted(known))
    }
}
