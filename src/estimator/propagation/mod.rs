//! Curvature propagation: the trace of every layer from random columns pulled down once.

mod exactly;
mod noise;
mod passes;

use super::cores::Cores;
use super::estimator_spec::{Shares, estimator_spec};
use super::samples::{estimates, sample};
use super::stream::PhiloxStream;
use super::{
    BatchSum, Budget, Estimate, EstimatorConfig, Expanded, Probe, Sampled, Sampling, Setting,
    Start, StreamKind, Task, Term, batch_sum, one_pass,
};
use crate::curvature::chunk_memory;
use crate::error::UserError;
use crate::problem::{Curvature, Network, NetworkProblem, Problem, ProblemSpec};
use passes::Passes;
use std::time::Instant;
use tch::Tensor;

estimator_spec! {
    /// `kind = "propagation"`: V random passes, each an unbiased estimate of every parameter's trace.
    ///
    /// A pass pulls a pair of random columns `a, b` per sample down, the symmetric part of `a bᵀ` having the
    /// Hessian `H_n` at the current place as its mean: both start as the loss's root times signs, each adjoint
    /// maps them, and a layer's curvature `diag(r)` is added as `√|r| ∘ v` to a and `sign(r) √|r| ∘ v` to b with fresh
    /// signs v, and one that is no diagonal as a pair of its own. (Martens, Sutskever, Swersky, ICML 2012,
    /// arXiv:1206.6464, have `a aᵀ − b bᵀ`, the real part of a complex square root; sum and difference of their
    /// columns are ours.) A block's trace is then `Σ_n ⟨J_nᵀ a_n, J_nᵀ b_n⟩`. Three things are taken exactly instead of
    /// sampled: diagonal curvature that stands directly over a parameter; that of attention and of norms, where
    /// nothing but additions stands between them and a linear layer, an embedding or a vector for every
    /// position; and the whole topmost block.
    ///
    /// Cost of a pass: two backward passes for the activations, none for parameters beyond norms.
    /// Valid for any sign of curvature where no layer couples samples and no layers share a parameter; standard errors are those of the mean over passes.
    #[derive(Default)]
    pub struct Propagation shares [matrix, sampling] {
    }
}

impl EstimatorConfig for Propagation {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        let task = PropagationTask {
            curvature: options.curvature(problem, shared)?,
            memory: shared.memory()?,
        };
        one_pass::expand(shared, problem, &options, task)
    }
}

#[derive(Clone, Debug)]
struct PropagationTask {
    curvature: Curvature,
    /// In bytes, where the spec says.
    memory: Option<u64>,
}

impl Task for PropagationTask {
    fn check(&self, network: Option<&Network>, _size: i64) -> Result<(), UserError> {
        one_pass::check(network)
    }

    fn setting(&self) -> Setting {
        Setting::about(self.curvature, "propagation").drawing(Probe::Rademacher, StreamKind::Philox)
    }

    fn probe_size(&self, _parameters: f64, activations: f64) -> f64 {
        activations
    }

    fn batch_sum(&self, budget: &Budget) -> Option<&dyn BatchSum> {
        budget.is_given().then_some(self)
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        let sum = self.batch_sum(budget);
        if let Some(estimates) = batch_sum::run(sum, problem, start, budget, v_batch) {
            return estimates;
        }
        let clock = Instant::now();
        let cores = Cores::of(problem, budget, v_batch);
        let _quiet = cores.quiet(problem);
        let stream = start.philox(problem);
        let problem = problem.network();
        let bytes = self.bytes(problem);
        let all = one_pass::draws(problem, budget, v_batch);
        let passes = |stream, batch: &NetworkProblem| self.passes(stream, batch, all, bytes);
        let draw = one_pass::over_batches(problem, stream, passes);
        sample(clock, budget, cores, draw)
    }
}

impl PropagationTask {
    /// The memory of a chunk where slices or batches are prepared side by side, one on each thread.
    fn bytes(&self, problem: &NetworkProblem) -> u64 {
        chunk_memory(problem.device(), self.memory) / tch::get_num_threads() as u64
    }

    /// Draws about `all` passes of a batch or slice.
    fn passes(
        &self,
        stream: PhiloxStream,
        batch: &NetworkProblem,
        all: u64,
        bytes: u64,
    ) -> impl Fn(u64, u64) -> Tensor + use<> {
        let passes = Passes::new(batch.linearize_for(self.curvature), stream, all, bytes);
        move |first, count| passes.draw(first, count)
    }
}

impl BatchSum for PropagationTask {
    fn terms(&self, problem: &NetworkProblem, batches: &[usize], work: &Sampled<'_>) -> Vec<Term> {
        let bytes = self.bytes(problem);
        let all = work.budget.least();
        one_pass::terms(problem, batches, work, |stream, batch| {
            self.passes(stream, batch, all, bytes)
        })
    }

    fn estimates(&self, sum: &Term, counts: &[u64]) -> Vec<Estimate> {
        estimates(sum, counts)
    }
}
