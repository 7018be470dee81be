//! Distributions that intervals and comparisons need.

use crate::estimator::student_quantile;
use statrs::distribution::{ContinuousCDF, FisherSnedecor};

/// The `p`-quantile of Student's t with `freedom` degrees of freedom.
pub(super) fn t_quantile(p: f64, freedom: u64) -> f64 {
    match freedom {
        0 => f64::NAN,
        _ => student_quantile(p, freedom),
    }
}

/// How likely two mean squares of normal values, of so many degrees of freedom each, have a ratio
/// of `ratio` or more when their expectations are equal.
pub(super) fn f_tail(ratio: f64, above: u64, below: u64) -> f64 {
    FisherSnedecor::new(above as f64, below as f64).map_or(f64::NAN, |f| f.sf(ratio))
}

/// The middle value, or the mean of both; NaN of nothing.
pub(in crate::output) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// How likely values drawn like `a` and `b` from one distribution have `b` above `a` as clearly as
/// here, one-sided and exact (Mann, Whitney, Ann. Math. Stat. 18:1, 1947); ties count half.
///
/// Costs `(n·m)²` additions; longer lists are thinned evenly to 40 values.
pub(super) fn rank_test(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (thinned(a), thinned(b));
    let above = |(x, y): (f64, f64)| match y.total_cmp(&x) {
        std::cmp::Ordering::Greater => 2,
        std::cmp::Ordering::Equal => 1,
        std::cmp::Ordering::Less => 0,
    };
    let pairs = b.iter().flat_map(|&y| a.iter().map(move |&x| (x, y)));
    let twice: usize = pairs.map(above).sum();
    // counts[i][u]: orders of i values of a and j of b in which u pairs have b above, j rising.
    let (n, m) = (a.len(), b.len());
    let mut counts = vec![vec![0.0; n * m + 1]; n + 1];
    counts.iter_mut().for_each(|row| row[0] = 1.0);
    for _ in 1..=m {
        for i in 1..=n {
            // The largest value is of a, or it is of b and above all i of a.
            let shifted = (0..=n * m).map(|u| if u < i { 0.0 } else { counts[i][u - i] });
            let row: Vec<f64> = shifted.zip(&counts[i - 1]).map(|(b, a)| b + a).collect();
            counts[i] = row;
        }
    }
    let all: f64 = counts[n].iter().sum();
    let tail: f64 = counts[n][twice / 2..].iter().sum();
    tail / all
}

fn thinned(values: &[f64]) -> Vec<f64> {
    const MOST: usize = 40;
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        ..=MOST => values,
        n => (0..MOST)
            .map(|i| values[(2 * i + 1) * n / (2 * MOST)])
            .collect(),
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
        near(f_tail(2.97823, 10, 10), 0.05);
        near(f_tail(1.0, 5, 5), 0.5);
    }

    #[test]
    fn the_rank_test_counts_orders() {
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        // One order of 252 has all of b above all of a.
        near(
            rank_test(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0, 10.0]),
            1.0 / 252.0,
        );
        near(rank_test(&[1.0, 2.0], &[3.0, 4.0, 5.0]), 1.0 / 10.0);
        // Of the six orders of two and two, 3 pairs of 4 or more above: two.
        near(rank_test(&[1.0, 3.0], &[2.0, 4.0]), 2.0 / 6.0);
        near(rank_test(&[6.0, 7.0], &[1.0, 2.0]), 1.0);
        assert!(rank_test(&[1.0; 5], &[1.0; 5]) > 0.4);
        let long: Vec<f64> = (0..1000).map(f64::from).collect();
        assert!(rank_test(&long, &long) > 0.3);
    }
}
