//! The command line: `runner SPEC...`.

use clap::Parser;
use curvature_runner::output::{Outcome, Session, report};
use curvature_runner::plan::{Overrides, Plan};
use curvature_runner::run::run;
use curvature_runner::spec::{Source, Spec, SpecError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Curvature experiments: exact and stochastic Hessian traces of neural networks.
#[derive(Parser)]
#[command(version, after_help = "Example: runner experiments/convergence.toml")]
struct Arguments {
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

const BAD_INPUT: u8 = 2;
const FAILED: u8 = 1;
const CANNOT_WRITE: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match plans(&arguments) {
        Ok(plans) => execute(&arguments, &plans),
        Err(error) => {
            eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(BAD_INPUT)
        }
    }
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
    arguments.specs.iter().map(plan).collect()
}

fn execute(arguments: &Arguments, plans: &[(Source, Plan)]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (source, plan) in plans {
        if arguments.dry_run {
            print!("{}", report::plan(source, plan));
            continue;
        }
        let folder = match &arguments.out {
            Some(folder) => folder.clone(),
            None => PathBuf::from("results").join(&plan.spec.name),
        };
        match experiment(&folder, source, plan) {
            Ok(outcome) => {
                print!("{}", report::outcome(plan, &outcome));
                for record in &outcome.non_finite {
                    eprintln!("warning: {}", report::non_finite(record));
                    code = ExitCode::from(FAILED);
                }
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                return ExitCode::from(CANNOT_WRITE);
            }
        }
    }
    code
}

fn experiment(folder: &Path, source: &Source, plan: &Plan) -> anyhow::Result<Outcome> {
    let mut session = Session::start(folder, plan, source)?;
    run(plan, |finished| session.append(finished))?;
    session.end()
}
