//! Estimators that spend products on a part of the matrix first and sample what is left.
//!
//! All of them work on an operator alone, with algebra on blocks of vectors, and spend at
//! most V products, exactly as many as they report. Where V reaches the size n of the matrix they
//! take the n unit vectors instead. To add one, write its file and name it in
//! [`EstimatorSpec`](super::EstimatorSpec).

mod a_hutchpp;
mod bekas;
mod block;
mod budgeted;
mod deflation;
mod diagpp;
mod hutchpp;
mod na_hutchpp;
mod nystrom;
mod nystrompp;
mod xdiag;
mod xnystrace;
mod xtrace;

pub use a_hutchpp::AHutchPp;
pub use bekas::Bekas;
pub use diagpp::DiagPp;
pub use hutchpp::HutchPp;
pub use na_hutchpp::NaHutchPp;
pub use nystrompp::NystromPp;
pub use xdiag::XDiag;
pub use xnystrace::XNysTrace;
pub use xtrace::XTrace;

use super::estimator_spec::{Shares, estimator_spec};
use super::{
    Budget, Estimate, EstimatorConfig, Expanded, Moments, Probe, Sampling, Setting, Start, Stop,
    StreamKind, Task, Tolerance, written,
};
use crate::curvature::OperatorSpec;
use crate::error::UserError;
use crate::problem::{Network, Problem, ProblemSpec};
use block::Sketcher;
use budgeted::{Meter, given, until};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;
use tch::Tensor;

/// An estimator over blocks of vectors.
pub trait Method: Debug + Clone + Default + PartialEq + Send + Sync + 'static {
    /// Its kind, as a spec writes it.
    const KIND: &'static str;
    /// The probes for which it is defined.
    const PROBES: &'static [Probe];
    /// The fewest products that give an estimate.
    const LEAST: u64;
    /// Whether it is for positive semidefinite matrices only.
    const SEMIDEFINITE: bool = false;
    /// Whether it divides by small eigenvalues, so that blocks have to be float64.
    const DOUBLE: bool = false;
    /// Whether what a smaller V has spent is a part of what a larger one spends.
    const NESTED: bool = true;
    /// Whether it plans by an absolute tolerance and knows no relative one.
    const ABSOLUTE: bool = false;

    /// Whether it keeps a vector for every product, at least.
    const BLOCKS: bool = true;

    /// Before the first product.
    fn begin<'a>(sketcher: &'a Sketcher<'a>) -> Box<dyn State + 'a>;
}

/// An estimator at work.
pub trait State {
    /// Goes on to a budget of `v` products, at least [`Method::LEAST`] and less than n.
    fn grow(&mut self, v: u64);

    /// The estimate so far.
    fn finish(&self) -> Part;

    /// Spends by the tolerance itself; `None` where it has to be doubled until the estimate says
    /// that it is enough.
    fn until(&mut self, tolerance: &Tolerance) -> Option<Stop> {
        let _ = tolerance;
        None
    }
}

/// What an estimator finds.
pub struct Part {
    /// The trace.
    trace: Moments,
    /// Whether the matrix is known up to rounding.
    exact: bool,
    /// The trace of every parameter's block; empty where it cannot be split.
    parameters: Vec<Moments>,
    /// The diagonal, `[n]`.
    diagonal: Option<Tensor>,
}

impl Part {
    /// A trace alone.
    fn of(trace: Moments) -> Self {
        Self {
            trace,
            exact: false,
            parameters: Vec::new(),
            diagonal: None,
        }
    }
}

estimator_spec! {
    /// What a spec says of an estimator over blocks of vectors.
    #[derive(Default)]
    #[serde(bound = "")]
    #[schemars(bound = "", rename = "Sketch")]
    pub struct Sketch<M: Method> shares [operator, sampling, probe] {
        #[serde(skip)]
        method: PhantomData<M>,
    }
}

impl<M: Method> EstimatorConfig for Sketch<M> {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        if M::SEMIDEFINITE {
            options.semidefinite(
                problem,
                "this estimator needs a positive semidefinite matrix, which kind = \"xtrace\" does not",
            )?;
        }
        let operator_spec = options.operator_with_products(problem, shared)?;
        let batches = options.products_at_once(shared)?;
        let seeds = options.philox_seeds(shared)?;
        let budget = options.budget(shared, 300)?;
        check_budget::<M>(&budget)?;
        Ok(Expanded {
            task: Arc::new(SketchTask {
                operator_spec,
                probe: probe::<M>(self.probe, shared)?,
                method: PhantomData::<M>,
            }),
            batches,
            budget,
            seeds,
        })
    }
}

fn check_budget<M: Method>(budget: &Budget) -> Result<(), UserError> {
    let (kind, least) = (M::KIND, M::LEAST);
    match budget {
        Budget::Counts(counts) | Budget::First { counts, .. } => match counts.first() {
            Some(&v) if v < least => Err(UserError::new(
                "V",
                format!("found {v}, expected at least {least} products for {kind}"),
                format!("write for example V = [{}]", 10 * least),
            )),
            _ => Ok(()),
        },
        Budget::Tolerance(tolerance) if tolerance.max_v < least => Err(UserError::new(
            "sampling.max_V",
            format!("expected at least {least} products for {kind}"),
            "write for example max_V = 10000",
        )),
        Budget::Tolerance(tolerance) if M::ABSOLUTE && tolerance.rtol > 0.0 => Err(UserError::new(
            "sampling.rtol",
            format!("{kind} plans its products by an absolute error, found a relative one"),
            format!("write atol instead, or give V to {kind}"),
        )),
        Budget::Tolerance(_) => Ok(()),
    }
}

/// The estimator's own probe, or else that of `[sampling]`.
fn probe<M: Method>(own: Option<Probe>, shared: &Sampling) -> Result<Probe, UserError> {
    let (probe, key) = match own {
        Some(probe) => (probe, "probe"),
        None => (shared.probe, ""),
    };
    if M::PROBES.contains(&probe) {
        return Ok(probe);
    }
    let known: Vec<String> = M::PROBES
        .iter()
        .map(|p| format!("\"{}\"", written(p)))
        .collect();
    Err(UserError::new(
        key,
        format!(
            "probe \"{}\" is not defined for {}, which takes {}",
            written(probe),
            M::KIND,
            known.join(" or ")
        ),
        format!("write probe = {} here", known[0]),
    ))
}

/// A method over one operator.
#[derive(Clone, Debug)]
struct SketchTask<M> {
    operator_spec: OperatorSpec,
    probe: Probe,
    method: PhantomData<M>,
}

impl<M: Method> Task for SketchTask<M> {
    fn check(&self, network: Option<&Network>, _size: i64) -> Result<(), UserError> {
        self.operator_spec.check(network)
    }

    fn setting(&self) -> Setting {
        Setting::over(&self.operator_spec, M::KIND).drawing(self.probe, StreamKind::Philox)
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        let clock = Instant::now();
        self.operator_spec
            .open(problem, budget.least(), |operator| {
                let sketcher = Sketcher::new(
                    operator,
                    start.philox(problem),
                    self.probe,
                    v_batch,
                    M::DOUBLE,
                );
                let meter = Meter::new(clock, &sketcher);
                match budget {
                    Budget::Counts(counts) | Budget::First { counts, .. } => {
                        given::<M>(meter, counts)
                    }
                    Budget::Tolerance(tolerance) => vec![until::<M>(meter, tolerance)],
                }
            })
    }

    fn kept(&self, v: u64, _v_batch: u64) -> u64 {
        if M::BLOCKS { v } else { 0 }
    }

    fn trial(&self, k: u64) -> u64 {
        M::LEAST.max(3 * k)
    }
}
