//! `runner merge DIR...`: the parts of an experiment as one.

use super::outcome::outcome;
use super::{End, Failure, print};
use curvature_runner::output::{PartFolder, Results, Session, redraw};
use curvature_runner::plan::{Part, Plan};
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
    let missing: Vec<usize> = (0..plan.jobs.len())
        .filter(|&index| session.is_missing(index, false))
        .collect();
    let mut ended = session.end(false)?;
    let results = Results::read(out)?;
    ended.files.extend(redraw(&results)?);
    print!("{}", outcome(&results, &ended.files));
    for line in what_is_missing(out, plan, parts, &missing) {
        tracing::warn!("{line}");
    }
    for failure in &ended.failures {
        tracing::error!("{}", print::failure(failure));
    }
    let bad = !missing.is_empty() || !ended.failures.is_empty() || !ended.non_finite.is_empty();
    Ok(if bad { End::Bad } else { End::Success })
}

/// A line for every part with jobs that nobody has done, and how to run them.
fn what_is_missing(
    out: &Path,
    plan: &Plan,
    parts: &[PartFolder],
    missing: &[usize],
) -> Vec<String> {
    if missing.is_empty() {
        return Vec::new();
    }
    let spec = out.join("manifest.toml");
    let (spec, out) = (spec.display(), out.display());
    let Some(cut) = parts.iter().find_map(|part| part.part) else {
        let count = missing.len();
        return vec![format!(
            "{count} jobs are missing; run them with: runner {spec} --out {out}"
        )];
    };
    let of_part = |part: Part| {
        let own = part.jobs(plan);
        let count = own.iter().filter(|job| missing.contains(job)).count();
        (count > 0).then(|| {
            format!(
                "part {part}: {count} of {} jobs are missing; run them with: runner {spec} --shard {part} --out {out}",
                own.len()
            )
        })
    };
    cut.all().filter_map(of_part).collect()
}
