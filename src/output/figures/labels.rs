//! Names that tell things apart by the columns in which they differ.

use crate::estimator::Identity;
use crate::output::conclusions::{LayerRow, at_any_checkpoint};
use crate::output::format;

/// What is said of each, and what of all.
pub(super) struct Labels {
    pub(super) each: Vec<String>,
    pub(super) common: Vec<String>,
}

/// Labels for keys of equally many columns, an absent value being `None`.
pub(super) fn labels<'a>(keys: impl Iterator<Item = &'a Vec<Option<String>>> + Clone) -> Labels {
    let columns = keys.clone().map(Vec::len).max().unwrap_or(0);
    let differs = |i: usize| {
        let mut values = keys.clone().map(|key| &key[i]);
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let (different, same): (Vec<usize>, Vec<usize>) = (0..columns).partition(|&i| differs(i));
    let written = |key: &Vec<Option<String>>, columns: &[usize]| -> Vec<String> {
        columns.iter().filter_map(|&i| key[i].clone()).collect()
    };
    let each = keys.clone().map(|key| written(key, &different).join(", "));
    let common = keys.clone().next().map(|key| written(key, &same));
    Labels {
        each: each.collect(),
        common: common.unwrap_or_default(),
    }
}

/// The experiment and all key columns but those left out, each as a text says it.
pub(super) fn said(experiment: &str, key: &Identity, left_out: &[&str]) -> Vec<Option<String>> {
    let columns = key.columns().into_iter();
    let columns = columns.filter(|(column, _)| !left_out.contains(column));
    let said = columns.map(|(column, value)| match (column, value?) {
        ("matrix", matrix) => Some(format::matrix(&matrix).into()),
        ("blocks", blocks) => Some(blocks_name(&blocks)),
        ("estimator" | "product" | "probe" | "stream" | "settings" | "checkpoint", text) => {
            Some(text)
        }
        ("repeat", repeat) => (repeat != "0").then(|| format!("repeat {repeat}")),
        (number, value) => Some(format!("{number} {value}")),
    });
    [Some(experiment.to_string())]
        .into_iter()
        .chain(said)
        .collect()
}

/// `blocks` as one writes it in a text.
fn blocks_name(blocks: &str) -> String {
    match blocks {
        "parameter" => "block diagonal".into(),
        other => other.into(),
    }
}

/// What stands over a figure of one setting.
pub(super) fn subtitle(row: &LayerRow) -> Vec<String> {
    let matrix = format::matrix(&row.matrix).to_string();
    let setting = at_any_checkpoint(&row.identity());
    vec![row.experiment.clone(), matrix, setting.name()]
}
