//! `runner schema`: what a spec may say, for editors and for people.

use super::{End, Failure};
use curvature_runner::spec::{reference, schema};

#[derive(clap::Args)]
pub struct Arguments {
    /// Print the reference for people instead, in Markdown
    #[arg(long)]
    markdown: bool,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    match arguments.markdown {
        true => print!("{}", reference()),
        false => println!("{:#}", schema().as_value()),
    }
    Ok(End::Success)
}
