//! Means with their standard errors and confidence intervals.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// An estimate and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The estimate: of independent samples, their mean.
    pub mean: f64,
    /// Its standard error; `None` where there is none to state.
    pub std_error: Option<f64>,
    /// What an interval is made of.
    pub interval: Interval,
}

/// How a standard error becomes a confidence interval: `mean ± factor · std_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// No interval: fewer than two samples, or none at all.
    None,
    /// Of a mean of independent samples, `freedom` being one less than these: the factor is the
    /// quantile of Student's t distribution.
    StudentT {
        /// Degrees of freedom.
        freedom: u64,
    },
    /// Of leave-one-out estimates, which depend on each other: the quantile of Student's t, times
    /// [`Interval::INFLATION`].
    LeaveOneOut {
        /// Degrees of freedom.
        freedom: u64,
    },
}

impl Interval {
    /// The error estimate of leave-one-out estimators, `std(t_i)/√k`, "tends to underestimate the
    /// error" (Epperly, Tropp, Webber, SIMAX 45:1, 2024, arXiv:2301.07825, section 2.2), by as much
    /// as the spectrum decays; this factor was found by simulation. With it, intervals at 95 %
    /// covered the trace in so many of 400 runs each (n = 1000, probes on the sphere, V = 20 and 60;
    /// spectra of `[problem] kind = "matrix"`; measured by `tests/panel.rs`):
    ///
    /// | | flat | poly | 0.9^i | 0.7^i | step 1e-3 | (−0.9)^i |
    /// |---|---|---|---|---|---|---|
    /// | XTrace, V = 20 | 100 % | 100 % | 100 % | 99 % | 100 % | 100 % |
    /// | XTrace, V = 60 | 100 % | 100 % | 100 % | 100 % | 100 % | 100 % |
    /// | XNysTrace, V = 20 | 100 % | 100 % | 100 % | 95 % | 100 % | |
    /// | XNysTrace, V = 60 | 100 % | 100 % | 98 % | 90 % | 99 % | |
    ///
    /// They are wide where the spectrum is flat, and too narrow for XNysTrace only where next to
    /// nothing is left to be sampled.
    pub const INFLATION: f64 = 3.0;

    /// What the standard error is multiplied with, at `confidence`.
    fn factor(self, confidence: f64) -> Option<f64> {
        match self {
            Self::None => None,
            Self::StudentT { freedom } => Some(t_quantile(freedom, confidence)),
            Self::LeaveOneOut { freedom } => {
                Some(Self::INFLATION * t_quantile(freedom, confidence))
            }
        }
    }

    /// What an interval of this name is longer by than Student's of the same degrees of freedom.
    pub fn inflation_of(name: Option<&str>) -> f64 {
        let leave_one_out = Self::LeaveOneOut { freedom: 1 };
        match name.is_some() && name == leave_one_out.name() {
            true => Self::INFLATION,
            false => 1.0,
        }
    }

    /// Its name in the records.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::StudentT { .. } => Some("student_t"),
            Self::LeaveOneOut { .. } => Some("leave_one_out"),
        }
    }
}

/// The t with `P(|T| ≤ t) = confidence`.
fn t_quantile(freedom: u64, confidence: f64) -> f64 {
    student_quantile(0.5 + confidence / 2.0, freedom)
}

/// The `p`-quantile of Student's t with `freedom` degrees of freedom, by bisection: statrs's own inverse
/// goes on for ever at some of them.
///
/// # Panics
/// Without a degree of freedom.
pub fn student_quantile(p: f64, freedom: u64) -> f64 {
    if p < 0.5 {
        return -student_quantile(1.0 - p, freedom);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while student_cdf(high, freedom) < p && high < 1e18 {
        high *= 2.0;
    }
    // As many halvings as a float has bits and the doublings before, and some.
    for _ in 0..128 {
        let middle = (low + high) / 2.0;
        if middle == low || middle == high {
            break;
        }
        match student_cdf(middle, freedom) < p {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// How likely Student's t with `freedom` degrees of freedom is at most `t`; NaN for NaN, as the interval
/// of an estimate without any spread gives.
///
/// # Panics
/// Without a degree of freedom.
pub fn student_cdf(t: f64, freedom: u64) -> f64 {
    if t.is_nan() {
        return t;
    }
    StudentsT::new(0.0, 1.0, freedom as f64)
        .expect("at least one degree of freedom")
        .cdf(t)
}

impl Moments {
    /// Of independent samples: their mean and `s/√m` with the unbiased sample variance `s²`; two
    /// passes in float64.
    pub fn of(samples: impl Iterator<Item = f64> + Clone) -> Self {
        let count = samples.clone().count();
        let m = count as f64;
        let mean = samples.clone().sum::<f64>() / m;
        if count < 2 {
            return Self::exact(mean);
        }
        let squares: f64 = samples.map(|x| (x - mean).powi(2)).sum();
        Self {
            mean,
            std_error: Some((squares / (m - 1.0) / m).sqrt()),
            interval: Interval::StudentT {
                freedom: count as u64 - 1,
            },
        }
    }

    /// The unbiased sample variance `s²` of independent samples, with its standard error, the root of
    /// `(m₄ − s⁴ (m − 3)/(m − 1)) / m`, m₄ the fourth central moment; it needs no normal distribution.
    pub fn of_variance(samples: &[f64]) -> Self {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let central = |power| samples.iter().map(|x| (x - mean).powi(power)).sum::<f64>();
        let (variance, fourth) = (central(2) / (count - 1.0), central(4) / count);
        let square = (fourth - variance.powi(2) * (count - 3.0) / (count - 1.0)) / count;
        Self {
            std_error: (count > 3.0).then(|| square.max(0.0).sqrt()),
            ..Self::exact(variance)
        }
    }

    /// A value without a sampling error, or without one that could be stated.
    pub fn exact(value: f64) -> Self {
        Self {
            mean: value,
            std_error: None,
            interval: Interval::None,
        }
    }

    /// These moments about a mean that is larger by `by`.
    pub fn shifted(self, by: f64) -> Self {
        Self {
            mean: self.mean + by,
            ..self
        }
    }

    /// The lower and the upper end of the confidence interval.
    pub fn bounds(&self, confidence: f64) -> Option<(f64, f64)> {
        let half = self.half_width(confidence)?;
        Some((self.mean - half, self.mean + half))
    }

    /// Half the width of the confidence interval.
    pub fn half_width(&self, confidence: f64) -> Option<f64> {
        Some(self.std_error? * self.interval.factor(confidence)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_has_no_probability() {
        assert!(student_cdf(f64::NAN, 3).is_nan());
        assert_eq!(student_cdf(f64::INFINITY, 3), 1.0);
    }

    /// Percentage points of Student's t from tables (Abramowitz and Stegun, table 26.10).
    #[test]
    fn intervals_are_those_of_the_tables() {
        for (freedom, confidence, t) in [
            (1, 0.95, 12.706),
            (4, 0.95, 2.776),
            (9, 0.99, 3.250),
            (30, 0.90, 1.697),
        ] {
            let found = t_quantile(freedom, confidence);
            assert!((found - t).abs() < 6e-4, "{freedom}, {confidence}: {found}");
        }
        let moments = Moments::of([1.0, 2.0, 3.0, 4.0, 5.0].into_iter());
        assert_eq!(moments.mean, 3.0);
        assert_eq!(moments.std_error, Some(0.5f64.sqrt()));
        let half = moments.half_width(0.95).unwrap();
        assert!((half - 2.776 * 0.5f64.sqrt()).abs() < 1e-3);
    }

    /// Student's t of 2 degrees of freedom has a closed form, large ones are near the normal.
    #[test]
    fn every_quantile_is_found() {
        for freedom in 1..300 {
            for p in [0.5, 0.6, 0.9, 0.975, 0.995, 0.9995] {
                let t = student_quantile(p, freedom);
                let law = StudentsT::new(0.0, 1.0, freedom as f64).unwrap();
                assert!((law.cdf(t) - p).abs() < 1e-12, "{freedom}, {p}: {t}");
                let mirrored = student_quantile(1.0 - p, freedom);
                assert!((mirrored + t).abs() < 1e-9 * (1.0 + t), "{freedom}, {p}");
            }
        }
        let (p, closed) = (0.975f64, |p: f64| {
            (2.0 * p - 1.0) / (2.0 * p * (1.0 - p)).sqrt()
        });
        assert!((student_quantile(p, 2) - closed(p)).abs() < 1e-9);
        assert!((student_quantile(0.975, 1_000_000) - 1.95997).abs() < 1e-4);
    }

    #[test]
    fn one_sample_has_no_error() {
        let moments = Moments::of([7.0].into_iter());
        assert_eq!((moments.mean, moments.std_error), (7.0, None));
        assert_eq!(moments.half_width(0.95), None);
        assert_eq!(moments.interval.name(), None);
    }
}
