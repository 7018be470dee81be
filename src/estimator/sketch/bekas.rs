//! The diagonal estimator of Bekas, Kokiopoulou and Saad.

use super::block::{Set, Sketcher, column_sums, row_sums, values};
use super::{Method, Part, Probe, State};
use crate::estimator::Moments;
use tch::{Kind, Tensor};

/// `kind = "bekas"`: the diagonal, `Σ_k v_k ∘ A v_k / Σ_k v_k ∘ v_k`.
///
/// Bekas, Kokiopoulou, Saad (Appl. Numer. Math. 57, 2007, doi:10.1016/j.apnum.2007.01.003). V
/// products, memory of O(n). Unbiased; with signs the variance of entry i is `Σ_{j≠i} a_ij²/V` and
/// the sum is Hutchinson's estimate with its standard error. With normals it is a ratio, for whose
/// sum none is stated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bekas;

impl Method for Bekas {
    const KIND: &'static str = "bekas";
    const PROBES: &'static [Probe] = &[Probe::Rademacher, Probe::Gaussian];
    const LEAST: u64 = 1;
    const BLOCKS: bool = false;

    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a> {
        let zeros = || row_sums(&sketcher.empty());
        let parameters = sketcher.split(&zeros()).len();
        Box::new(Running {
            sketcher,
            count: 0,
            numerator: zeros(),
            denominator: zeros(),
            forms: vec![Vec::new(); parameters],
        })
    }
}

struct Running<'a> {
    sketcher: &'a Sketcher<'a>,
    count: i64,
    numerator: Tensor,
    denominator: Tensor,
    /// `v_lᵀ (A v)_l` of every parameter l and probe.
    forms: Vec<Vec<f64>>,
}

impl State for Running<'_> {
    fn grow(&mut self, v: u64) {
        while self.count < v as i64 {
            let count = self.sketcher.v_batch().min(v as i64 - self.count);
            let v = self.sketcher.draw(Set::First, self.count, count);
            let terms = &v * self.sketcher.multiply(&v);
            self.numerator += row_sums(&terms);
            self.denominator += row_sums(&v.square());
            for (forms, terms) in self.forms.iter_mut().zip(self.sketcher.split(&terms)) {
                forms.extend(values(&column_sums(&terms)));
            }
            self.count += count;
        }
    }

    fn finish(&self) -> Part {
        let diagonal = &self.numerator / &self.denominator;
        let sum = |part: &Tensor| Moments::exact(part.sum(Kind::Double).double_value(&[]));
        let (trace, parameters) = match self.sketcher.probe() {
            Probe::Rademacher => {
                let total = |k: usize| self.forms.iter().map(|forms| forms[k]).sum();
                let of = |forms: &Vec<f64>| Moments::of(forms.iter().copied());
                (
                    Moments::of((0..self.count as usize).map(total)),
                    self.forms.iter().map(of).collect(),
                )
            }
            _ => {
                let parts = self.sketcher.split(&diagonal);
                (sum(&diagonal), parts.iter().map(sum).collect())
            }
        };
        Part {
            trace,
            exact: false,
            parameters,
            diagonal: Some(diagonal),
        }
    }
}
