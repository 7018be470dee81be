//! `runner SPEC...`: experiments, one after another.

use super::{End, Failure};
use curvature_runner::error::UserError;
use curvature_runner::output::{Outcome, Session, report};
use curvature_runner::plan::{Overrides, Plan};
use curvature_runner::run::run;
use curvature_runner::spec::{Source, Spec, SpecError};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// Experiments to run, one after another
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,

    /// Compute on this device instead of the spec's: auto, cpu, cuda, cuda:N
    #[arg(long)]
    device: Option<String>,

    /// Write to this folder instead of results/<name>
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Check everything and print what would be done
    #[arg(long)]
    dry_run: bool,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let mut end = End::Success;
    for (source, plan) in &plans(arguments)? {
        if arguments.dry_run {
            print!("{}", report::plan(source, plan));
            continue;
        }
        let folder = folder(arguments, plan);
        let outcome = experiment(&folder, source, plan).map_err(Failure::Output)?;
        print!("{}", report::outcome(plan, &outcome));
        for record in &outcome.non_finite {
            eprintln!("warning: {}", report::non_finite(record));
            end = End::Bad;
        }
    }
    Ok(end)
}

/// All specs are checked before the first is run.
fn plans(arguments: &Arguments) -> Result<Vec<(Source, Plan)>, SpecError> {
    let overrides = Overrides {
        device: arguments.device.clone(),
    };
    let plan = |path: &PathBuf| {
        let source = Source::read(path)?;
        let plan = Plan::new(Spec::parse(&source)?, &overrides, &source)?;
        Ok((source, plan))
    };
    let plans = arguments
        .specs
        .iter()
        .map(plan)
        .collect::<Result<Vec<_>, _>>()?;
    for (index, (source, plan)) in plans.iter().enumerate() {
        let taken =
            |(_, before): &&(Source, Plan)| folder(arguments, before) == folder(arguments, plan);
        if let Some((before, _)) = plans[..index].iter().find(taken) {
            let key = match arguments.out {
                Some(_) => "--out",
                None => "name",
            };
            let folder = folder(arguments, plan);
            let found = format!(
                "found {} for the results of both {} and {}",
                folder.display(),
                before.path.display(),
                source.path.display()
            );
            let help = "give each experiment a folder of its own, or run them one by one";
            return Err(source.error(UserError::new(key, found, help)));
        }
    }
    Ok(plans)
}

/// Where the results of `plan` go.
fn folder(arguments: &Arguments, plan: &Plan) -> PathBuf {
    match &arguments.out {
        Some(folder) => folder.clone(),
        None => PathBuf::from("results").join(&plan.spec.name),
    }
}

fn experiment(folder: &Path, source: &Source, plan: &Plan) -> anyhow::Result<Outcome> {
    let mut session = Session::start(folder, plan, source)?;
    run(plan, |finished| session.append(finished))?;
    session.end()
}
