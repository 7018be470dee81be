//! `runner SPEC...`: experiments, one after another.

use super::arguments::Arguments;
use super::experiment::experiment;
use super::interrupt::Interrupt;
use super::{End, Failure, consent, predictions, print};
use curvature_runner::error::UserError;
use curvature_runner::output::left_in;
use curvature_runner::plan::{Plan, Portion};
use curvature_runner::run::Trials;
use curvature_runner::spec::{Spec, SpecError, SpecText};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let arguments = &arguments.in_array()?;
    arguments.check_out()?;
    let plans = plans(arguments)?;
    let stop = Interrupt::listen();
    if arguments.dry_run {
        return Ok(dry_run(&plans, &stop));
    }
    for (source, plan) in plans.iter().filter(|_| !arguments.yes) {
        consent::check(source, plan, || left(arguments, plan), &stop)?;
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

/// What a run has to do of `plan`.
fn left(arguments: &Arguments, plan: &Plan) -> Vec<Portion> {
    let asked = arguments.asked(plan);
    match arguments.fresh {
        true => asked,
        false => left_in(
            &arguments.folder(plan),
            plan,
            &asked,
            arguments.retry_failed,
        ),
    }
}

/// All specs are checked before the first is run.
fn plans(arguments: &Arguments) -> Result<Vec<(SpecText, Arc<Plan>)>, SpecError> {
    let settings = arguments.overrides();
    let plan = |path: &PathBuf| {
        let source = SpecText::read(path)?.with(&settings);
        let plan = Plan::new(Spec::parse(&source)?, &source)?;
        arguments
            .check_only(&plan)
            .map_err(|error| source.error(error))?;
        Ok((source, Arc::new(plan)))
    };
    let plans = arguments
        .specs
        .iter()
        .map(plan)
        .collect::<Result<Vec<_>, _>>()?;
    for (index, (source, plan)) in plans.iter().enumerate() {
        let taken = |(_, before): &&(SpecText, Arc<Plan>)| {
            arguments.folder(before) == arguments.folder(plan)
        };
        if let Some((before, _)) = plans[..index].iter().find(taken) {
            let key = match arguments.out {
                Some(_) => "--out",
                None => "name",
            };
            let folder = arguments.folder(plan);
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
