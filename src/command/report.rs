//! `runner report DIR...`: summary, figures and report of results, from their CSV files alone.

use super::{End, Failure};
use curvature_runner::output::{Results, redraw};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// Results folders
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    for folder in &arguments.folders {
        let results = Results::read(folder)?;
        for file in redraw(&results).map_err(Failure::Output)? {
            println!("{}", file.display());
        }
    }
    Ok(End::Success)
}
