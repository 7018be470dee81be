//! `runner SPEC...`: experiments, one after another.

use super::arguments::{Arguments, folder, has_words, in_the_way, settings};
use super::experiment::experiment;
use super::interrupt::Interrupt;
use super::{End, Failure, consent, predictions, print};
use curvature_runner::error::UserError;
use curvature_runner::output::Session;
use curvature_runner::plan::Plan;
use curvature_runner::run::Trials;
use curvature_runner::spec::{Spec, SpecError, SpecText};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    check_out(arguments.out.as_deref())?;
    let plans = plans(arguments)?;
    let stop = Interrupt::listen();
    if arguments.dry_run {
        return Ok(dry_run(&plans, &stop));
    }
    for (source, plan) in plans.iter().filter(|_| !arguments.yes) {
        consent::check(source, plan, &left(arguments, plan), &stop)?;
    }
    let mut end = End::Success;
    for (source, plan) in &plans {
        if stop.came() {
            return Ok(End::Interrupted);
        }
        end = end.max(experiment(arguments, source, plan, &stop).map_err(Failure::Output)?);
    }
    Ok(end)
}

/// How long the trials of a dry run may take, a spec.
const TRIALS: Duration = Duration::from_secs(20);

/// Prints every plan, and what it will cost.
fn dry_run(plans: &[(SpecText, Arc<Plan>)], stop: &Interrupt) -> End {
    let mut trials = Trials::new(TRIALS);
    for (source, plan) in plans {
        print!("{}", print::plan(source, plan));
        for warning in plan.warnings() {
            tracing::warn!("{warning}");
        }
        let predictions = trials.predict(plan, &|| stop.came());
        if stop.came() {
            return End::Interrupted;
        }
        print!("{}", predictions::text(plan, &predictions));
    }
    End::Success
}

/// Refuses a file where a folder is asked for.
fn check_out(out: Option<&Path>) -> Result<(), UserError> {
    match out.and_then(|out| in_the_way(out).map(|file| (out, file))) {
        None => Ok(()),
        Some((out, file)) => Err(UserError::new(
            "--out",
            format!(
                "--out: found the file {}, expected {} to be a folder for results, or nothing yet",
                file.display(),
                out.display()
            ),
            "name another folder; it is made where it is not there",
        )),
    }
}

/// The jobs of `plan` that a run has to do.
fn left(arguments: &Arguments, plan: &Plan) -> Vec<usize> {
    let folder = folder(arguments, plan);
    let missing = match arguments.fresh {
        true => (0..plan.jobs.len()).collect(),
        false => Session::missing(&folder, plan, arguments.retry_failed),
    };
    let asked = |index: &usize| arguments.asks_for(&plan.jobs[*index]);
    missing.into_iter().filter(asked).collect()
}

/// All specs are checked before the first is run.
fn plans(arguments: &Arguments) -> Result<Vec<(SpecText, Arc<Plan>)>, SpecError> {
    let settings = settings(arguments);
    let plan = |path: &PathBuf| {
        let source = SpecText::read(path)?.with(&settings);
        let plan = Plan::new(Spec::parse(&source)?, &source)?;
        check_only(&arguments.only, &plan).map_err(|error| source.error(error))?;
        Ok((source, Arc::new(plan)))
    };
    let plans = arguments
        .specs
        .iter()
        .map(plan)
        .collect::<Result<Vec<_>, _>>()?;
    for (index, (source, plan)) in plans.iter().enumerate() {
        let taken = |(_, before): &&(SpecText, Arc<Plan>)| {
            folder(arguments, before) == folder(arguments, plan)
        };
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

/// Refuses words that no setting has.
fn check_only(only: &[String], plan: &Plan) -> Result<(), UserError> {
    let is_known = |words: &&String| plan.jobs.iter().any(|job| has_words(job, words));
    let Some(unknown) = only.iter().find(|words| !is_known(words)) else {
        return Ok(());
    };
    let known = plan.jobs.iter().map(|job| job.setting.to_string());
    let known: BTreeSet<String> = known.collect();
    Err(UserError::new(
        "--only",
        format!("found \"{unknown}\", which no estimator of the spec is called"),
        format!(
            "it has: {}",
            known.into_iter().collect::<Vec<_>>().join("; ")
        ),
    ))
}
