//! The table of parameter tensors: what part of the trace each of them holds.

use super::table;
use crate::estimator::{Identity, Quantity};
use crate::output::conclusions::{Mean, grouped};
use crate::output::format;
use crate::output::store::{ParameterRecord, Results};
use maud::{Markup, html};

/// Settings beside each other that a reader can still compare.
const MOST: usize = 6;

pub(super) fn section(results: &Results) -> Markup {
    let chosen = chosen(&results.parameters);
    let Some((_, reference)) = chosen.first() else {
        return html! {};
    };
    let names = grouped(reference.iter().copied(), |row| row.parameter.clone());
    let confidence = results.confidence();
    let mean = |rows: &[&ParameterRecord]| Mean::of(rows.iter().copied(), confidence);
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
        "The part of every parameter tensor in the trace, with its " (format::percent(confidence))
        " interval. Share and value \
         per number are of " (labels[0]) "."
    };
    html! {
        section {
            h2 { "By parameter" }
            (table(&caption, &head, &body))
        }
    }
}

/// One setting per way of estimating, exact ones first: at its largest V, with its first V_batch.
fn chosen(rows: &[ParameterRecord]) -> Vec<(Identity, Vec<&ParameterRecord>)> {
    let traces = rows
        .iter()
        .filter(|row| row.quantity == Quantity::Trace.name());
    let groups = grouped(traces, |row| row.identity().over_runs());
    let method =
        |(identity, _): &(Identity, _)| identity.setting().with(|columns| columns.v_batch = None);
    let largest = |(_, mut groups): (_, Vec<(Identity, Vec<_>)>)| {
        let most = groups.iter().map(|(identity, _)| identity.v).max();
        let place = groups
            .iter()
            .position(|(identity, _)| Some(identity.v) == most);
        groups.swap_remove(place.unwrap_or(0))
    };
    let mut chosen: Vec<_> = grouped(groups, method).into_iter().map(largest).collect();
    chosen.sort_by_key(|(identity, _)| identity.v.is_some());
    chosen.truncate(MOST);
    chosen
}
