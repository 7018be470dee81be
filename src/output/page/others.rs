//! What else lies in the folder: tables that have no section of their own.

use super::table;
use anyhow::{Context, Result};
use maud::{Markup, html};
use std::path::Path;

/// Files that the page shows elsewhere, or in another form.
const KNOWN: [&str; 3] = ["records", "parameters", "summary"];
const FAILURES: &str = "failures";
/// Rows of a table that the page shows; the file has all.
const MOST: usize = 200;

/// A CSV file as it stands.
pub(super) struct Table {
    name: String,
    head: Vec<String>,
    body: Vec<Vec<String>>,
}

/// The names of the files in `folder` that end in `.ending`, sorted.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn files(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("cannot read {}", folder.display()))?;
    let name = |path: &Path| Some(path.file_stem()?.to_str()?.to_string());
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .filter_map(|path| name(&path))
        .collect();
    names.sort();
    Ok(names)
}

/// Every table of `folder` that has no section of its own.
///
/// # Errors
/// A folder or file that cannot be read.
pub(super) fn tables(folder: &Path) -> Result<Vec<Table>> {
    let others = files(folder, "csv")?;
    let others = others
        .into_iter()
        .filter(|name| !KNOWN.contains(&name.as_str()));
    let table = |name: String| {
        let path = folder.join(format!("{name}.csv"));
        let context = || format!("cannot read {}", path.display());
        let mut reader = csv::Reader::from_path(&path).with_context(context)?;
        let cells = |row: &csv::StringRecord| row.iter().map(str::to_string).collect();
        let head = cells(reader.headers().with_context(context)?);
        let rows = reader.records().map(|row| row.map(|row| cells(&row)));
        let body = rows.collect::<Result<_, _>>().with_context(context)?;
        Ok(Table { name, head, body })
    };
    others.map(table).collect()
}

/// The jobs that could not be done.
pub(super) fn failures(tables: &[Table]) -> Markup {
    let failures = tables
        .iter()
        .find(|table| table.name == FAILURES && !table.body.is_empty());
    let Some(failures) = failures else {
        return html! {};
    };
    html! {
        section.failures {
            h2 { "Jobs that failed" }
            (shown(failures))
        }
    }
}

pub(super) fn section(tables: &[Table]) -> Markup {
    let tables: Vec<&Table> = tables
        .iter()
        .filter(|table| table.name != FAILURES)
        .collect();
    html! {
        @if !tables.is_empty() {
            section {
                h2 { "More tables" }
                @for table in tables {
                    details { summary { (table.name) ".csv, " (table.body.len()) " rows" } (shown(table)) }
                }
            }
        }
    }
}

/// The columns that are not empty.
fn shown(of: &Table) -> Markup {
    let used = |&column: &usize| of.body.iter().any(|row| !row[column].is_empty());
    let columns: Vec<usize> = (0..of.head.len()).filter(used).collect();
    let head: Vec<&str> = columns
        .iter()
        .map(|&column| of.head[column].as_str())
        .collect();
    let row = |row: &Vec<String>| columns.iter().map(|&column| row[column].clone()).collect();
    let body: Vec<Vec<String>> = of.body.iter().take(MOST).map(row).collect();
    let caption = html! {
        (of.name) ".csv"
        @if of.body.len() > MOST { ": the first " (MOST) " of " (of.body.len()) " rows" }
    };
    table(&caption, &head, &body)
}
