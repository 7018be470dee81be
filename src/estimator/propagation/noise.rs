//! Roots of diagonal curvature.

use crate::problem::layer::ColumnPair;
use tch::Tensor;

/// `√|r|` and `sign(r) √|r|` of a curvature r: times signs, a pair of columns with it as their mean.
pub(super) struct Noise(ColumnPair);

impl Noise {
    pub fn of(r: &Tensor) -> Self {
        // MKL takes ten times as long for the root of a zero.
        let root = r.abs().clamp_min(f64::from(f32::MIN_POSITIVE)).sqrt();
        let negative = bool::try_from(r.lt(0.0).any()).expect("a truth value");
        let signed = root * r.sign();
        Self(match negative {
            true => ColumnPair::of(&signed.abs(), &signed),
            false => ColumnPair::twice(&signed),
        })
    }

    /// The shape of the signs that it takes, `[N, *out]`.
    pub fn shape(&self) -> Vec<i64> {
        self.0.first.size()
    }

    /// Whether r is negative anywhere, so that both columns get different noise.
    pub fn is_indefinite(&self) -> bool {
        self.0.second.is_some()
    }

    /// The roots for the first and the second column.
    pub fn roots(&self) -> [&Tensor; 2] {
        self.0.both()
    }
}
