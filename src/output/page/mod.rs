//! `report.html`: one self-contained page of a results folder, for a reader who has nothing else.
//!
//! It is a function of the folder's files alone. Style and script stand in the page, and a policy
//! in it forbids everything from outside. Each section has a file of its own.

mod estimates;
mod others;
mod parameters;
mod provenance;
mod question;

use crate::output::format;
use crate::output::store::Results;
use anyhow::{Context, Result};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::path::Path;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:";

/// A figure of the folder.
pub(super) struct Figure {
    /// Its name, which its files begin with.
    pub name: String,
    /// What it shows, in a sentence.
    pub caption: String,
    /// Its SVG.
    pub svg: String,
}

/// The page about `results`, with `figures` in their order.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn page(results: &Results, figures: &[Figure]) -> Result<String> {
    let tables = others::tables(&results.folder)?;
    let name = name(results);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (name) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.name { (name) }
                    (question::section(results))
                }
                main {
                    (others::failures(&tables))
                    @for figure in figures { (drawn(figure)) }
                    (estimates::section(results))
                    (parameters::section(results))
                    (others::section(&tables))
                    (provenance::section(results))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

fn name(results: &Results) -> String {
    let of_spec = results.spec.as_ref().map(|spec| spec.name.clone());
    let of_rows = || results.records.first().map(|row| row.experiment.clone());
    of_spec.or_else(of_rows).unwrap_or_else(|| "results".into())
}

fn drawn(figure: &Figure) -> Markup {
    let svg = figure
        .svg
        .replacen("<svg ", "<svg role=\"img\" aria-labelledby=\"NAME\" ", 1);
    let id = format!("figure-{}", figure.name);
    html! {
        figure {
            div.scroll tabindex="0" role="group" aria-label={ (figure.name) ", arrow keys go through its points" } {
                (PreEscaped(svg.replacen("NAME", &id, 1)))
            }
            figcaption id=(id) { (figure.caption) }
        }
    }
}

/// A table that scrolls by itself where the page is narrow.
fn table(caption: &Markup, head: &[&str], body: &[Vec<String>]) -> Markup {
    let numeric = |column: usize| body.iter().all(|row| format::is_number(&row[column]));
    let class = |column: usize| (column > 0 && numeric(column)).then_some("number");
    html! {
        div.scroll tabindex="0" role="group" aria-label="table" {
            table {
                caption { span { (caption) } }
                thead { tr { @for (i, name) in head.iter().enumerate() {
                    th scope="col" class=[class(i)] { (name) }
                } } }
                tbody { @for row in body { tr {
                    @for (i, cell) in row.iter().enumerate() {
                        @if i == 0 { th scope="row" { (cell) } }
                        @else { td class=[class(i)] { (cell) } }
                    }
                } } }
            }
        }
    }
}

/// The SVG files of `folder`, those of `known` names first and in their order.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn figures(folder: &Path, known: &[(&str, &str)]) -> Result<Vec<Figure>> {
    let mut names = others::files(folder, "svg")?;
    let place = |name: &String| known.iter().position(|(known, _)| known == name);
    names.sort_by_key(|name| (place(name).unwrap_or(known.len()), name.clone()));
    let figure = |name: String| {
        let path = folder.join(format!("{name}.svg"));
        let svg = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let caption = match place(&name) {
            Some(place) => known[place].1.to_string(),
            None => name.replace('_', " "),
        };
        Ok(Figure { name, caption, svg })
    };
    names.into_iter().map(figure).collect()
}
