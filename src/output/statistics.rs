//! Distributions that intervals need.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The `p`-quantile of Student's t with `freedom` degrees of freedom.
pub(super) fn t_quantile(p: f64, freedom: u64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom as f64).map_or(f64::NAN, |t| t.inverse_cdf(p))
}

/// The middle value, or the mean of both; NaN of nothing.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_as_tabulated() {
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 2e-4, "{found}");
        near(t_quantile(0.975, 1), 12.7062);
        near(t_quantile(0.975, 10), 2.2281);
        near(t_quantile(0.975, 1_000_000), 1.95997);
    }
}
