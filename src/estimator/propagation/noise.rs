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

    /// A column of that sign with the curvature's own one from signs v added to it.
    pub fn onto(&self, column: Option<Tensor>, sign: f64, v: &Tensor) -> Option<Tensor> {
        let root = match sign > 0.0 {
            true => Some(&self.positive),
            false => self.negative.as_ref(),
        };
        match (column, root) {
            (Some(column), Some(root)) => Some(column.addcmul(root, v)),
            (column, root) => column.or_else(|| root.map(|root| root * v)),
        }
    }
}
