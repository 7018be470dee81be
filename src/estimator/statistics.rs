//! Means with their standard errors.

use super::Quantity;

/// A sample mean and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The sample mean.
    pub mean: f64,
    /// `s/√m` with the unbiased sample variance `s²`; `None` for fewer than two samples.
    pub std_error: Option<f64>,
}

impl Moments {
    /// Of independent samples; two passes in float64.
    pub fn of(samples: impl Iterator<Item = f64> + Clone) -> Self {
        let count = samples.clone().count() as f64;
        let mean = samples.clone().sum::<f64>() / count;
        let squares: f64 = samples.map(|x| (x - mean).powi(2)).sum();
        Self {
            mean,
            std_error: (count > 1.0).then(|| (squares / (count - 1.0) / count).sqrt()),
        }
    }

    /// A value without sampling error.
    pub fn exact(value: f64) -> Self {
        Self {
            mean: value,
            std_error: None,
        }
    }
}

/// An estimate of one quantity, and of its part in every parameter where it has parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// What it is of.
    pub quantity: Quantity,
    /// Probes; `None` for an estimate that needs none.
    pub v: Option<u64>,
    /// The whole.
    pub value: Moments,
    /// Every parameter's part; none where it has no parts.
    pub parameters: Vec<Moments>,
    /// Matrix-vector products spent.
    pub products: u64,
    /// Wall time from network and batch in memory to this estimate alone, device synchronised.
    pub seconds: f64,
}

impl Estimate {
    /// Takes the standard errors away, where samples are not independent.
    pub fn forget_errors(&mut self) {
        self.value.std_error = None;
        for part in &mut self.parameters {
            part.std_error = None;
        }
    }
}
