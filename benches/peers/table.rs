//! The times of one comparison as tables in Markdown: all methods, and the fastest of every library.

use crate::rows::{Row, machine, read};
use std::path::Path;

/// A line of the table: what it is called, and the methods whose times it holds. `{}` stands for a
/// library's version.
type Line = (&'static str, &'static [(&'static str, &'static str)]);

const LINES: [Line; 13] = [
    ("runner, `propagation`", &[("runner", "propagation")]),
    ("runner, `activation`", &[("runner", "activation")]),
    ("runner, `forward`", &[("runner", "forward")]),
    ("runner, `hmp`", &[("runner", "hmp")]),
    (
        "JAX {}, `jit(vmap(jvp))` of `grad`; of `jvp`",
        &[("jax", "hvp"), ("jax", "jvp_jvp")],
    ),
    (
        "the same with packed signs",
        &[("jax", "hvp_packed_signs"), ("jax", "jvp_jvp_packed_signs")],
    ),
    (
        "matfree {}, Hutchinson; XTrace",
        &[("matfree", "hutchinson"), ("matfree", "xtrace")],
    ),
    (
        "traceax {}, Hutchinson; XTrace",
        &[("traceax", "hutchinson"), ("traceax", "xtrace")],
    ),
    (
        "BackPACK {}, HMP; with packed signs",
        &[("backpack", "hmp"), ("backpack", "hmp_packed_signs")],
    ),
    (
        "PyTorch {}, double backward, vmap",
        &[("autograd", "double_backward")],
    ),
    (
        "torch.func {}, `hvp`, eager; compiled",
        &[("functorch", "hvp"), ("functorch", "hvp_compiled")],
    ),
    (
        "curvlinops {}, Hutchinson; XTrace",
        &[("curvlinops", "hutchinson"), ("curvlinops", "xtrace")],
    ),
    (
        "exact: runner; BackPACK's DiagHessian",
        &[("runner", "exact"), ("backpack", "diag_hessian")],
    ),
];

/// The README's rows: our two ways, and of every peer the fastest method that samples as Hutchinson does.
const SHORT: [Line; 6] = [
    (
        "**runner**, curvature propagation",
        &[("runner", "propagation")],
    ),
    (
        "**runner**, Hutchinson's estimator",
        &[("runner", "forward"), ("runner", "hmp")],
    ),
    (
        "JAX {}",
        &[
            ("jax", "hvp"),
            ("jax", "jvp_jvp"),
            ("jax", "hvp_packed_signs"),
            ("jax", "jvp_jvp_packed_signs"),
        ],
    ),
    (
        "PyTorch {}",
        &[
            ("autograd", "double_backward"),
            ("functorch", "hvp"),
            ("functorch", "hvp_compiled"),
            ("functorch", "jvp_jvp"),
        ],
    ),
    (
        "BackPACK {}",
        &[("backpack", "hmp"), ("backpack", "hmp_packed_signs")],
    ),
    (
        "curvlinops, matfree, traceax: the fastest",
        &[
            ("curvlinops", "hutchinson"),
            ("matfree", "hutchinson"),
            ("traceax", "hutchinson"),
        ],
    ),
];

/// Which rows a column takes its times from: those of a quantity and a V, or all.
struct Column {
    title: String,
    rows: Vec<Row>,
    only: Option<(&'static str, u64)>,
}

impl Column {
    /// The fastest row of a method.
    fn of(&self, (peer, method): (&str, &str)) -> Option<&Row> {
        let own = |row: &&Row| {
            let wanted = self
                .only
                .is_none_or(|(quantity, v)| row.quantity == quantity && row.v == Some(v));
            row.peer == peer && row.method == method && wanted && row.seconds_median.is_some()
        };
        let rows = self.rows.iter().filter(own);
        rows.min_by(|a, b| a.seconds_median.partial_cmp(&b.seconds_median).unwrap())
    }

    /// The shortest time of all methods of the table.
    fn best(&self) -> Option<f64> {
        let methods = LINES.iter().flat_map(|(_, methods)| *methods);
        let times = methods.filter_map(|method| self.of(*method)?.seconds_median);
        times.min_by(f64::total_cmp)
    }

    fn cell(&self, methods: &[(&str, &str)]) -> String {
        let best = self.best();
        let each = methods.iter().map(|method| match self.of(*method) {
            Some(row) => time(row, best, self.only.is_none()),
            None => "–".into(),
        });
        let each: Vec<String> = each.collect();
        match each.iter().all(|cell| cell == "–") {
            true => String::new(),
            false => each.join("; "),
        }
    }
}

/// "**0.0126**", or "25.6 (V 747, from 60)" where fewer products were run.
fn time(row: &Row, best: Option<f64>, with_v: bool) -> String {
    let seconds = row.seconds_median.expect("rows with a time");
    let digits = (1 - seconds.log10().floor() as i32).clamp(0, 9) as usize;
    let digits = digits + usize::from(seconds < 100.0 && digits < 9);
    let mut text = format!("{seconds:.digits$}");
    if best == Some(seconds) {
        text = format!("**{text}**");
    }
    let v = row.v.filter(|_| with_v).map(|v| format!("V {v}"));
    let scaled = row.scaled_from().map(|run| format!("from {run}"));
    let notes: Vec<String> = v.into_iter().chain(scaled).collect();
    match notes.is_empty() {
        true => text,
        false => format!("{text} ({})", notes.join(", ")),
    }
}

/// The columns of a problem's folder, and the largest V.
fn columns(folder: &Path) -> anyhow::Result<[Column; 3]> {
    let timing = || read(&folder.join("timing.csv"));
    let v = timing()?.iter().filter_map(|row| row.v).max().unwrap_or(0);
    Ok([
        Column {
            title: format!("V = {v}, block diagonal"),
            rows: timing()?,
            only: Some(("block", v)),
        },
        Column {
            title: format!("V = {v}, full"),
            rows: timing()?,
            only: Some(("full", v)),
        },
        Column {
            title: "standard error 1 %".into(),
            rows: read(&folder.join("one_percent.csv"))?,
            only: None,
        },
    ])
}

/// Of every library the fastest way: times for a standard error of 1 % and for the largest V.
pub fn short(folder: &Path) -> anyhow::Result<String> {
    let (place, rounds) = machine(folder)?;
    let [block, full, one_percent] = columns(folder)?;
    let v = block.only.map_or(0, |(_, v)| v);
    let mut text = format!(
        "| trace of the example's Hessian | to a standard error of 1 % | {v} probes |\n|---|---|---|\n"
    );
    let fastest = |column: &Column, methods: &[(&str, &str)]| {
        let times = methods
            .iter()
            .filter_map(|method| column.of(*method)?.seconds_median);
        times.min_by(f64::total_cmp)
    };
    let cell = |time: Option<f64>| time.map_or("–".into(), milliseconds);
    for (name, methods) in SHORT {
        let name = name.replace("{}", &version(&one_percent.rows, methods[0].0));
        let of_v = [&block, &full].map(|column| fastest(column, methods));
        let of_v = of_v.into_iter().flatten().min_by(f64::total_cmp);
        let precise = cell(fastest(&one_percent, methods));
        text += &format!("| {name} | {precise} | {} |\n", cell(of_v));
    }
    text += &format!(
        "\nOne run on one machine ({place}), medians of {rounds}, every library at its best setting.\n"
    );
    Ok(text)
}

fn milliseconds(seconds: f64) -> String {
    let digits = (1 - (1e3 * seconds).log10().floor() as i32).max(0) as usize;
    format!("{:.digits$} ms", 1e3 * seconds)
}

/// The table of a problem's folder in Markdown.
pub fn table(folder: &Path) -> anyhow::Result<String> {
    let (place, rounds) = machine(folder)?;
    let columns = columns(folder)?;
    let titles: Vec<&str> = columns.iter().map(|column| &*column.title).collect();
    let mut text = format!("| seconds, median of {rounds} | {} |\n", titles.join(" | "));
    text += "|---|---|---|---|\n";
    for (name, methods) in LINES {
        let cells: Vec<String> = columns.iter().map(|column| column.cell(methods)).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let name = name.replace("{}", &version(&columns[2].rows, methods[0].0));
            text += &format!("| {name} | {} |\n", cells.join(" | "));
        }
    }
    let scaled = |column: &Column| column.rows.iter().any(|row| row.scaled_from().is_some());
    text += &format!("\nOne run on one machine: {place}.");
    if columns.iter().any(scaled) {
        text += " \"From\": as many products were run, and their time scaled to V.";
    }
    Ok(text + "\n")
}

/// A library's version without its last part.
fn version(rows: &[Row], peer: &str) -> String {
    let own = rows.iter().find(|row| row.peer == peer);
    let parts = own.map(|row| row.version.split('.').take(2).collect::<Vec<_>>());
    parts.map(|parts| parts.join(".")).unwrap_or_default()
}
