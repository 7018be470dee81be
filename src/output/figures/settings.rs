//! Sorts rows into settings, each of which is one line or one bar, and names them apart.

use super::super::Record;
use std::collections::BTreeMap;

/// All columns but those that replicate (seed, repeat); in the order in which settings are drawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    product: Option<String>,
    estimator: String,
    matrix: String,
    blocks: Option<String>,
    probe: Option<String>,
    stream: Option<String>,
    settings: Option<String>,
    checkpoint: Option<String>,
    experiment: String,
    device: String,
    dtype: String,
    threads: Option<usize>,
    v: Option<u64>,
    v_batch: Option<u64>,
}

/// The rows of one setting.
pub(super) struct Setting<'a> {
    /// What tells it from the others: "hmp, parameter, V_batch 20".
    pub(super) label: String,
    pub(super) product: Option<String>,
    pub(super) rows: Vec<&'a Record>,
}

/// Settings in order, and what they have in common.
pub(super) struct Settings<'a> {
    pub(super) each: Vec<Setting<'a>>,
    pub(super) common: Vec<String>,
}

/// What of a row makes another setting.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Compare {
    /// Not V, which is the axis, nor threads, which change no estimate.
    Estimates,
    /// All that may change the time.
    Seconds,
}

type Field = fn(&Key) -> Option<String>;

/// What a label may say, in its order, and whether it always does.
const FIELDS: [(bool, Field); 14] = [
    (false, |k| Some(k.experiment.clone())),
    (false, |k| k.checkpoint.clone()),
    (false, |k| Some(matrix_name(&k.matrix).into())),
    (false, |k| sampled(k).then(|| k.estimator.clone())),
    // An estimator that neither multiplies nor draws goes by its own name.
    (true, |k| match sampled(k) {
        true => k.product.clone(),
        false => Some(k.estimator.clone()),
    }),
    (true, |k| k.blocks.clone()),
    (false, |k| k.probe.clone()),
    (false, |k| k.stream.as_ref().map(|s| format!("{s} stream"))),
    (false, |k| k.settings.clone()),
    (false, |k| k.v.map(|v| format!("V {v}"))),
    (true, |k| k.v_batch.map(|v| format!("V_batch {v}"))),
    (false, |k| Some(k.device.clone())),
    (false, |k| Some(k.dtype.clone())),
    (false, |k| {
        k.threads
            .map(|n| format!("{n} thread{}", if n == 1 { "" } else { "s" }))
    }),
];

fn sampled(key: &Key) -> bool {
    key.product.is_some() || key.probe.is_some()
}

/// Groups `rows`.
pub(super) fn settings<'a>(
    rows: impl IntoIterator<Item = &'a Record>,
    compare: Compare,
) -> Settings<'a> {
    let mut groups: BTreeMap<Key, Vec<&Record>> = BTreeMap::new();
    for row in rows {
        groups.entry(key(row, compare)).or_default().push(row);
    }
    let keys: Vec<&Key> = groups.keys().collect();
    let differs = FIELDS.map(|(_, field)| differs(&keys, field));
    let label = |key: &Key| {
        let shown = FIELDS
            .iter()
            .zip(differs)
            .filter(|((always, _), differs)| *always || *differs);
        shown
            .filter_map(|((_, field), _)| field(key))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let shared = FIELDS
        .iter()
        .zip(differs)
        .filter(|((always, _), differs)| !always && !differs);
    let common = shared
        .filter_map(|((_, field), _)| keys.iter().find_map(|k| field(k)))
        .collect();
    let labels: Vec<String> = keys.iter().map(|key| label(key)).collect();
    let each = groups
        .into_iter()
        .zip(labels)
        .map(|((key, rows), label)| Setting {
            label,
            product: key.product,
            rows,
        });
    Settings {
        each: each.collect(),
        common,
    }
}

/// A matrix as one writes it in a text.
pub(in crate::output) fn matrix_name(matrix: &str) -> &str {
    match matrix {
        "hessian" => "Hessian",
        "ggn" => "GGN",
        "fisher" => "Fisher",
        other => other,
    }
}

/// Whether labels need `field`: two settings have it and differ, or of the same estimator only one has it.
fn differs(keys: &[&Key], field: Field) -> bool {
    let pair = |a: &Key, b: &Key| match (field(a), field(b)) {
        (Some(x), Some(y)) => x != y,
        (x, y) => x != y && a.estimator == b.estimator,
    };
    keys.iter().any(|a| keys.iter().any(|b| pair(a, b)))
}

fn key(row: &Record, compare: Compare) -> Key {
    let timed = compare == Compare::Seconds;
    Key {
        product: row.product.clone(),
        estimator: row.estimator.clone(),
        matrix: row.matrix.clone(),
        blocks: row.blocks.clone(),
        probe: row.probe.clone(),
        stream: row.stream.clone(),
        settings: row.settings.clone(),
        checkpoint: row.checkpoint.clone(),
        experiment: row.experiment.clone(),
        device: row.device.clone(),
        dtype: row.dtype.clone(),
        threads: timed.then_some(row.threads),
        v: row.v.filter(|_| timed),
        v_batch: row.v_batch,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{row, timed};
    use super::*;

    fn labels(settings: &Settings) -> Vec<String> {
        settings.each.iter().map(|s| s.label.clone()).collect()
    }

    #[test]
    fn labels_say_what_differs_and_the_rest_is_common() {
        let rows = timed();
        let settings = settings(&rows, Compare::Seconds);
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
        let settings = settings(&rows, Compare::Estimates);
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
        let seconds = settings(&rows, Compare::Seconds);
        let distinct: std::collections::BTreeSet<_> = labels(&seconds).into_iter().collect();
        assert_eq!(distinct.len(), 6, "{distinct:?}");
        let estimates = settings(&rows, Compare::Estimates);
        assert_eq!(estimates.each.len(), 5, "V is the axis of estimates");
    }
}
