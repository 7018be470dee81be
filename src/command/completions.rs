//! `runner completions SHELL`: what makes a shell complete the command line.

use super::{End, Failure};
use clap::CommandFactory;
use clap_complete::Shell;

#[derive(clap::Args)]
pub struct Arguments {
    /// Which shell
    shell: Shell,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let mut command = super::Arguments::command();
    clap_complete::generate(
        arguments.shell,
        &mut command,
        "runner",
        &mut std::io::stdout(),
    );
    Ok(End::Success)
}
