//! Whether a standard error can be believed.

use super::progress::note;

/// Fewer samples tell nothing about their tails.
const ENOUGH: usize = 100;

/// Notes it where a hundredth of the samples carries more than half of their variance.
///
/// Of a normal distribution it carries a twelfth. The standard error then rests on a few samples and
/// is too small as long as none of that kind has come.
pub(super) fn note_if_dominated(samples: impl Iterator<Item = f64>) {
    if is_dominated(samples.collect()) {
        note(
            "a hundredth of the probes carries more than half of the sample variance: standard errors are rough, take more probes",
        );
    }
}

fn is_dominated(samples: Vec<f64>) -> bool {
    let count = samples.len();
    if count < ENOUGH {
        return false;
    }
    let mean = samples.iter().sum::<f64>() / count as f64;
    let mut squares: Vec<f64> = samples.iter().map(|x| (x - mean).powi(2)).collect();
    let total: f64 = squares.iter().sum();
    squares.sort_unstable_by(|a, b| b.total_cmp(a));
    squares[..count / 100].iter().sum::<f64>() > 0.5 * total
}

#[cfg(test)]
mod tests {
    use super::is_dominated;

    #[test]
    fn heavy_tails_are_told_from_light_ones() {
        // Quantiles of the logistic distribution, heavier than the normal one.
        let light = |k: usize| ((k as f64 + 0.5) / (999.5 - k as f64)).ln();
        let samples: Vec<f64> = (0..1000).map(light).collect();
        assert!(!is_dominated(samples.clone()));
        let one_far_away = |k: usize, x: f64| if k == 7 { 100.0 } else { x };
        let heavy = samples.iter().enumerate().map(|(k, &x)| one_far_away(k, x));
        assert!(is_dominated(heavy.collect()));
        assert!(!is_dominated(vec![1.0; 1000]), "no variance at all");
        assert!(
            !is_dominated((0..99).map(|k| f64::from(k / 98)).collect()),
            "too few"
        );
    }
}
