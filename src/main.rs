//! The command line: `runner SPEC...`.

use clap::Parser;
use curvature_runner::error::UserError;
use curvature_runner::output::{Outcome, Session, report};
use curvature_runner::plan::{Overrides, Plan};
use curvature_runner::run::run;
use curvature_runner::spec::{Source, Spec, SpecError};
use miette::{GraphicalReportHandler, GraphicalTheme};
use std::io::IsTerminal;
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
    curvature_runner::memory::keep_freed_buffers();
    let arguments = Arguments::parse();
    show_errors_plainly();
    match plans(&arguments) {
        Ok(plans) => execute(&arguments, &plans),
        Err(error) => {
            eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// Lines are never wrapped, so that paths and messages stay whole; colour only on a terminal.
fn show_errors_plainly() {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut theme = match colour {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::unicode_nocolor(),
    };
    theme.characters.underline = '^';
    theme.characters.underbar = '^';
    theme.characters.uarrow = '^';
    theme.characters.error = "error:".into();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(100)
        .with_wrap_lines(false)
        .with_links(false);
    // Fails only where a handler is installed already, which none is.
    let _ = miette::set_hook(Box::new(move |_| Box::new(handler.clone())));
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

fn execute(arguments: &Arguments, plans: &[(Source, Plan)]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (source, plan) in plans {
        if arguments.dry_run {
            print!("{}", report::plan(source, plan));
            continue;
        }
        match experiment(&folder(arguments, plan), source, plan) {
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
