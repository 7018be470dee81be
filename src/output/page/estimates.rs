//! The table of results: every setting at its largest V, and below it all of them.

use super::table;
use crate::output::conclusions::{Mean, grouped, median};
use crate::output::format;
use crate::output::store::{Record, Results};
use maud::{Markup, html};

/// A column that tells settings apart: its name, and what it says of a row.
type Column = (&'static str, fn(&Record) -> String);

/// Named in every table.
const ALWAYS: [Column; 2] = [
    ("estimator", |row| row.identity().method()),
    ("V", |row| number(row.v)),
];
/// Named in a table where they differ, else said once above it: what a value is of.
const OF: [Column; 4] = [
    ("quantity", |row| row.quantity.clone()),
    ("delta", |row| {
        row.delta.map_or(String::new(), |delta| delta.to_string())
    }),
    ("matrix", |row| row.matrix.clone()),
    ("checkpoint", |row| text(&row.checkpoint)),
];
/// Likewise, behind the numbers: how it was found.
const HOW: [Column; 7] = [
    ("V_batch", |row| number(row.v_batch)),
    ("probe", |row| text(&row.probe)),
    ("stream", |row| text(&row.stream)),
    ("device", |row| row.device.clone()),
    ("dtype", |row| row.dtype.clone()),
    ("threads", |row| row.threads.to_string()),
    ("settings", |row| text(&row.settings)),
];

fn text(cell: &Option<String>) -> String {
    cell.clone().unwrap_or_default()
}

fn number(cell: Option<u64>) -> String {
    cell.map_or(format::NONE.into(), format::count)
}

pub(super) fn section(results: &Results) -> Markup {
    let groups = grouped(&results.records, |row| key(row));
    let groups: Vec<Vec<&Record>> = groups.into_iter().map(|(_, rows)| rows).collect();
    let exceeded = |rows: &Vec<&Record>| {
        let setting = rows[0].setting();
        groups
            .iter()
            .any(|other| other[0].v > rows[0].v && other[0].setting() == setting)
    };
    let last: Vec<Vec<&Record>> = groups
        .iter()
        .filter(|rows| !exceeded(rows))
        .cloned()
        .collect();
    let largest = match last.len() == groups.len() {
        true => "",
        false => " Every setting at its largest V.",
    };
    let confidence = results.confidence();
    html! {
        section {
            h2 { "Results" }
            (shown(&last, largest, confidence))
            p.note {
                "± is half the " (format::percent(confidence)) " interval of the mean over runs: \
                 from the intervals that the runs state, pooled, or from their spread where they \
                 state none. Runs of one seed have the same probes and count once. Times are \
                 medians, with the fastest and the slowest run."
            }
            @if last.len() < groups.len() {
                details {
                    summary { "All " (groups.len()) " settings and numbers of probes" }
                    (shown(&groups, "", confidence))
                }
            }
        }
    }
}

/// What tells a row's setting from others.
fn key(row: &Record) -> Vec<String> {
    let columns = ALWAYS.iter().chain(&OF).chain(&HOW);
    columns.map(|(_, cell)| cell(row)).collect()
}

fn shown(groups: &[Vec<&Record>], note: &str, confidence: f64) -> Markup {
    let cells = |(_, cell): &Column| -> Vec<String> {
        let cells = groups.iter().map(|rows| cell(rows[0]));
        let cells = grouped(cells.filter(|cell| !cell.is_empty()), String::clone);
        cells.into_iter().map(|(cell, _)| cell).collect()
    };
    let differ = |column: &&Column| cells(column).len() > 1;
    let of: Vec<Column> = OF.iter().filter(differ).copied().collect();
    let how: Vec<Column> = HOW.iter().filter(differ).copied().collect();
    let before: Vec<Column> = [&ALWAYS[..1], &of, &ALWAYS[1..]].concat();
    let said = |column: &Column| Some(format!("{} {}", column.0, cells(column).first()?));
    let common = OF.iter().chain(&HOW).filter(|column| !differ(column));
    let common: Vec<String> = common.filter_map(said).collect();
    let exact = groups.iter().any(|rows| rows[0].exact.is_some());
    let mut head: Vec<&str> = before.iter().map(|(name, _)| *name).collect();
    head.push("estimate");
    let own_interval = groups.iter().any(|rows| interval(rows).is_some());
    if own_interval {
        head.push("its own interval");
    }
    if exact {
        head.push("off by");
    }
    head.extend(["time", "range", "products", "runs"]);
    head.extend(how.iter().map(|(name, _)| *name));
    let row = |rows: &Vec<&Record>| {
        let first = rows[0];
        let mean = Mean::of(rows.iter().copied(), confidence);
        let mut cells: Vec<String> = before.iter().map(|(_, cell)| cell(first)).collect();
        cells.push(format::within(mean.value, mean.half));
        if own_interval {
            cells.push(interval(rows).unwrap_or_default());
        }
        if exact {
            let off = first
                .exact
                .map(|exact| ((mean.value - exact) / exact).abs());
            cells.push(off.map_or(format::NONE.into(), format::percent));
        }
        cells.extend(times(rows));
        cells.push(format::count(first.products));
        cells.push(rows.len().to_string());
        cells.extend(how.iter().map(|(_, cell)| cell(first)));
        cells
    };
    let body: Vec<Vec<String>> = groups.iter().map(row).collect();
    let caption = html! { "For all: " (common.join(" · ")) "." (note) };
    table(&caption, &head, &body)
}

/// The interval that a single run states, at the confidence of its spec, and why the run ended.
fn interval(rows: &[&Record]) -> Option<String> {
    let [row, others @ ..] = rows else {
        return None;
    };
    let repeated = others.iter().all(|other| other.seed == row.seed);
    let (low, high) = (row.ci_low?, row.ci_high?);
    let stop = row
        .stop
        .as_ref()
        .map_or(String::new(), |stop| format!(", {stop}"));
    repeated.then(|| format!("{} to {}{stop}", format::value(low), format::value(high)))
}

/// The median of the times, and their range.
fn times(rows: &[&Record]) -> [String; 2] {
    let mut seconds: Vec<f64> = rows.iter().map(|row| row.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    match seconds[..] {
        [only] => [format::seconds(only), format::NONE.into()],
        [low, .., high] => [
            format::seconds(median(seconds)),
            format!("{} – {}", format::seconds(low), format::seconds(high)),
        ],
        [] => [format::NONE.into(), format::NONE.into()],
    }
}
