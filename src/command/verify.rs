//! `runner verify SPEC`: whether every way to a trace agrees on a user's own network.

use super::{End, Failure};
use curvature_runner::spec::SpecText;
use curvature_runner::verify::{Check, Reduced};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A spec with the network
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let reduced = Reduced::new(&SpecText::read(&arguments.spec)?)?;
    let found = reduced.verify().map_err(Failure::Output)?;
    println!(
        "{} samples, float64, 32 probes\n\n{:<40} {:<31} {:>14} {:>14} {:>10}",
        found.samples, "what", "against", "found", "expected", "difference"
    );
    for check in &found.checks {
        println!("{}", line(check));
    }
    for (way, reason) in &found.left_out {
        println!("left out: {way}: {reason}");
    }
    let wrong = found
        .checks
        .iter()
        .filter(|check| check.agrees() == Some(false))
        .count();
    let all = found.checks.len();
    println!("\n{} of {all} checks agree", all - wrong);
    Ok(match wrong {
        0 => End::Success,
        _ => End::Bad,
    })
}

fn line(check: &Check) -> String {
    let difference = check
        .difference()
        .map_or(String::new(), |found| match found {
            1e-3.. => format!("{found:.2}"),
            _ => format!("{found:.0e}"),
        });
    let verdict = match check.agrees() {
        Some(true) => "",
        Some(false) => "  DISAGREES",
        None => "  not judged: no standard error",
    };
    format!(
        "{:<40} {:<31} {:>14.8} {:>14.8} {:>10}{verdict}",
        check.what, check.against, check.found, check.expected, difference
    )
}
