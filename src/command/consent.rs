//! Before a run that will take long: how long, and whether that is meant.

use super::Failure;
use super::interrupt::Interrupt;
use super::predictions::duration;
use super::print;
use curvature_runner::error::UserError;
use curvature_runner::plan::{Plan, Portion};
use curvature_runner::run::{Prediction, Trials, guess};
use curvature_runner::spec::SpecText;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A run that is predicted to last longer needs consent.
const LONG: f64 = 3600.0;

/// Where a guess without a trial stays below this, no trial is worth its time.
const CERTAINLY_SHORT: f64 = LONG / 6.0;

/// How long trials before a run may take.
const TRIALS: Duration = Duration::from_secs(5);

/// Lets a run of `jobs()` begin, unless it is predicted to last long and the user does not want that.
///
/// # Errors
/// A long run without consent: how long, and what to do.
pub fn check(
    source: &SpecText,
    plan: &Arc<Plan>,
    jobs: impl FnOnce() -> Vec<Portion>,
    stop: &Interrupt,
) -> Result<(), Failure> {
    if guess(plan, &plan.portions()) < CERTAINLY_SHORT {
        return Ok(());
    }
    let jobs = &jobs();
    if guess(plan, jobs) < CERTAINLY_SHORT {
        return Ok(());
    }
    let stopped = || stop.came();
    let found = Trials::new(TRIALS).foresee(plan, jobs, &stopped);
    let seconds = found.iter().map(|prediction| prediction.seconds(plan));
    let total: f64 = seconds.sum();
    if total < LONG || stop.came() {
        return Ok(());
    }
    let seconds = |prediction: &Prediction| prediction.seconds(plan);
    let longest = found
        .iter()
        .max_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    let longest = longest.map_or(String::new(), |p| {
        let setting = print::setting(&plan.jobs[p.job]);
        format!("; {} of it {setting}", duration(seconds(p)))
    });
    let message = format!(
        "{}: the run is predicted to last about {}{longest}",
        source.path.display(),
        duration(total)
    );
    if std::io::stdin().is_terminal() && agreed(&message, stop) || stop.came() {
        return Ok(());
    }
    let help = "--yes runs it all the same, --dry-run predicts every setting; smaller V, fewer seeds or rtol make it shorter";
    Err(UserError::new("", message, help).into())
}

/// Whether the user says yes.
fn agreed(message: &str, stop: &Interrupt) -> bool {
    let _ = write!(std::io::stderr(), "{message}\nrun it all the same? [y/N] ");
    let (sender, receiver) = channel();
    // A thread of its own, since reading does not end with Ctrl-C.
    std::thread::spawn(move || {
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        let _ = sender.send(answer);
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(20)) {
            Ok(answer) => return ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()),
            Err(RecvTimeoutError::Timeout) if !stop.came() => {}
            Err(_) => return false,
        }
    }
}
