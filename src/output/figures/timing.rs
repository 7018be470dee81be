//! Seconds per estimate, a bar per setting.

use super::bars::{Bar, bars};
use super::series::{Compare, Series, series};
use crate::output::store::{Record, Results};
use crate::spec::ExperimentKind;
use anyhow::{Result, ensure};

/// Seconds per estimate as an SVG: a bar per setting to the median, whiskers from the fastest to the
/// slowest repeat. The axis is logarithmic where medians are more than 30 times apart.
///
/// # Errors
/// No row with a measured time.
pub fn timing(records: &[Record]) -> Result<String> {
    let measured = || {
        records
            .iter()
            .filter(|r| r.seconds.is_finite() && r.seconds > 0.0)
    };
    let lost = records.len() - measured().count();
    ensure!(
        lost < records.len(),
        "found no measured seconds to draw among {} rows; a timing figure needs some",
        records.len()
    );
    let series = series(measured(), Compare::Seconds);
    let each: Vec<Bar> = series.each.iter().map(bar).collect();
    let note = format!("Estimates without a measured time, not drawn: {lost}.");
    let notes = if lost > 0 { vec![note] } else { vec![] };
    Ok(bars(&series.common, &each, &notes))
}

fn bar(setting: &Series) -> Bar {
    let mut seconds: Vec<f64> = setting.rows.iter().map(|row| row.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let count = seconds.len();
    Bar {
        label: setting.label.clone(),
        group: setting.product.clone().unwrap_or_default(),
        low: seconds[0],
        median: (seconds[(count - 1) / 2] + seconds[count / 2]) / 2.0,
        high: seconds[count - 1],
        count,
    }
}

/// The figure of a results folder; `None` where it has nothing to draw.
///
/// # Errors
/// None but those of a bug of ours.
pub(super) fn figure(results: &Results) -> Result<Option<String>> {
    let measured = results.records.iter().any(|record| record.seconds > 0.0);
    match results.kind() {
        ExperimentKind::Timing if measured => timing(&results.records).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::{row, timed};
    use super::super::raster::parse;
    use super::*;

    #[test]
    fn says_what_it_shows() {
        let rows = timed();
        let sampled: Vec<Record> = rows.into_iter().filter(|r| r.product.is_some()).collect();
        let svg = timing(&sampled).unwrap();
        for text in [
            ">autodiff, full<",
            ">hmp, parameter, V_batch 20<",
            ">2.20 s<",
            ">0.210 s<",
            "<title>hmp, parameter, V_batch 20: median 0.210 s, 0.202 s to 0.225 s in 3 runs</title>",
            ">time per estimate (seconds; median of 3, whiskers min to max)<",
            ">timing · Hessian · hutchinson · rademacher · torch stream · V 1000 · cpu · float32 · 2 threads<",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(
            !svg.contains("log scale"),
            "4.0 s is less than 30 times 0.15 s"
        );
        parse(&svg).unwrap();
    }

    #[test]
    fn bars_are_sorted_by_product_then_batch() {
        let mut rows = timed();
        rows.reverse();
        let svg = timing(&rows).unwrap();
        let place = |label: &str| svg.find(&format!(">{label}<")).unwrap();
        let labels = [
            "exact",
            "autodiff, full",
            "hmp, parameter, V_batch 5",
            "hmp, parameter, V_batch 200",
        ];
        assert!(labels.map(place).is_sorted());
    }

    #[test]
    fn far_apart_times_stand_on_a_logarithmic_axis() {
        let svg = timing(&timed()).unwrap();
        assert!(
            svg.contains("(seconds, log scale; median"),
            "4.0 s is more than 30 times 0.0074 s"
        );
        assert!(svg.contains(">7.40 ms<"));
    }

    #[test]
    fn bars_end_at_their_medians() {
        let rows: Vec<Record> = [1.0, 2.0]
            .map(|s| Record {
                seconds: s,
                v_batch: Some(s as u64),
                ..row(1, 0, 1.0)
            })
            .into();
        let svg = timing(&rows).unwrap();
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<rect x=") && !line.contains("<title>"))
            .map(|line| {
                line.split("width=\"")
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        assert_eq!(widths.len(), 2);
        assert!((widths[1] / widths[0] - 2.0).abs() < 1e-3, "{widths:?}");
        assert!(svg.contains("measured once"));
    }

    #[test]
    fn small_times_have_small_units() {
        let at = |seconds| {
            timing(&[Record {
                seconds,
                ..row(1, 0, 1.0)
            }])
            .unwrap()
        };
        assert!(at(0.0123).contains(">12.3 ms<") && at(2.5e-5).contains(">25.0 µs<"));
        assert!(at(0.0123).contains("(milliseconds;"));
    }

    #[test]
    fn nothing_to_draw_is_an_error_and_unmeasured_rows_are_counted() {
        let error = timing(&[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "found no measured seconds to draw among 0 rows; a timing figure needs some"
        );
        let mut rows = timed();
        rows[0].seconds = f64::NAN;
        rows[4].seconds = 0.0;
        assert!(
            timing(&rows)
                .unwrap()
                .contains(">Estimates without a measured time, not drawn: 2.<")
        );
    }
}
