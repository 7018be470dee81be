//! What `make compare` has written: rows of its CSV files, and the machine.

use serde::Deserialize;
use std::path::Path;

/// A row of any of the tables; a column that a table lacks is empty.
#[derive(Deserialize)]
pub struct Row {
    pub peer: String,
    pub version: String,
    pub method: String,
    pub quantity: String,
    #[serde(rename = "V")]
    pub v: Option<u64>,
    #[serde(rename = "V_batch")]
    pub v_batch: Option<u64>,
    #[serde(rename = "V_run", default)]
    pub v_run: Option<u64>,
    #[serde(default)]
    pub rounds: Option<usize>,
    pub seconds_median: Option<f64>,
    #[serde(default)]
    pub seconds_min: Option<f64>,
    #[serde(default)]
    pub seconds_max: Option<f64>,
    #[serde(default)]
    pub relative_rmse: Option<f64>,
}

impl Row {
    /// How many products were run, where the times are scaled from as many.
    pub fn scaled_from(&self) -> Option<u64> {
        self.v_run.filter(|&run| Some(run) != self.v)
    }
}

/// The rows of one CSV file.
pub fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::Reader::from_path(path)?;
    Ok(reader.deserialize().collect::<Result<_, _>>()?)
}

#[derive(Deserialize)]
struct Machine {
    processor: String,
    threads: usize,
    started: Option<String>,
    rounds: usize,
}

/// Processor, threads and day of a comparison, and how many runs every time is the median of.
pub fn machine(folder: &Path) -> anyhow::Result<(String, usize)> {
    let text = std::fs::read_to_string(folder.join("machine.json"))?;
    let machine: Machine = serde_json::from_str(&text)?;
    let Machine {
        processor, threads, ..
    } = &machine;
    let day = machine.started.as_deref().and_then(|time| time.get(..10));
    let day = day.map(|day| format!(", {day}")).unwrap_or_default();
    let place = format!("{processor}, {threads} threads{day}");
    Ok((place, machine.rounds))
}
