//! The command line: `runner SPEC...` runs experiments; every subcommand has a file of its own.

mod arguments;
mod check;
mod columns;
mod compare;
mod completions;
mod consent;
mod experiment;
mod interrupt;
mod log;
mod merge;
mod new;
mod outcome;
mod predictions;
mod print;
mod progress;
mod report;
mod run;
mod schema;
mod status;
mod verify;

pub use interrupt::leave;

use clap::{Parser, Subcommand};
use curvature_runner::error::UserError;
use curvature_runner::spec::SpecError;

const EXAMPLES: &str = "\
Examples:
  runner experiments/convergence.toml
  runner --dry-run experiments/timing.toml
  runner check mine.toml";

/// Curvature experiments: exact and stochastic Hessian traces of neural networks
#[derive(Parser)]
#[command(
    name = "runner",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = EXAMPLES
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: arguments::Arguments,
    /// Say more of what is going on; twice for even more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    /// Check specs and everything that they name; compute nothing
    Check(check::Arguments),
    /// Compare two results folders in accuracy and speed; exit code 1 if the second is worse
    Compare(compare::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Put the parts of an experiment together that `--shard` has cut it into
    Merge(merge::Arguments),
    /// Write a commented spec to begin with
    New(new::Arguments),
    /// Draw the summary, figures and report of a results folder anew from its CSV files
    Report(report::Arguments),
    /// Print the JSON schema of specs, by which an editor completes and checks them
    Schema(schema::Arguments),
    /// Say how far the parts of an experiment are, while they run or afterwards
    Status(status::Arguments),
    /// Check the estimators of a spec against the exact trace and autodiff, on its network at reduced size
    Verify(verify::Arguments),
}

impl Arguments {
    /// Does what the command line asks for.
    ///
    /// # Errors
    /// What ends the program early.
    pub fn execute(&self) -> Result<End, Failure> {
        log::start(self.verbose);
        match &self.command {
            None => run::execute(&self.run),
            Some(Command::Check(arguments)) => check::execute(arguments),
            Some(Command::Compare(arguments)) => compare::execute(arguments),
            Some(Command::Completions(arguments)) => completions::execute(arguments),
            Some(Command::Merge(arguments)) => merge::execute(arguments),
            Some(Command::New(arguments)) => new::execute(arguments),
            Some(Command::Report(arguments)) => report::execute(arguments),
            Some(Command::Schema(arguments)) => schema::execute(arguments),
            Some(Command::Status(arguments)) => status::execute(arguments),
            Some(Command::Verify(arguments)) => verify::execute(arguments, self.verbose > 0),
        }
    }
}

/// How a command ended that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Done.
    Success,
    /// Done, and something in the result is bad.
    Bad,
    /// The user ended it; what was done is kept.
    Interrupted,
}

impl End {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Bad => 1,
            Self::Interrupted => interrupt::Interrupt::CODE,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The input is wrong; nothing was written.
    Input(miette::Report),
    /// Results could not be written.
    Output(anyhow::Error),
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::Input(error.into())
    }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        Self::Input(miette::miette!(help = error.help, "{}", error.message))
    }
}

impl Failure {
    /// Prints why, and gives the exit code.
    pub fn report(&self) -> u8 {
        match self {
            Self::Input(report) => {
                eprintln!("{report:?}");
                2
            }
            Self::Output(error) => {
                eprintln!("error: {error:#}");
                3
            }
        }
    }
}
