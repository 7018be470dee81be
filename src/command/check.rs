//! `runner check SPEC...`: whether a spec and everything that it names is right.

use super::{End, Failure};
use curvature_runner::plan::Plan;
use curvature_runner::spec::{Spec, SpecText};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// Specs to check
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    for path in &arguments.specs {
        let source = SpecText::read(path)?;
        let plan = Plan::new(Spec::parse(&source)?, &source)?;
        println!("{}: ok, {} jobs", path.display(), plan.jobs.len());
    }
    Ok(End::Success)
}
