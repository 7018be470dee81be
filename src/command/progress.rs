//! What a user sees of a run: a line for every running job and one for all on a terminal, else a
//! line for every finished job, and now and then one of a job that takes long.

use curvature_runner::estimator::Progress as Sampled;
use curvature_runner::output::format;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::collections::HashMap;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// All bars of the program.
pub static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// How a run is shown.
pub enum Progress {
    /// Not at all.
    Quiet,
    /// A line for every finished job: so many are to be run, so many are done; and when the last line
    /// was written.
    Lines {
        jobs: usize,
        done: Mutex<(usize, Instant)>,
        confidence: f64,
    },
    /// Bars that move.
    Bars {
        total: ProgressBar,
        running: Mutex<HashMap<usize, ProgressBar>>,
        confidence: f64,
    },
}

/// A job that tells how far it has come: estimate ± half its interval, and the time left.
const SAMPLING: &str = "  {prefix}: {msg}  {bar:16} {pos}/{len}, {rate}, {eta} left";

/// How long nothing may be said of a job.
const SILENCE: Duration = Duration::from_secs(5);

impl Progress {
    /// Of a run of so many jobs, whose intervals are at `confidence`.
    pub fn start(jobs: usize, confidence: f64, quiet: bool) -> Self {
        if quiet || jobs == 0 {
            return Self::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            let done = Mutex::new((0, Instant::now()));
            return Self::Lines {
                jobs,
                done,
                confidence,
            };
        }
        BARS.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let style = "{pos}/{len} jobs {bar:30} {elapsed} elapsed, {eta} left";
        let total = BARS.add(ProgressBar::new(jobs as u64).with_style(bar(style)));
        total.enable_steady_tick(Duration::from_millis(500));
        Self::Bars {
            total,
            running: Mutex::default(),
            confidence,
        }
    }

    /// Job `index` begins.
    pub fn started(&self, name: &str, index: usize) {
        let Self::Bars { total, running, .. } = self else {
            return;
        };
        // Until it tells how far it has come; some never do.
        let line = ProgressBar::new(1)
            .with_style(bar("  {prefix}: {elapsed}"))
            .with_prefix(name.to_string());
        let line = BARS.insert_before(total, line);
        line.enable_steady_tick(Duration::from_millis(500));
        lock(running).insert(index, line);
    }

    /// Job `index` has come so far.
    pub fn progressed(&self, name: &str, index: usize, sampled: Sampled) {
        let value = |confidence: f64| {
            let half = sampled.estimate.half_width(confidence);
            format::within(sampled.estimate.mean, half)
        };
        match self {
            Self::Quiet => {}
            Self::Lines {
                done, confidence, ..
            } => {
                let (_, last) = &mut *lock(done);
                if last.elapsed() > SILENCE {
                    *last = Instant::now();
                    let Sampled { done, most, .. } = sampled;
                    let _ = writeln!(
                        std::io::stderr(),
                        "{name}: {done} of {most}, so far {}",
                        value(*confidence)
                    );
                }
            }
            Self::Bars {
                running,
                confidence,
                ..
            } => {
                if let Some(line) = lock(running).get(&index) {
                    if line.message().is_empty() {
                        line.set_style(bar(SAMPLING));
                    }
                    line.set_length(sampled.most);
                    line.set_position(sampled.done);
                    line.set_message(value(*confidence));
                }
            }
        }
    }

    /// A line beside the jobs.
    pub fn say(&self, line: &str) {
        if !matches!(self, Self::Quiet) {
            // A closed terminal is no reason to end a run.
            let _ = BARS.suspend(|| writeln!(std::io::stderr(), "{line}"));
        }
    }

    /// Job `index`, or what was to be done of it, has ended with this result.
    pub fn ended(&self, name: &str, index: usize, result: &str) {
        match self {
            Self::Quiet => {}
            Self::Lines { jobs, done, .. } => {
                let (done, last) = &mut *lock(done);
                (*done, *last) = (*done + 1, Instant::now());
                // A closed terminal is no reason to end a run.
                let _ = writeln!(std::io::stderr(), "[{done}/{jobs}] {name}: {result}");
            }
            Self::Bars { total, running, .. } => {
                if let Some(line) = lock(running).remove(&index) {
                    line.finish_and_clear();
                    BARS.remove(&line);
                }
                total.inc(1);
            }
        }
    }
}

impl Progress {
    /// Makes room for the result.
    pub fn end(&self) {
        if let Self::Bars { total, .. } = self {
            total.finish_and_clear();
            BARS.remove(total);
        }
    }
}

fn bar(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("a valid template");
    let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
        let _ = write!(text, "{:.0}/s", state.per_sec());
    };
    style.with_key("rate", rate).progress_chars("━╸ ")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no panic while it is held")
}
