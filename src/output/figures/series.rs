//! Sorts rows into series, each of which is one line or one bar, and names them apart.

use crate::output::format;
use crate::output::store::Record;
use std::collections::BTreeMap;

/// Lines that a figure may have: more cannot be told apart.
pub(super) const MOST: usize = 8;

/// What tells a series from another, column by column in the order in which series are drawn.
type Key = Vec<(&'static str, Option<Cell>)>;

/// The value of a column: numbers in their order, then texts in theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Number(u64),
    Text(String),
}

impl Cell {
    fn new(text: String) -> Self {
        match text.parse() {
            Ok(number) => Self::Number(number),
            Err(_) => Self::Text(text),
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// The rows of one line, or of one bar.
pub(super) struct Series<'a> {
    /// What tells it from the others: "hmp, parameter, V_batch 20".
    pub(super) label: String,
    pub(super) product: Option<String>,
    pub(super) rows: Vec<&'a Record>,
}

/// Series in the order in which they are drawn, and what they have in common.
pub(super) struct AllSeries<'a> {
    pub(super) each: Vec<Series<'a>>,
    pub(super) common: Vec<String>,
}

/// What of a row makes another series.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Compare {
    /// Not V, which is the axis, nor threads, which change no estimate.
    Estimates,
    /// All that may change the time.
    Seconds,
}

/// The columns by which series are sorted, the first one first; others follow.
const SORTED_BY: [&str; 14] = [
    "product",
    "estimator",
    "matrix",
    "blocks",
    "probe",
    "stream",
    "settings",
    "checkpoint",
    "experiment",
    "device",
    "dtype",
    "threads",
    "V",
    "V_batch",
];

/// What a label may say, in its order, and whether it always does; others follow.
const LABELLED_BY: [(&str, bool); 14] = [
    ("experiment", false),
    ("checkpoint", false),
    ("matrix", false),
    ("estimator", false),
    ("product", true),
    ("blocks", true),
    ("probe", false),
    ("stream", false),
    ("settings", false),
    ("V", false),
    ("V_batch", true),
    ("device", false),
    ("dtype", false),
    ("threads", false),
];

/// Key columns that are the same estimate again, or that a figure is of one of.
const NOT_COMPARED: [&str; 4] = ["seed", "repeat", "quantity", "delta"];

/// Groups `rows`.
pub(super) fn series<'a>(
    rows: impl IntoIterator<Item = &'a Record>,
    compare: Compare,
) -> AllSeries<'a> {
    let mut groups: BTreeMap<Key, Vec<&Record>> = BTreeMap::new();
    for row in rows {
        groups.entry(key(row, compare)).or_default().push(row);
    }
    let keys: Vec<&Key> = groups.keys().collect();
    let columns = keys.first().map_or(Vec::new(), |key| labelled_by(key));
    let differing: Vec<(&str, bool, bool)> = columns
        .into_iter()
        .map(|(column, always)| (column, always, differs(&keys, column)))
        .collect();
    let label = |key: &Key| {
        let shown = differing
            .iter()
            .filter(|(_, always, differs)| *always || *differs);
        let parts = shown.filter_map(|(column, ..)| said(key, column));
        parts.collect::<Vec<_>>().join(", ")
    };
    let shared = differing
        .iter()
        .filter(|(_, always, differs)| !always && !differs);
    let common = shared
        .filter_map(|(column, ..)| keys.iter().find_map(|key| said(key, column)))
        .collect();
    let labels: Vec<String> = keys.iter().map(|key| label(key)).collect();
    let each = groups
        .into_iter()
        .zip(labels)
        .map(|((key, rows), label)| Series {
            label,
            product: text(&key, "product"),
            rows,
        });
    AllSeries {
        each: each.collect(),
        common,
    }
}

/// Whether labels need `column`: two series have it and differ, or of the same estimator only one has it.
fn differs(keys: &[&Key], column: &str) -> bool {
    let pair = |a: &Key, b: &Key| match (said(a, column), said(b, column)) {
        (Some(x), Some(y)) => x != y,
        (x, y) => x != y && text(a, "estimator") == text(b, "estimator"),
    };
    keys.iter().any(|a| keys.iter().any(|b| pair(a, b)))
}

/// The columns of a key in the order of labels.
fn labelled_by(key: &Key) -> Vec<(&'static str, bool)> {
    let known = |column: &&str| LABELLED_BY.iter().any(|(other, _)| other == column);
    let others = key.iter().map(|(column, _)| *column);
    let others = others.filter(|column| !known(column));
    LABELLED_BY
        .into_iter()
        .chain(others.map(|column| (column, false)))
        .collect()
}

/// A column of a key as it stands in tables.
fn text(key: &Key, column: &str) -> Option<String> {
    let (_, cell) = key.iter().find(|(other, _)| *other == column)?;
    cell.as_ref().map(Cell::to_string)
}

/// A column of a key as a label says it.
fn said(key: &Key, column: &str) -> Option<String> {
    let value = || text(key, column);
    let sampled = text(key, "product").is_some() || text(key, "probe").is_some();
    match column {
        "estimator" => value().filter(|_| sampled),
        // An estimator that neither multiplies nor draws goes by its own name.
        "product" if !sampled => text(key, "estimator"),
        "matrix" => Some(format::matrix(&value()?).into()),
        "stream" => Some(format!("{} stream", value()?)),
        "threads" => {
            let threads = value()?;
            let plural = if threads == "1" { "" } else { "s" };
            Some(format!("{threads} thread{plural}"))
        }
        "experiment" | "checkpoint" | "product" | "blocks" | "probe" | "settings" | "device"
        | "dtype" => value(),
        number => Some(format!("{number} {}", value()?)),
    }
}

fn key(row: &Record, compare: Compare) -> Key {
    let timed = compare == Compare::Seconds;
    let mut columns = row.identity().columns();
    columns.retain(|(column, _)| !NOT_COMPARED.contains(column) && (timed || *column != "V"));
    columns.extend([
        ("experiment", Some(row.experiment.clone())),
        ("device", Some(row.device.clone())),
        ("dtype", Some(row.dtype.clone())),
        ("threads", timed.then(|| row.threads.to_string())),
    ]);
    let place = |column: &str| SORTED_BY.iter().position(|sorted| *sorted == column);
    columns.sort_by_key(|(column, _)| place(column).unwrap_or(SORTED_BY.len()));
    let cell = |(column, value): (_, Option<String>)| (column, value.map(Cell::new));
    columns.into_iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::{row, timed};
    use super::*;

    fn labels(settings: &AllSeries) -> Vec<String> {
        settings.each.iter().map(|s| s.label.clone()).collect()
    }

    #[test]
    fn labels_say_what_differs_and_the_rest_is_common() {
        let rows = timed();
        let settings = series(&rows, Compare::Seconds);
        assert_eq!(
            labels(&settings)[..4],
            [
                "exact",
                "autodiff, full",
                "autodiff, parameter",
                "hmp, parameter, V_batch 5"
            ]
        );
        let common = settings.common.join(" ");
        assert_eq!(
            common,
            "timing Hessian hutchinson rademacher torch stream V 1000 cpu float32 2 threads"
        );
    }

    #[test]
    fn estimators_are_named_where_they_differ() {
        let mut rows = vec![row(10, 0, 1.0); 2];
        rows[1].estimator = "propagation".into();
        rows[1].product = None;
        rows[1].blocks = None;
        let settings = series(&rows, Compare::Estimates);
        assert!(labels(&settings)[0].starts_with("propagation, V_batch"));
        assert!(labels(&settings)[1].starts_with("hutchinson, hmp"));
        assert!(!settings.common.contains(&"hutchinson".into()));
    }

    #[test]
    fn every_difference_makes_another_label() {
        let base = row(10, 0, 1.0);
        let mut rows = vec![base.clone(); 6];
        rows[1].probe = Some("gaussian".into());
        rows[2].dtype = "float64".into();
        rows[3].estimator = "xtrace".into();
        rows[4].stream = None;
        rows[5].v = Some(20);
        let seconds = series(&rows, Compare::Seconds);
        let distinct: std::collections::BTreeSet<_> = labels(&seconds).into_iter().collect();
        assert_eq!(distinct.len(), 6, "{distinct:?}");
        let estimates = series(&rows, Compare::Estimates);
        assert_eq!(estimates.each.len(), 5, "V is the axis of estimates");
    }
}
