//! The options of `runner SPEC...`, and what follows from them.

use curvature_runner::error::UserError;
use curvature_runner::plan::{Job, Part, Plan, Portion};
use curvature_runner::spec::Override;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Clone, clap::Args)]
pub struct Arguments {
    /// Experiments to run, one after another
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<PathBuf>,

    /// Set any key over the spec, as sampling.V_batch=[20]; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::parse)]
    settings: Vec<Override>,

    /// Compute on this device: auto, cpu, cuda, cuda:N, cuda:*
    #[arg(long)]
    device: Option<String>,

    /// Compute in float32 or float64
    #[arg(long)]
    dtype: Option<String>,

    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    threads: Option<u64>,

    /// Write to this folder instead of results/<name>
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Run only estimators with these words, as hutchinson or "hutchinson hmp"; may be repeated
    #[arg(long, value_name = "ESTIMATOR")]
    pub only: Vec<String>,

    /// Run one of several parts, as 3/16, which `runner merge` puts together; a task of a Slurm job
    /// array runs its part without this option
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Part>,

    /// Run everything again, whatever is done already
    #[arg(long)]
    pub fresh: bool,

    /// Run again what failed before
    #[arg(long)]
    pub retry_failed: bool,

    /// Stop at the first job that fails
    #[arg(long)]
    pub fail_fast: bool,

    /// Run what is predicted to last over an hour without asking
    #[arg(long, short)]
    pub yes: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Check everything and print the plan: jobs, products, memory and time
    #[arg(long)]
    pub dry_run: bool,
}

impl Arguments {
    /// These arguments for the part that a Slurm job array gives this process, unless they name one.
    ///
    /// # Errors
    /// An array whose variables make no sense.
    pub fn in_array(&self) -> Result<Self, UserError> {
        let array = || Part::of_array(|name| std::env::var(name).ok());
        let shard = match self.shard {
            Some(part) => Some(part),
            None => array()?.inspect(|part| {
                tracing::warn!("part {part} is run, as SLURM_ARRAY_TASK_ID says");
            }),
        };
        Ok(Self {
            shard,
            ..self.clone()
        })
    }

    /// What the command line sets over the spec; an option of its own wins over `--set`.
    pub fn overrides(&self) -> Vec<Override> {
        let mut settings = self.settings.clone();
        let texts = [
            ("--device", "device", &self.device),
            ("--dtype", "dtype", &self.dtype),
        ];
        for (option, key, value) in texts {
            settings.extend(value.iter().map(|value| Override::text(option, key, value)));
        }
        let threads = self.threads;
        settings.extend(threads.map(|threads| Override::number("--threads", "threads", threads)));
        settings
    }

    /// Where the results of `plan` go.
    pub fn folder(&self, plan: &Plan) -> PathBuf {
        let whole = match &self.out {
            Some(folder) => folder.clone(),
            None => PathBuf::from("results").join(&plan.spec.name),
        };
        match self.shard {
            Some(part) => whole.join(part.folder()),
            None => whole,
        }
    }

    /// What `--only` and `--shard` leave in of `plan`, by rising jobs.
    pub fn asked(&self, plan: &Plan) -> Vec<Portion> {
        let mut portions = match self.shard {
            Some(part) => part.portions(plan),
            None => plan.portions(),
        };
        let asks_for = |job: &Job| self.only.iter().any(|words| has_words(job, words));
        portions.retain(|portion| self.only.is_empty() || asks_for(&plan.jobs[portion.job]));
        portions
    }

    /// Refuses words of `--only` that no setting has.
    ///
    /// # Errors
    /// The first such words, with those that there are.
    pub fn check_only(&self, plan: &Plan) -> Result<(), UserError> {
        let is_known = |words: &&String| plan.jobs.iter().any(|job| has_words(job, words));
        let Some(unknown) = self.only.iter().find(|words| !is_known(words)) else {
            return Ok(());
        };
        let known = plan.jobs.iter().map(|job| job.setting.to_string());
        let known: BTreeSet<String> = known.collect();
        let known: Vec<String> = known.into_iter().collect();
        Err(UserError::new(
            "--only",
            format!("found \"{unknown}\", which no estimator of the spec is called"),
            format!("it has: {}", known.join("; ")),
        ))
    }

    /// Refuses a file where `--out` asks for a folder.
    ///
    /// # Errors
    /// That file.
    pub fn check_out(&self) -> Result<(), UserError> {
        let Some(out) = &self.out else { return Ok(()) };
        let Some(file) = in_the_way(out) else {
            return Ok(());
        };
        let (file, out) = (file.display(), out.display());
        Err(UserError::new(
            "--out",
            format!(
                "--out: found the file {file}, expected {out} to be a folder for results, or nothing yet"
            ),
            "name another folder; it is made where it is not there",
        ))
    }
}

/// Whether a job is of a setting that has all of `words`.
fn has_words(job: &Job, words: &str) -> bool {
    words.split_whitespace().all(|word| job.setting.has(word))
}

/// The file that keeps `folder` from being made.
pub fn in_the_way(folder: &Path) -> Option<&Path> {
    let named = |path: &&Path| !path.as_os_str().is_empty() && path.exists();
    let there = folder.ancestors().find(named)?;
    (!there.is_dir()).then_some(there)
}
