//! How numbers are written: plainly where that is short, else with a power of ten.

/// The numbers of one axis, all in the same way. On a linear axis they share decimals and power (0.5, 1.0);
/// on a logarithmic one each has its own (0.5, 1).
pub(super) fn alike(values: &[f64], log: bool) -> Vec<String> {
    let sizes = || values.iter().map(|v| v.abs()).filter(|size| *size > 0.0);
    let largest = sizes().fold(0.0, f64::max);
    let smallest = sizes().fold(f64::INFINITY, f64::min);
    let plain = largest < 1e5 && (if log { smallest } else { largest }) >= 1e-3;
    let shared = if plain { 0 } else { power(largest) };
    let places = values
        .iter()
        .map(|&v| decimals(factor(v, shared)))
        .max()
        .unwrap_or(0);
    let text = |v: f64| match (log, plain) {
        _ if v == 0.0 => "0".into(),
        (false, true) => format!("{v:.places$}"),
        (false, false) => format!("{:.places$}×{}", factor(v, shared), ten(shared)),
        (true, true) => v.to_string(),
        (true, false) => match factor(v, power(v)) {
            1.0 => ten(power(v)),
            factor => format!("{factor}×{}", ten(power(v))),
        },
    };
    values.iter().map(|&v| text(v).replace('-', "−")).collect()
}

/// `value` to `digits` significant digits, without a power of ten where it can be read without.
pub fn significant(value: f64, digits: i32) -> String {
    let after = |power: i32| (digits - 1 - power).max(0) as usize;
    let text = match power(value) {
        power @ -4..=8 => format!("{value:.*}", after(power)),
        power => format!("{:.*}×{}", after(0), factor(value, power), ten(power)),
    };
    text.replace('-', "−")
}

/// Of the highest decimal digit.
fn power(value: f64) -> i32 {
    if value == 0.0 {
        0
    } else {
        value.abs().log10().floor() as i32
    }
}

/// `value` over a power of ten, without the rounding of the division.
fn factor(value: f64, power: i32) -> f64 {
    match power {
        0 => value,
        power => (value / 10f64.powi(power) * 1e10).round() / 1e10,
    }
}

fn decimals(value: f64) -> usize {
    value
        .to_string()
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len())
}

fn ten(power: i32) -> String {
    let raised = |digit| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁰' as u32 + digit as u32 - '0' as u32).unwrap_or(digit),
    };
    "10".chars()
        .chain(power.to_string().chars().map(raised))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_significant_digits() {
        let written = [12.455009460, 0.1238, -3.0, 1234.4, -2e-9, 0.0].map(|v| significant(v, 3));
        assert_eq!(
            written,
            ["12.5", "0.124", "−3.00", "1234", "−2.00×10⁻⁹", "0.00"]
        );
        assert_eq!(significant(12.455009460449219, 8), "12.455009");
    }

    #[test]
    fn powers_have_raised_digits() {
        assert_eq!(ten(-1234567890), "10⁻¹²³⁴⁵⁶⁷⁸⁹⁰");
    }
}
