//! `runner check SPEC...`: whether a spec and everything that it names is right.

use super::{End, Failure};
use curvature_runner::plan::Plan;
use curvature_runner::spec::{Spec, SpecError, SpecText};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// Specs to check
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
}

/// Checks all of them, also after one that is wrong.
pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let mut mistakes = Vec::new();
    for path in &arguments.specs {
        match plan(path) {
            Ok(plan) => {
                println!("{}: ok, {} jobs", path.display(), plan.jobs.len());
                if let Some(choice) = plan.choice {
                    println!("  {choice}");
                }
            }
            Err(mistake) => mistakes.push(Failure::from(mistake)),
        }
    }
    // The last one is told where every command's failure is.
    let last = mistakes.pop();
    for mistake in &mistakes {
        mistake.report();
    }
    last.map_or(Ok(End::Success), Err)
}

/// What a spec asks for.
fn plan(path: &Path) -> Result<Plan, SpecError> {
    let source = SpecText::read(path)?;
    Plan::new(Spec::parse(&source)?, &source)
}
