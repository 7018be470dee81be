//! Who came closest, who was fastest, and whether intervals keep what they promise.

use super::groups::{distinct_runs, grouped};
use super::summary::SummaryRow;
use crate::output::format;
use crate::output::store::Record;

/// Intervals of which a share is worth telling.
const FEWEST_INTERVALS: usize = 20;

/// The sampled settings at their largest V.
fn last(summary: &[SummaryRow]) -> impl Iterator<Item = &SummaryRow> {
    let exceeded = move |row: &SummaryRow| {
        let setting = row.setting();
        let more = |other: &SummaryRow| other.v > row.v && other.setting() == setting;
        summary.iter().any(more)
    };
    summary
        .iter()
        .filter(move |row| row.v.is_some() && !exceeded(row))
}

/// What a run of the setting with the smallest error for its time costs, and how far off it is; among those at
/// their largest V.
pub(super) fn closest(summary: &[SummaryRow]) -> Option<String> {
    let matrices = grouped(summary, |row| (row.matrix.clone(), row.checkpoint.clone()));
    if matrices.len() > 1 {
        return None;
    }
    let settings: Vec<(f64, &SummaryRow)> = last(summary)
        .filter_map(|row| Some((row.error_of_a_run()?, row)))
        .collect();
    // The square of an error falls as the time grows.
    let best = settings.iter().min_by(|(a, row), (b, other)| {
        let (a, b) = (a.powi(2) * row.seconds, b.powi(2) * other.seconds);
        a.total_cmp(&b)
    });
    let (error, row) = best?;
    let best = match settings.len() {
        1 => "",
        _ => ", has the smallest error for its time",
    };
    Some(format!(
        "{}{best}: a run takes {} and is {} off (root mean square of {} runs).",
        row.identity().name(),
        format::seconds(row.seconds),
        format::percent(*error),
        row.runs,
    ))
}

fn of_smallest_error<'a>(
    rows: impl Iterator<Item = &'a SummaryRow>,
) -> Option<(f64, &'a SummaryRow)> {
    rows.filter(|row| row.v.is_some())
        .filter_map(|row| Some((row.error_of_a_run()?, row)))
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
}

/// Which estimator has the smallest error on how many of several matrices.
pub(super) fn winners(summary: &[SummaryRow]) -> Option<String> {
    let matrices = grouped(last(summary), |row| row.matrix.clone());
    let winner = |(_, rows): &(String, Vec<&SummaryRow>)| {
        Some(
            of_smallest_error(rows.iter().copied())?
                .1
                .identity()
                .method(),
        )
    };
    let won = grouped(matrices.iter().filter_map(winner), String::clone);
    let estimators = grouped(last(summary), |row| row.identity().method()).len();
    let (name, wins) = won.iter().max_by_key(|(_, wins)| wins.len())?;
    (estimators > 1).then(|| {
        format!(
            "Of {estimators} ways to estimate the trace, {name} has the smallest error on {} of {} matrices, each at its largest V.",
            wins.len(),
            matrices.len()
        )
    })
}

/// How often the exact value lies in the interval that a single estimate states.
pub(super) fn calibration(rows: &[Record], confidence: f64) -> Option<String> {
    let groups = grouped(rows, |row| row.identity().over_runs());
    let runs = groups.into_iter().flat_map(|(_, rows)| distinct_runs(rows));
    let held = runs.filter_map(|row| {
        let exact = row.exact?;
        Some((row.ci_low?..=row.ci_high?).contains(&exact))
    });
    let held: Vec<bool> = held.collect();
    let count = held.iter().filter(|held| **held).count();
    (held.len() >= FEWEST_INTERVALS).then(|| {
        format!(
            "Of the {} intervals of all {} estimates, one for every run and V, {} contain the exact value.",
            format::percent(confidence),
            format::count(held.len() as u64),
            format::percent(count as f64 / held.len() as f64),
        )
    })
}

/// The fastest and the slowest way to a standard error of 1 %.
pub(super) fn cost(summary: &[SummaryRow]) -> Vec<String> {
    let timed = || {
        let timed = |row: &'_ SummaryRow| row.seconds_to_1_percent.is_some();
        summary.iter().filter(move |row| timed(row))
    };
    let seconds = |row: &SummaryRow| row.seconds_to_1_percent.unwrap_or(f64::INFINITY);
    let best = timed().min_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    let worst = timed().max_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    let (Some(best), Some(worst)) = (best, worst) else {
        return Vec::new();
    };
    let (least, most) = (seconds(best), seconds(worst));
    let mut said = format!(
        "A standard error of 1 % takes {} by {}",
        format::seconds(least),
        best.identity().name()
    );
    if most > least {
        said += &format!(
            ", and {} by {}, {} times as long",
            format::seconds(most),
            worst.identity().name(),
            format::rough(most / least)
        );
    }
    vec![said + "."]
}

/// Estimates that are no numbers.
pub(super) fn lost(rows: &[Record]) -> Option<String> {
    let lost = rows.iter().filter(|row| !row.estimate.is_finite()).count();
    (lost > 0).then(|| format!("{lost} of {} estimates are NaN or infinite.", rows.len()))
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::row;
    use super::super::summary::summarise;
    use super::*;

    /// The intervals of leave-one-out estimators are longer than Student's, and a run to a tolerance
    /// has no V: what is judged is what the rows promised.
    #[test]
    fn calibration_counts_the_intervals_that_the_rows_state() {
        let stated = |seed: u64| Record {
            v: None,
            std_error: Some(0.1),
            exact: Some(12.0),
            ci_low: Some(11.0),
            ci_high: Some(if seed == 0 { 11.5 } else { 13.0 }),
            ..row(10, seed, 12.4)
        };
        let rows: Vec<Record> = (0..20).map(stated).collect();
        let said = calibration(&rows, 0.9).unwrap();
        assert_eq!(
            said,
            "Of the 90 % intervals of all 20 estimates, one for every run and V, 95 % contain the exact value."
        );
        // The repetition of a seed is no further estimate.
        assert_eq!(calibration(&[&rows[..19], &rows[..1]].concat(), 0.9), None);
    }

    #[test]
    fn the_closest_has_the_smallest_error_for_its_time() {
        let of = |estimator: &str, v, error: f64, seconds| {
            let estimate = |seed| Record {
                estimator: estimator.into(),
                exact: Some(10.0),
                seconds,
                ..row(v, seed, 10.0 + error * [1.0, -1.0, 1.0][seed as usize])
            };
            (0..3).map(estimate).collect::<Vec<_>>()
        };
        let rows = [
            of("a", 10, 0.4, 0.01),
            of("a", 100, 0.1, 0.1),
            of("b", 100, 0.05, 10.0),
        ];
        let rows = rows.concat();
        assert_eq!(
            closest(&summarise(&rows)).unwrap(),
            "a hmp parameter, V 100, V_batch 10, has the smallest error for its time: a run takes 100 ms and is 1.00 % off (root mean square of 3 runs)."
        );
        assert_eq!(
            closest(&summarise(&rows[..6])).unwrap(),
            "a hmp parameter, V 100, V_batch 10: a run takes 100 ms and is 1.00 % off (root mean square of 3 runs)."
        );
        assert_eq!(
            closest(&summarise(&rows[..2])),
            None,
            "two seeds say little"
        );
    }

    #[test]
    fn over_many_matrices_the_winner_is_told() {
        let of = |estimator: &str, matrix: &str, error: f64| {
            let estimate = |seed| Record {
                estimator: estimator.into(),
                matrix: matrix.into(),
                exact: Some(10.0),
                ..row(100, seed, 10.0 + error)
            };
            (0..3).map(estimate).collect::<Vec<_>>()
        };
        let rows = [
            of("a", "flat", 0.1),
            of("b", "flat", 0.2),
            of("a", "step", 0.3),
            of("b", "step", 0.2),
            of("a", "poly", 0.1),
            of("b", "poly", 0.2),
        ];
        let said = winners(&summarise(&rows.concat())).unwrap();
        assert!(
            said.starts_with("Of 2 ways")
                && said.contains("a hmp parameter has the smallest error on 2 of 3"),
            "{said}"
        );
    }
}
