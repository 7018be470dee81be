//! What determines a job's result, as a hash: a job with the key of a finished one need not run.

use super::{Job, Plan};
use crate::environment;
use crate::estimator::Sampling;
use crate::lists::Seed;
use crate::problem::raw::hex;
use crate::spec::ExperimentKind;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What the times of timed jobs are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub processor: String,
    /// libtorch threads, or jobs side by side.
    pub threads: usize,
}

impl Plan {
    /// A key for every job of this process, in order, as [`Self::keys_on`] makes them.
    pub fn keys(&self) -> Vec<String> {
        self.keys_on(&Machine {
            processor: environment::processor_name(),
            threads: self.threads,
        })
    }

    /// A key for every job that `machine` runs, in order.
    ///
    /// It covers what [`Self::result_keys`] covers, and the code; for timed jobs also processor and
    /// threads. It does not cover the other jobs, so that a changed spec keeps what it has in common.
    pub fn keys_on(&self, machine: &Machine) -> Vec<String> {
        let program = self.program(machine);
        let key = |result: &String| hash(&format!("{program}{result}"));
        self.result_keys().iter().map(key).collect()
    }

    /// For every job, in order, a key of what its estimates are of: the job with all settings of its
    /// estimator, the problem with the contents of its files (not where they lie), dtype and device.
    ///
    /// It names the files of a job, which another build of the runner names alike.
    pub fn result_keys(&self) -> Vec<String> {
        let problem = self.problem();
        let mut drawn = Drawn::default();
        let mut key = |job: &Job| {
            let mut text = format!("{problem}{}\n", job.determinants());
            if let Some(checkpoint) = self.setup.checkpoint(job.problem) {
                let file = checkpoint.file.as_ref().map(|file| &file.sha256);
                let _ = writeln!(text, "at {:?} {file:?}", checkpoint.name);
            }
            if job.seed == Some(Seed::Continue) {
                let _ = writeln!(text, "after {drawn:?}");
            }
            drawn.pass(job);
            hash(&text)
        };
        self.jobs.iter().map(&mut key).collect()
    }

    /// The problem that all jobs are about, as text.
    fn problem(&self) -> String {
        let mut spec = self.spec.clone();
        // The jobs have it all, but for the confidence of their intervals.
        spec.estimator.clear();
        spec.sampling = Sampling {
            confidence: spec.sampling.confidence,
            ..Sampling::default()
        };
        spec.device = self.place();
        spec.tf32 &= self.device.is_cuda();
        spec.threads = None;
        if let Some(model) = &mut spec.model {
            model.weights = None;
        }
        spec.paths_mut().into_iter().for_each(|path| path.clear());
        if spec.kind != ExperimentKind::Timing {
            spec.timing = Default::default();
        }
        let mut text = toml::to_string(&spec).expect("a spec is TOML");
        for file in self.setup.shared_files() {
            let _ = writeln!(text, "{}", file.sha256);
        }
        text
    }

    /// What computes it, as text.
    fn program(&self, machine: &Machine) -> String {
        let (code, libtorch) = (env!("RUNNER_SOURCES"), environment::libtorch_version());
        let mut text = format!("code {code}, libtorch {libtorch}\n");
        if self.spec.kind == ExperimentKind::Timing {
            let Machine { processor, threads } = machine;
            let _ = writeln!(text, "{threads} threads of {processor}");
        }
        text
    }
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))[..32].to_string()
}

/// How far PyTorch's global generator has been drawn from.
#[derive(Debug, Default)]
struct Drawn {
    /// The seed it was last set to; `None`: the model's.
    seed: Option<u64>,
    /// Probes since then.
    probes: u64,
}

impl Drawn {
    fn pass(&mut self, job: &Job) {
        if let Some(Seed::Value(seed)) = job.seed {
            (self.seed, self.probes) = (Some(seed), 0);
        }
        self.probes += job.budget.counts().last().copied().unwrap_or(0);
    }
}
