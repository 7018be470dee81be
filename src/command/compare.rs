//! `runner compare DIR_A DIR_B`: whether the second results are worse than the first.

use super::columns::columns;
use super::{End, Failure};
use curvature_runner::error::UserError;
use curvature_runner::output::{Compared, Precision, Results, Speed, compare, format, unlike};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// Results to compare with
    #[arg(value_name = "DIR_A")]
    first: PathBuf,

    /// Results that may be worse
    #[arg(value_name = "DIR_B")]
    second: PathBuf,

    /// By how much a median time or an error must grow to count
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent)]
    fail_on: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text
        .strip_suffix('%')
        .and_then(|number| number.trim().parse::<f64>().ok());
    match number {
        Some(percent) if percent >= 0.0 && percent.is_finite() => Ok(percent / 100.0),
        _ => Err("expected a percentage, for example 10%".into()),
    }
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let (first, second) = (
        Results::read(&arguments.first)?,
        Results::read(&arguments.second)?,
    );
    let differences = unlike(&first, &second);
    if !differences.is_empty() {
        let found = format!(
            "the two are about different problems, so that neither values nor times can be compared; they differ in {}",
            differences.join("; ")
        );
        let help = "name the results of one spec, run twice: only the estimators, machine or version may differ";
        return Err(UserError::new("", found, help).into());
    }
    for note in elsewhere(&first, &second) {
        println!("{note}");
    }
    let comparison = compare(&first.records, &second.records, arguments.fail_on);
    if comparison.both.is_empty() {
        let found = "the two have no setting in common, so nothing can be compared";
        let help = "name the results of one spec, run twice";
        return Err(UserError::new("", found, help).into());
    }
    let head = [
        "setting",
        "estimate A",
        "estimate B",
        "time A",
        "time B",
        "B/A",
        "verdict",
    ];
    let row = |compared: &Compared| {
        let (a, b) = (compared.estimates, compared.seconds);
        vec![
            compared.name.clone(),
            format::value(a.0),
            format::value(a.1),
            format::seconds(b.0),
            format::seconds(b.1),
            format!("{:.3}", b.1 / b.0),
            verdict(compared),
        ]
    };
    let rows: Vec<Vec<String>> = comparison.both.iter().map(row).collect();
    print!("{}", columns(&head, &rows));
    for name in &comparison.missing {
        println!("{name}: missing in B");
    }
    for name in &comparison.added {
        println!("{name}: only in B");
    }
    let regressions = comparison.regressions();
    let all = comparison.both.len() + comparison.missing.len();
    println!("\n{regressions} of {all} settings are worse in B");
    Ok(match regressions {
        0 => End::Success,
        _ => End::Bad,
    })
}

/// What of machine and program differs, where both say it: times then differ for that reason too.
fn elsewhere(first: &Results, second: &Results) -> Vec<String> {
    let note = |key: &str| {
        let [a, b] = [first, second].map(|results| results.provenance.get(key));
        let (a, b) = (a?, b?);
        (a != b).then(|| format!("{key}: A {a}, B {b}"))
    };
    let facts = ["processor", "device", "threads", "libtorch", "runner"];
    facts.into_iter().filter_map(note).collect()
}

/// What of a setting has changed, in words.
fn verdict(compared: &Compared) -> String {
    let precision = match compared.precision {
        Precision::Worse => Some("LESS PRECISE"),
        Precision::Better => Some("more precise"),
        Precision::Same | Precision::Unknown => None,
    };
    let speed = match compared.speed {
        Speed::Slower => Some("SLOWER"),
        Speed::Faster => Some("faster"),
        Speed::Unknown => Some("too few runs to judge the time"),
        Speed::Same => None,
    };
    let value = compared.contradict.then_some("OTHER VALUE");
    let words: Vec<&str> = [value, precision, speed].into_iter().flatten().collect();
    match words.is_empty() {
        true => "same".into(),
        false => words.join(", "),
    }
}
