//! Estimators: from products to a trace with its standard error.
//!
//! To add one, write its file (what a spec says of it, and how it runs) and name it in
//! [`EstimatorSpec`].

mod activation;
mod activation_variance;
mod artefact;
mod batch_sum;
mod block_sums;
mod budget;
mod cores;
mod dominance;
mod estimate;
mod estimator_spec;
mod exact;
mod frobenius;
mod hutchinson;
mod identity;
pub(crate) mod key_columns;
mod krylov;
mod lanczos;
mod log_det;
mod one_pass;
mod options;
mod probe;
mod progress;
mod propagation;
mod quantity;
mod rows;
mod samples;
mod sampling;
mod sketch;
mod slq;
mod statistics;
pub mod stream;
mod tuning;
mod unit;
mod variance;

pub use activation::{Activation, ActivationProbe, PassKind};
pub use artefact::{Artefact, Eigenvalue, Node, ParameterVectors, ProbeVariance};
pub use batch_sum::{BatchSum, Sampled, Term, compute, pieces};
pub use budget::{Budget, Stop, Stopping, Tolerance};
pub use estimate::Estimate;
pub use estimator_spec::Options;
pub use exact::{Exact, exact_traces};
pub use frobenius::Frobenius;
pub use hutchinson::Hutchinson;
pub use identity::{Identity, Setting};
pub use key_columns::Number;
pub use lanczos::{Lanczos, Which};
pub use log_det::LogDet;
pub use probe::Probe;
pub use progress::Progress;
pub(crate) use progress::{Cancelled, listening};
pub use propagation::Propagation;
pub use quantity::Quantity;
pub use sampling::{Sampling, Start};
pub use sketch::{
    AHutchPp, Bekas, DiagPp, HutchPp, Method, NaHutchPp, NystromPp, Sketch, XDiag, XNysTrace,
    XTrace,
};
pub use slq::Slq;
pub use statistics::{Interval, Moments, student_cdf, student_quantile};
pub use stream::{PhiloxStream, StreamKind, TorchStream};
pub(crate) use tuning::{Trial, Work, v_batch, without_trial};
pub use unit::counted;
pub use variance::Variance;

use crate::error::UserError;
use crate::lists::{Seed, VBatch};
use crate::problem::{Network, Problem, ProblemSpec};
use crate::tagged::tagged;
use serde::Serialize;
use std::fmt::Debug;
use std::sync::Arc;

tagged! {
    /// An `[[estimator]]` of a spec.
    pub enum EstimatorSpec: EstimatorConfig, by "kind" {
        /// The sum of the exact diagonal.
        Exact(Exact) = "exact",
        /// Hutchinson's estimator over a product.
        Hutchinson(Hutchinson) = "hutchinson",
        /// One probe per sample in activation space.
        Activation(Activation) = "activation",
        /// Random columns pulled down once.
        Propagation(Propagation) = "propagation",
        /// Hutch++: a sketched range, and probes for the rest.
        HutchPp(Sketch<HutchPp>) = "hutchpp",
        /// Hutch++ that finds out how much to sketch.
        AHutchPp(Sketch<AHutchPp>) = "a_hutchpp",
        /// Hutch++ in one round of products.
        NaHutchPp(Sketch<NaHutchPp>) = "na_hutchpp",
        /// XTrace.
        XTrace(Sketch<XTrace>) = "xtrace",
        /// XNysTrace, for positive semidefinite matrices.
        XNysTrace(Sketch<XNysTrace>) = "xnystrace",
        /// Nyström++, for positive semidefinite matrices.
        NystromPp(Sketch<NystromPp>) = "nystrompp",
        /// The diagonal, sampled.
        Bekas(Sketch<Bekas>) = "bekas",
        /// The diagonal from a sketched range, and probes for the rest.
        DiagPp(Sketch<DiagPp>) = "diagpp",
        /// The diagonal by leave-one-out.
        XDiag(Sketch<XDiag>) = "xdiag",
        /// Eigenpairs at an end of the spectrum.
        Lanczos(Lanczos) = "lanczos",
        /// The density of eigenvalues.
        Slq(Slq) = "slq",
        /// `log det(A + δI)`.
        LogDet(LogDet) = "log_det",
        /// Sums of squared entries.
        Frobenius(Frobenius) = "frobenius",
        /// The variance of every kind of probe.
        Variance(Variance) = "variance",
    }
}

/// What a spec says of an estimator.
pub trait EstimatorConfig {
    /// The estimates that it asks for of a problem, `shared` holding what it does not say itself.
    ///
    /// # Errors
    /// A setting that is missing or makes no sense; its key starts with `sampling` if it stands
    /// there, else it is relative to the estimator.
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError>;
}

/// An estimator's jobs: the task at every V_batch, for the whole budget, from every seed.
#[derive(Debug)]
pub struct Expanded {
    /// The estimator with its settings.
    pub task: Arc<dyn Task>,
    /// Probes at once; one `None` for an estimator to which that means nothing.
    pub batches: Vec<Option<VBatch>>,
    /// How many probes.
    pub budget: Budget,
    /// Seeds of the probes; one `None` for an estimator without probes.
    pub seeds: Vec<Option<Seed>>,
}

impl Expanded {
    /// How many estimates it asks for.
    pub fn rows(&self) -> usize {
        let streams = self.batches.len().saturating_mul(self.seeds.len());
        streams.saturating_mul(self.budget.estimates())
    }
}

/// An estimator with all its settings.
pub trait Task: Debug + Send + Sync {
    /// Whether it can work on a matrix of `size` columns, that of `network` unless it is a given one.
    ///
    /// # Errors
    /// What does not fit, at a key relative to the estimator; the help names an alternative.
    fn check(&self, network: Option<&Network>, size: i64) -> Result<(), UserError> {
        let _ = (network, size);
        Ok(())
    }

    /// What tells its rows from those of other tasks, as far as it knows: not the checkpoint, nor
    /// the name of a given matrix.
    fn setting(&self) -> Setting;

    /// What its estimates are of.
    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::Trace]
    }

    /// Whether its trace has no sampling error, so that others can be held against it.
    fn is_exact(&self) -> bool {
        false
    }

    /// How many numbers one probe fills at least, over a network of so many parameters whose widest
    /// layer puts so many out: probes live in parameter space unless an estimator says otherwise.
    fn probe_size(&self, parameters: f64, activations: f64) -> f64 {
        parameters + activations
    }

    /// The estimates that the budget asks for, each as if it alone had been asked for, with
    /// `v_batch` probes at once (1 where that means nothing).
    fn run(&self, problem: &Problem, start: &Start, budget: &Budget, v_batch: u64)
    -> Vec<Estimate>;

    /// Its work as a sum over batches of data, which several machines can share; `None` where it
    /// needs products with the whole matrix, or finds out on its way how far to go.
    fn batch_sum(&self, budget: &Budget) -> Option<&dyn BatchSum> {
        let _ = budget;
        None
    }

    /// How many vectors over all parameters it keeps at least, beside those that it multiplies,
    /// for a budget of `v` with `v_batch` at once.
    fn kept(&self, v: u64, v_batch: u64) -> u64 {
        let _ = (v, v_batch);
        0
    }

    /// A V that multiplies k vectors at once where V_batch is k: what a trial for V_batch spends.
    fn trial(&self, k: u64) -> u64 {
        k
    }
}

/// A setting as a spec writes it: the name of a unit variant.
pub fn written(setting: impl Serialize) -> String {
    match toml::Value::try_from(setting) {
        Ok(toml::Value::String(name)) => name,
        other => unreachable!("a setting is written as a name, not {other:?}"),
    }
}
