//! The table of parameter tensors: what part of the trace each of them holds.

use super::super::groups::{Mean, Run, Setting, grouped};
use super::super::records::ParameterRecord;
use super::super::results::Results;
use super::{format, table};
use crate::estimator::Quantity;
use maud::{Markup, html};

/// Settings beside each other that a reader can still compare.
const MOST: usize = 6;

pub(super) fn section(results: &Results) -> Markup {
    let chosen = chosen(&results.parameters);
    let Some((_, reference)) = chosen.first() else {
        return html! {};
    };
    let names = grouped(reference.iter().copied(), |row| row.parameter.clone());
    let total: f64 = names.iter().map(|(_, rows)| mean(rows).value).sum();
    let labels: Vec<String> = chosen.iter().map(|(setting, _)| setting.name()).collect();
    let mut head = vec!["parameter", "numbers", "share", "per number"];
    head.extend(labels.iter().map(String::as_str));
    let row = |(name, rows): &(String, Vec<&ParameterRecord>)| {
        let of_reference = mean(rows).value;
        let numel = rows[0].numel.max(1);
        let mut cells = vec![
            name.clone(),
            format::count(numel as u64),
            format::percent(of_reference / total),
            format::value(of_reference / numel as f64),
        ];
        cells.extend(chosen.iter().map(|(_, rows)| {
            let rows: Vec<_> = rows
                .iter()
                .copied()
                .filter(|r| &r.parameter == name)
                .collect();
            let mean = mean(&rows);
            format::within(mean.value, mean.half)
        }));
        cells
    };
    let body: Vec<Vec<String>> = names.iter().map(row).collect();
    let caption = html! {
        "The part of every parameter tensor in the trace, with its 95 % interval. Share and value \
         per number are of " (labels[0]) "."
    };
    html! {
        section {
            h2 { "By parameter" }
            (table(&caption, &head, &body))
        }
    }
}

fn mean(rows: &[&ParameterRecord]) -> Mean {
    Mean::of(rows.iter().map(|row| Run::from(*row)))
}

/// One setting per way of estimating, exact ones first: at its largest V, with its first V_batch.
fn chosen(rows: &[ParameterRecord]) -> Vec<(Setting, Vec<&ParameterRecord>)> {
    let way = |setting: &Setting| Setting {
        v_batch: None,
        ..setting.at_any_v()
    };
    let traces = rows
        .iter()
        .filter(|row| row.quantity == Quantity::Trace.name());
    let settings = grouped(traces, |row| Setting::from(*row));
    let ways = grouped(settings, |(setting, _)| way(setting));
    let largest = |(_, mut settings): (Setting, Vec<(Setting, Vec<_>)>)| {
        let most = settings.iter().map(|(setting, _)| setting.v).max();
        let place = settings
            .iter()
            .position(|(setting, _)| Some(setting.v) == most);
        settings.swap_remove(place.unwrap_or(0))
    };
    let mut chosen: Vec<_> = ways.into_iter().map(largest).collect();
    chosen.sort_by_key(|(setting, _)| setting.v.is_some());
    chosen.truncate(MOST);
    chosen
}
