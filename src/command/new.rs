//! `runner new mine.toml`: a spec to begin with.

use super::{End, Failure};
use anyhow::Context;
use curvature_runner::error::UserError;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

/// What is written, with a comment to every line that one may want to change.
pub const STARTER: &str = include_str!("starter.toml");

#[derive(clap::Args)]
pub struct Arguments {
    /// The file to write
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let spec = &arguments.spec;
    // Never over a file that is there.
    let file = OpenOptions::new().write(true).create_new(true).open(spec);
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = format!("{}: there is such a file", spec.display());
            return Err(UserError::new("", found, "name another, or remove it first").into());
        }
        other => other
            .with_context(|| format!("cannot write {}", spec.display()))
            .map_err(Failure::Output)?,
    };
    let written = file.write_all(STARTER.as_bytes());
    written
        .with_context(|| format!("cannot write {}", spec.display()))
        .map_err(Failure::Output)?;
    println!("wrote {0}; try: runner check {0}", spec.display());
    Ok(End::Success)
}
