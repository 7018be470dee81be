//! `runner merge DIR...`: the parts of an experiment as one.

use super::outcome::outcome;
use super::{End, Failure, print};
use curvature_runner::output::{Done, PartFolder, Pieces, Results, Session, redraw};
use curvature_runner::plan::{Part, Plan, Portion};
use curvature_runner::run::combine;
use curvature_runner::spec::Spec;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// Results folders that runs with --shard have written to, or folders of one part each
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,

    /// Write to this folder instead of the first
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let parts = PartFolder::find(&arguments.folders)?;
    PartFolder::check_alike(&parts)?;
    let source = &parts[0].source;
    let plan = Plan::new(Spec::parse(source)?, source)?;
    let out = arguments.out.as_ref().unwrap_or(&arguments.folders[0]);
    merge(out, &plan, &parts).map_err(Failure::Output)
}

fn merge(out: &Path, plan: &Plan, parts: &[PartFolder]) -> anyhow::Result<End> {
    let mut session = Session::start(out, plan, &parts[0].source, None, false)?;
    for part in parts.iter().filter(|part| part.folder != out) {
        session.adopt(plan, part)?;
    }
    for portion in plan.portions() {
        let pieces = session.pieces(portion.job);
        let complete = |pieces: &&Pieces| pieces.len() == plan.pieces(&plan.jobs[portion.job]);
        let is_left = session.left(&portion, true).is_some();
        if let Some(pieces) = pieces.filter(complete).filter(|_| is_left) {
            let finished = combine(plan, portion.job, pieces);
            session.append(Done::Job(finished))?;
        }
    }
    let missing = what_is_missing(out, plan, parts, &session);
    let mut ended = session.end(false)?;
    let results = Results::read(out)?;
    ended.files.extend(redraw(&results)?);
    print!("{}", outcome(&results, &ended.files));
    for line in &missing {
        tracing::warn!("{line}");
    }
    for failure in &ended.failures {
        tracing::error!("{}", print::failure(failure));
    }
    let bad = !missing.is_empty() || !ended.failures.is_empty() || !ended.non_finite.is_empty();
    Ok(if bad { End::Bad } else { End::Success })
}

/// A line for every part with jobs or pieces of jobs that nobody has done, and how to run them.
fn what_is_missing(
    out: &Path,
    plan: &Plan,
    parts: &[PartFolder],
    session: &Session,
) -> Vec<String> {
    let spec = out.join("manifest.toml");
    let (spec, out) = (spec.display(), out.display());
    let missing = |portions: &[Portion]| {
        let left = portions.iter().filter_map(|own| session.left(own, false));
        left.map(|portion| portion.units()).sum::<usize>()
    };
    let Some(cut) = parts.iter().find_map(|part| part.part) else {
        return match missing(&plan.portions()) {
            0 => Vec::new(),
            count => vec![format!(
                "{count} jobs are missing; run them with: runner {spec} --out {out}"
            )],
        };
    };
    let of_part = |(part, own): (Part, Vec<Portion>)| {
        let (count, all) = (missing(&own), own.iter().map(Portion::units).sum::<usize>());
        let what = match own.iter().all(|portion| portion.pieces.is_none()) {
            true => "jobs",
            false => "jobs and pieces of jobs",
        };
        (count > 0).then(|| {
            format!(
                "part {part}: {count} of {all} {what} are missing; run them with: runner {spec} --shard {part} --out {out}"
            )
        })
    };
    cut.all(plan).filter_map(of_part).collect()
}
