//! `runner status DIR...`: how far the parts of an experiment are.

use super::{End, Failure, predictions};
use curvature_runner::output::PartFolder;
use curvature_runner::plan::{Plan, Portion};
use curvature_runner::spec::Spec;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// Results folders that runs with --shard write to, or folders of one part each
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
}

pub fn execute(arguments: &Arguments) -> Result<End, Failure> {
    let parts = PartFolder::find(&arguments.folders)?;
    PartFolder::check_alike(&parts)?;
    let source = &parts[0].source;
    let plan = Plan::new(Spec::parse(source)?, source)?;
    println!(
        "{:<12} {:>14} {:>7} {:>14}  state",
        "part", "done", "failed", "time left"
    );
    let (mut done, mut failed) = (0, 0);
    for part in &parts {
        let progress = part.progress(&plan);
        (done, failed) = (done + progress.done, failed + progress.failed);
        let name = part.part.map_or("whole".into(), |part| part.to_string());
        let left = match progress.seconds_left {
            Some(0.0) => String::new(),
            Some(seconds) => predictions::duration(seconds),
            None => "unknown".into(),
        };
        let state = match (&progress.writer, progress.done + progress.failed) {
            (Some(writer), _) => format!("running as {writer}"),
            (None, ended) if ended == progress.all => "ended".into(),
            (None, _) => "not running".into(),
        };
        println!(
            "{name:<12} {:>14} {:>7} {left:>14}  {state}",
            format!("{} of {}", progress.done, progress.all),
            progress.failed
        );
    }
    let units = |portions: &[Portion]| portions.iter().map(Portion::units).sum::<usize>();
    let all = match parts.iter().find_map(|part| part.part) {
        Some(cut) => cut.all(&plan).map(|(_, own)| units(&own)).sum(),
        None => plan.jobs.len(),
    };
    println!("{done} of {all} jobs, or pieces of jobs that are cut, are done, {failed} failed");
    Ok(End::Success)
}
