//! `runner verify SPEC`: whether the estimators of a spec are right on a user's own network.

use super::columns::columns;
use super::{End, Failure};
use curvature_runner::output::format;
use curvature_runner::spec::SpecText;
use curvature_runner::verify::{Check, Reduced};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A spec with the network
    #[arg(value_name = "SPEC")]
    spec: PathBuf,

    /// Check every way of estimating that there is, not the spec's alone
    #[arg(long)]
    all: bool,
}

pub fn execute(arguments: &Arguments, details: bool) -> Result<End, Failure> {
    let reduced = Reduced::new(&SpecText::read(&arguments.spec)?, arguments.all)?;
    let found = reduced.verify().map_err(Failure::Output)?;
    println!("{} samples, float64, 32 probes\n", found.samples);
    if details {
        print!("{}", each(&found.checks));
    } else {
        print!("{}", summary(&found.checks));
    }
    let wrong: Vec<&Check> = found
        .checks
        .iter()
        .filter(|c| c.agrees() == Some(false))
        .collect();
    if !details && !wrong.is_empty() {
        println!("\nwhat disagrees");
        print!("{}", each(wrong.iter().copied()));
    }
    if details || !arguments.all {
        for (way, reason) in &found.left_out {
            println!("left out: {way}: {reason}");
        }
    }
    let all = found.checks.len();
    match (wrong.len(), all) {
        (_, 0) => println!("\nnothing could be checked"),
        (0, _) => println!("\nall {all} checks agree"),
        (wrong, _) => println!("\n{wrong} of {all} checks DISAGREE"),
    }
    Ok(match wrong.is_empty() {
        true => End::Success,
        false => End::Bad,
    })
}

/// A line for every way and what it was held against, with the largest difference.
fn summary(checks: &[Check]) -> String {
    let mut ways: Vec<(&str, &str, Vec<&Check>)> = Vec::new();
    for check in checks {
        let (way, against) = (check.way.as_str(), check.against.as_str());
        match ways.iter_mut().find(|(w, a, _)| (*w, *a) == (way, against)) {
            Some((.., all)) => all.push(check),
            None => ways.push((way, against, vec![check])),
        }
    }
    let row = |(way, against, all): &(&str, &str, Vec<&Check>)| {
        let largest = all
            .iter()
            .filter_map(|check| check.difference())
            .reduce(f64::max);
        vec![
            way.to_string(),
            against.to_string(),
            all.len().to_string(),
            largest.map_or(String::new(), format::rough),
            verdict(all).into(),
        ]
    };
    let rows: Vec<Vec<String>> = ways.iter().map(row).collect();
    columns(
        &["estimator", "against", "checks", "largest difference", ""],
        &rows,
    )
}

/// A line for every check.
fn each<'a>(checks: impl IntoIterator<Item = &'a Check>) -> String {
    let row = |check: &Check| {
        vec![
            check.what.clone(),
            check.against.clone(),
            format::exact(check.found),
            format::exact(check.expected),
            check.difference().map_or(String::new(), format::rough),
            verdict(&[check]).into(),
        ]
    };
    let rows: Vec<Vec<String>> = checks.into_iter().map(row).collect();
    columns(
        &["what", "against", "found", "expected", "difference", ""],
        &rows,
    )
}

fn verdict(checks: &[&Check]) -> &'static str {
    let agrees = |wanted| checks.iter().any(|check| check.agrees() == wanted);
    match (agrees(Some(false)), agrees(None)) {
        (true, _) => "DISAGREES",
        (false, true) => "not judged: no standard error",
        (false, false) => "",
    }
}
