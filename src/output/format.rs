//! How terminal and page write numbers and names, so that both say the same in the same words.

use super::figures::significant;

/// What stands where there is no value.
pub const NONE: &str = "";

/// A value to six digits.
pub fn value(value: f64) -> String {
    match value.is_finite() {
        true => significant(value, 6),
        false => value.to_string(),
    }
}

/// A value without error, to eight digits.
pub fn exact(value: f64) -> String {
    match value.is_finite() {
        true => significant(value, 8),
        false => value.to_string(),
    }
}

/// A value to four digits.
pub fn short(value: f64) -> String {
    match value.is_finite() {
        true => significant(value, 4),
        false => value.to_string(),
    }
}

/// The size of a number, to one or two digits: "7e-7", "0.12", "650".
pub fn rough(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        1e-3..1e3 => significant(value, 2),
        1e3..1e7 => {
            let unit = 10f64.powf(value.log10().floor() - 1.0);
            count(((value / unit).round() * unit) as u64)
        }
        _ => format!("{value:.0e}"),
    }
}

/// A value with half its confidence interval, to the digits that the interval leaves. Wherever the
/// program writes ±, it means this half, at the confidence of the spec (95 % unless it says otherwise).
pub fn within(mean: f64, half: Option<f64>) -> String {
    match half {
        // Rounding is not worth telling of.
        Some(half) if half > 1e-9 * mean.abs() && half.is_finite() && mean.is_finite() => {
            format!(
                "{} ± {}",
                significant(mean, digits(mean, half)),
                significant(half, 2)
            )
        }
        _ => value(mean),
    }
}

/// How many digits of `mean` an interval of this half width leaves.
fn digits(mean: f64, half: f64) -> i32 {
    let power = |x: f64| x.log10().floor();
    (2.0 + (power(mean.abs().max(half)) - power(half)).min(9.0)) as i32
}

/// A part of a whole in per cent.
pub fn percent(part: f64) -> String {
    match part.is_finite() {
        true => format!("{} %", significant(100.0 * part, 2)),
        false => NONE.into(),
    }
}

/// A time with the unit that suits it.
pub fn seconds(seconds: f64) -> String {
    let (scaled, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    format!("{} {unit}", significant(scaled, 3))
}

/// A count with its thousands apart.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A matrix as one writes it in a text.
pub fn matrix(name: &str) -> &str {
    match name {
        "hessian" => "Hessian",
        "ggn" => "GGN",
        "fisher_mc" => "Fisher (sampled targets)",
        "fisher_empirical" => "empirical Fisher",
        other => other,
    }
}

/// Whether a cell is a number, perhaps with its unit, or empty.
pub fn is_number(cell: &str) -> bool {
    cell.chars()
        .next()
        .is_none_or(|first| first.is_ascii_digit() || "−-+".contains(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_how_many_digits_are_worth_writing() {
        assert_eq!(within(12.455009, Some(0.1459)), "12.46 ± 0.15");
        assert_eq!(within(-12455.009, Some(31.0)), "−12455 ± 31");
        assert_eq!(within(0.01, Some(3.0)), "0.010 ± 3.0");
        assert_eq!(within(12.455009, Some(0.57)), "12.46 ± 0.57");
        assert_eq!(within(12.455009, Some(2.7e-16)), "12.4550");
        assert_eq!(within(12.455009, None), "12.4550");
        assert_eq!(within(f64::NAN, Some(1.0)), "NaN");
    }

    #[test]
    fn times_have_units_and_counts_have_commas() {
        assert_eq!(
            [5e-5, 0.0123, 2.5].map(seconds),
            ["50.0 µs", "12.3 ms", "2.50 s"]
        );
        assert_eq!(
            [0, 999, 15880, 1234567].map(count),
            ["0", "999", "15,880", "1,234,567"]
        );
    }
}
