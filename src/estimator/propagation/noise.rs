//! Roots of diagonal curvature.

use tch::Tensor;

/// `√r⁺` and `√r⁻` of a curvature `r = r⁺ − r⁻`; the latter only where something is negative.
pub(super) struct Noise {
    positive: Tensor,
    negative: Option<Tensor>,
}

impl Noise {
    pub fn of(r: &Tensor) -> Self {
        // MKL takes ten times as long for the root of a zero.
        let root = r.abs().clamp_min(f64::from(f32::MIN_POSITIVE)).sqrt();
        let negative = r.lt(0.0);
        let any = bool::try_from(negative.any()).expect("a truth value");
        Self {
            negative: any.then(|| &root * &negative),
            positive: root * r.gt(0.0),
        }
    }

    /// The shape of the signs that it takes, `[N, *out]`.
    pub fn shape(&self) -> Vec<i64> {
        self.positive.size()
    }

    /// The positive or the negative part's columns from signs v.
    pub fn root(&self, sign: f64, v: &Tensor) -> Option<Tensor> {
        match sign > 0.0 {
            true => Some(&self.positive * v),
            false => self.negative.as_ref().map(|root| root * v),
        }
    }
}
