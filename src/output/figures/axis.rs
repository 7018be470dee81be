//! One axis: from values to places on the page, and its ticks.

use super::numbers::alike;

/// A linear or logarithmic scale from `lo` to `hi`, drawn between `from` and `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) lo: f64,
    pub(super) hi: f64,
    pub(super) log: bool,
    pub(super) from: f64,
    pub(super) to: f64,
    /// The only value, if there is but one; it is the tick of a logarithmic axis.
    pub(super) only: Option<f64>,
}

/// Values with a label, and values between them without.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ticks {
    pub(super) major: Vec<(f64, String)>,
    pub(super) minor: Vec<f64>,
}

impl Axis {
    /// Takes in all of `values` with a margin; a single value stands in the middle.
    pub(super) fn linear(values: impl IntoIterator<Item = f64>) -> Self {
        let (lo, hi) = range(values);
        let pad = match hi - lo {
            // No more than rounding apart.
            0.0 if hi == 0.0 => 1.0,
            span if span <= 1e-9 * hi.abs().max(lo.abs()) => 0.1 * hi.abs(),
            span => 0.05 * span,
        };
        Self {
            lo: lo - pad,
            hi: hi + pad,
            log: false,
            from: 0.0,
            to: 1.0,
            only: None,
        }
    }

    /// A logarithmic axis that holds all of `values`, which are above zero.
    pub(super) fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let (lo, hi) = range(values);
        let only = (lo == hi).then_some(lo);
        let pad = if only.is_some() {
            2.0
        } else {
            (hi / lo).powf(0.025)
        };
        Self {
            lo: lo / pad,
            hi: hi * pad,
            log: true,
            from: 0.0,
            to: 1.0,
            only,
        }
    }

    /// This scale between two places on the page.
    pub(super) fn between(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    /// Where `value` lies on the page.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = if self.log {
            (value / self.lo).ln() / (self.hi / self.lo).ln()
        } else {
            (value - self.lo) / (self.hi - self.lo)
        };
        self.from + part * (self.to - self.from)
    }

    /// Four to ten round numbers along the axis; three will do on a logarithmic one.
    pub(super) fn ticks(&self) -> Ticks {
        if !self.log {
            return Ticks {
                major: labelled(linear_ticks(self.lo, self.hi), false),
                minor: Vec::new(),
            };
        }
        if let Some(only) = self.only {
            return Ticks {
                major: labelled(vec![only], true),
                minor: Vec::new(),
            };
        }
        let fine = log_ticks(self.lo, self.hi, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let decades = log_ticks(self.lo, self.hi, &[1]);
        let steps = [&[1, 2, 5][..], &[1, 2, 3, 5, 7]].map(|f| log_ticks(self.lo, self.hi, f));
        let enough = steps.into_iter().find(|steps| steps.len() >= 3);
        let major = match (decades.len(), enough) {
            (3.., _) => {
                let stride = decades.len().div_ceil(6);
                decades.iter().copied().step_by(stride).collect()
            }
            (_, Some(steps)) if self.hi > 2.0 * self.lo => steps,
            _ => linear_ticks(self.lo, self.hi),
        };
        let minor = if decades.len() > 8 { decades } else { fine };
        let minor = minor.into_iter().filter(|v| !major.contains(v)).collect();
        Ticks {
            major: labelled(major, true),
            minor,
        }
    }
}

fn labelled(values: Vec<f64>, log: bool) -> Vec<(f64, String)> {
    let texts = alike(&values, log);
    values.into_iter().zip(texts).collect()
}

fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    values
        .into_iter()
        .fold(start, |(lo, hi), v| (lo.min(v), hi.max(v)))
}

/// Multiples of the largest 1, 2 or 5 times a power of ten that has at least four.
fn linear_ticks(lo: f64, hi: f64) -> Vec<f64> {
    let power = (hi - lo).log10().floor() as i32;
    let steps = [power, power - 1]
        .into_iter()
        .flat_map(|power| [5, 2, 1].map(|f| (f, power)));
    let multiples = |(factor, power): (i64, i32)| -> Vec<f64> {
        let step = times_power(factor, power);
        let first = (lo / step - 1e-9).ceil() as i64;
        let last = (hi / step + 1e-9).floor() as i64;
        // No more than twenty, whatever rounding does to huge numbers.
        let all = (first..=last).take(20);
        all.map(|n| times_power(n.saturating_mul(factor), power))
            .collect()
    };
    let enough = |ticks: &Vec<f64>| ticks.len() >= 4;
    steps
        .map(multiples)
        .find(enough)
        .unwrap_or_else(|| vec![lo, hi])
}

fn log_ticks(lo: f64, hi: f64, factors: &[i64]) -> Vec<f64> {
    let decades = lo.log10().floor() as i32..=hi.log10().floor() as i32;
    let all = decades.flat_map(|power| factors.iter().map(move |&f| times_power(f, power)));
    all.filter(|v| (lo * (1.0 - 1e-9)..=hi * (1.0 + 1e-9)).contains(v))
        .collect()
}

/// As a quotient, 0.001 and its multiples are the nearest floats to what they are written as.
fn times_power(factor: i64, power: i32) -> f64 {
    match power {
        0.. => factor as f64 * 10f64.powi(power),
        _ => factor as f64 / 10f64.powi(-power),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis) -> String {
        let major = axis.ticks().major;
        major
            .into_iter()
            .map(|(_, text)| text)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn ticks_are_round_numbers() {
        for (axis, expected) in [
            (Axis::linear([11.0, 13.2]), "11.0 11.5 12.0 12.5 13.0"),
            (Axis::linear([-0.31, 0.2]), "−0.3 −0.2 −0.1 0 0.1 0.2"),
            (Axis::linear([0.0, 950.0]), "0 200 400 600 800"),
            (
                Axis::linear([1.2e6, 2.4e6]),
                "1.2×10⁶ 1.4×10⁶ 1.6×10⁶ 1.8×10⁶ 2.0×10⁶ 2.2×10⁶ 2.4×10⁶",
            ),
            (Axis::linear([0.0, 4e-7]), "0 1×10⁻⁷ 2×10⁻⁷ 3×10⁻⁷ 4×10⁻⁷"),
            (
                Axis::linear([-1e-9, 1e-9]),
                "−1.0×10⁻⁹ −0.5×10⁻⁹ 0 0.5×10⁻⁹ 1.0×10⁻⁹",
            ),
            (Axis::log([10.0, 1000.0]), "10 100 1000"),
            (Axis::log([10.0, 80.0]), "10 20 50"),
            (Axis::log([0.12, 4.0]), "0.2 0.5 1 2"),
            (Axis::log([0.0025, 0.018]), "0.003 0.005 0.007 0.01"),
            (Axis::log([40.0, 60.0]), "40 45 50 55 60"),
            (Axis::log([48.0]), "48"),
            (Axis::log([1e2, 1e9]), "10² 10⁴ 10⁶ 10⁸"),
            (Axis::log([2e-5, 4e-4]), "2×10⁻⁵ 5×10⁻⁵ 10⁻⁴ 2×10⁻⁴"),
        ] {
            assert_eq!(labels(axis), expected, "{axis:?}");
        }
    }

    #[test]
    fn one_value_stands_in_the_middle() {
        for axis in [
            Axis::linear([-7.0]),
            Axis::linear([0.0, 0.0]),
            Axis::log([100.0]),
        ] {
            let value = if axis.log {
                100.0
            } else {
                (axis.lo + axis.hi) / 2.0
            };
            assert!(
                (axis.between(0.0, 10.0).at(value) - 5.0).abs() < 1e-9,
                "{axis:?}"
            );
            assert!(!axis.ticks().major.is_empty());
        }
    }
}
