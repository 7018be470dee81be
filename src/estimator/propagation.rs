//! Curvature propagation: the trace of every layer from random columns pulled down once.

use super::cores::Cores;
use super::estimator_spec::{Shares, estimator_spec};
use super::samples::{estimates, sample};
use super::stream::{PhiloxStream, Space};
use super::{
    BatchSum, Budget, Estimate, EstimatorConfig, Expanded, Probe, Sampled, Sampling, Setting,
    Start, StreamKind, Task, Term, batch_sum, one_pass,
};
use crate::curvature::{chunk_memory, chunks, widest};
use crate::error::UserError;
use crate::problem::{
    Adjoints, Curvature, Linearization, LinearizedLayer, NetworkProblem, Problem, ProblemSpec,
    sum_present,
};
use std::sync::Arc;
use std::time::Instant;
use tch::{Kind, Tensor};

estimator_spec! {
    /// `kind = "propagation"`: V random passes, each an unbiased estimate of every parameter's trace.
    ///
    /// A pass pulls one random column `c` per sample down, `c cᵀ` having the Hessian `H_n` at the
    /// current place as its mean: it starts as the loss's root times signs, each adjoint maps it, and a
    /// layer's curvature `diag(r)` is added as `√|r| ∘ v` with fresh signs v, to a second column where
    /// r is negative, and one that is no diagonal as a signed root times v likewise (Martens, Sutskever, Swersky, ICML 2012, arXiv:1206.6464, whose complex square
    /// root has these two columns as its real and imaginary part). A block's trace is then
    /// `Σ_n ‖J_nᵀ c_n‖²` of the first less that of the second. Two things are taken exactly instead of
    /// sampled: the curvature that stands directly over a parameter, and the whole topmost block.
    ///
    /// Cost of a pass: two backward passes for the activations, none for parameters beyond norms.
    /// Valid for any sign of curvature where no layer couples samples; standard errors are those of the mean over passes.
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
    /// In bytes.
    memory: u64,
}

impl Task for PropagationTask {
    fn setting(&self) -> Setting {
        Setting::about(self.curvature, "propagation").drawing(Probe::Rademacher, StreamKind::Philox)
    }

    fn probe_size(&self, _parameters: f64, activations: f64) -> f64 {
        activations
    }

    fn batch_sum(&self, budget: &Budget) -> Option<&dyn BatchSum> {
        matches!(budget, Budget::Counts(_)).then_some(self)
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
        let bytes = self.bytes(problem.network());
        let cores = Cores::of(problem, budget, v_batch);
        let _quiet = cores.quiet(problem);
        let stream = start.philox(problem);
        let problem = problem.network();
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
        let all = work.counts.last().copied().unwrap_or(0);
        one_pass::terms(problem, batches, work, |stream, batch| {
            self.passes(stream, batch, all, bytes)
        })
    }

    fn estimates(&self, sum: &Term, counts: &[u64]) -> Vec<Estimate> {
        estimates(sum, counts)
    }
}

/// What every pass over one linearisation shares.
struct Passes {
    at: Arc<Linearization>,
    stream: PhiloxStream,
    /// The part of every parameter's trace that is known exactly.
    known: Vec<f64>,
    /// The topmost layer with parameters, where all of its trace is known.
    topmost: Option<usize>,
    /// Curvature to be added as noise at the output of a layer: `[N, *out]`.
    noise: Vec<Option<Noise>>,
}

/// `√r⁺` and `√r⁻` of a curvature `r = r⁺ − r⁻`; the latter only where something is negative.
struct Noise {
    positive: Tensor,
    negative: Option<Tensor>,
}

impl Passes {
    /// Takes what is known exactly, in chunks of about `bytes`, for about `all` passes.
    fn new(at: Linearization, stream: PhiloxStream, all: u64, bytes: u64) -> Self {
        let mut passes = Self {
            known: vec![0.0; at.parameter_count()],
            topmost: None,
            noise: at.layers().iter().map(|_| None).collect(),
            at: at.into(),
            stream,
        };
        passes.take_diagonals();
        passes.take_topmost(bytes);
        let sampled = (0..=passes.at.top()).filter(|&index| passes.samples(index));
        for layer in sampled.map(|index| &passes.at.layers()[index]) {
            layer.parameters().expect_columns(all);
        }
        passes
    }

    /// Carries every layer's curvature down while it stays a diagonal: exact for the parameters it
    /// meets, noise for what lies below the first layer that mixes entries.
    fn take_diagonals(&mut self) {
        let at = self.at.clone();
        at.propagate_diagonals(|d| {
            self.know(d.layer, |layer, i| {
                layer.parameters().trace_of_diagonal(i, &d.entries)
            });
            if d.ends {
                self.noise[d.index] = Some(Noise::of(&d.entries));
            }
        });
    }

    /// The topmost block from the loss's Hessian, if no noise reaches it: from its diagonal where the
    /// layer sees no more of it, else from all columns of its root.
    fn take_topmost(&mut self, bytes: u64) {
        let at = self.at.clone();
        let topmost = at.layers().iter().rposition(|l| !l.indices.is_empty());
        let Some(topmost) = topmost else { return };
        let noisy = self.noise[topmost + 1..].iter().any(Option::is_some);
        if noisy || at.non_diagonal_curvatures().any(|own| own.below >= topmost) {
            return;
        }
        self.topmost = Some(topmost);
        let layer = &at.layers()[topmost];
        if topmost == at.top() && layer.sees_diagonals_only() {
            let d = at.loss().hessian_diagonal();
            self.know(layer, |layer, i| {
                layer.parameters().trace_of_diagonal(i, &d)
            });
            return;
        }
        let (all, widest) = (at.loss().column_count(), widest(&at.layers()[topmost..]));
        for (first, count) in chunks(&at, all, widest, bytes) {
            let columns = at.loss().columns(first, count);
            at.propagate_adjoints(at.top(), columns, Some(&[topmost]), |index, layer, s| {
                if index == topmost {
                    self.know(layer, |layer, i| {
                        layer.parameters().trace_of_columns(i, s).sum(Kind::Double)
                    });
                }
                None
            });
        }
    }

    fn know(&mut self, layer: &LinearizedLayer, part: impl Fn(&LinearizedLayer, usize) -> Tensor) {
        for (i, index) in layer.indices.clone().enumerate() {
            self.known[index] += part(layer, i).double_value(&[]);
        }
    }

    /// Whether the traces of a layer's parameters are sampled.
    fn samples(&self, index: usize) -> bool {
        self.topmost != Some(index) && !self.at.layers()[index].indices.is_empty()
    }

    /// Passes `first..first + count`: `[parameters, count]` in float64.
    fn draw(&self, first: u64, count: u64) -> Tensor {
        let gradient = self.at.loss().gradient();
        let known = Tensor::from_slice(&self.known).to_device(gradient.device());
        let traces = known.unsqueeze(1).repeat([1, count as i64]);
        let Some(lowest) = (0..=self.at.top()).find(|&index| self.samples(index)) else {
            return traces;
        };
        let signs = |space, shape: &[i64]| {
            self.stream
                .draw(Probe::Rademacher, space, first, count, shape)
        };
        let (mut positive, mut negative) = (self.at.adjoints(None), self.at.adjoints(None));
        let root = signs(Space::Loss, &self.at.loss().root_shape());
        let root = self.at.loss().root(&root);
        positive.add(self.at.top(), root);
        for index in (lowest..=self.at.top()).rev() {
            self.add_roots(index, [&mut positive, &mut negative], &signs);
            let noise = self.noise[index].as_ref();
            let v =
                noise.map(|noise| signs(Space::DiagonalCurvature(index), &noise.positive.size()));
            for (sign, stream) in [(1.0, &mut positive), (-1.0, &mut negative)] {
                let column = stream.take(index);
                if let Some(column) = &column
                    && self.samples(index)
                {
                    self.add_traces(&traces, index, column, sign);
                }
                let own = noise
                    .zip(v.as_ref())
                    .and_then(|(noise, v)| noise.root(sign, v));
                if let Some(column) = sum_present(column, own) {
                    stream.propagate(index, &column, None);
                }
            }
        }
        traces
    }

    /// Adds the curvature that is no diagonal and stands at the output of layer `index`, as noise
    /// that the layer itself sees as well.
    fn add_roots(
        &self,
        index: usize,
        [positive, negative]: [&mut Adjoints<'_>; 2],
        signs: &impl Fn(Space, &[i64]) -> Tensor,
    ) {
        for own in self
            .at
            .non_diagonal_curvatures()
            .filter(|own| own.below == index)
        {
            let sign = own.matrix.signs();
            let v = signs(Space::NonDiagonalCurvature(own.layer), &sign.size());
            positive.add(index, own.matrix.root(&(&v * sign.clamp_min(0.0))));
            negative.add(index, own.matrix.root(&(v * sign.clamp_max(0.0))));
        }
    }

    /// Adds `± Σ_n ‖J_nᵀ c_n‖²` to the rows of a layer's parameters.
    fn add_traces(&self, traces: &Tensor, index: usize, column: &Tensor, sign: f64) {
        let layer = &self.at.layers()[index];
        for (i, parameter) in layer.indices.clone().enumerate() {
            let mut row = traces.get(parameter as i64);
            row += layer.parameters().trace_of_columns(i, column) * sign;
        }
    }
}

impl Noise {
    fn of(r: &Tensor) -> Self {
        // MKL takes ten times as long for the root of a zero.
        let root = r.abs().clamp_min(f64::from(f32::MIN_POSITIVE)).sqrt();
        let negative = r.lt(0.0);
        let any = bool::try_from(negative.any()).expect("a truth value");
        Self {
            negative: any.then(|| &root * &negative),
            positive: root * r.gt(0.0),
        }
    }

    /// The positive or the negative part's columns from signs v.
    fn root(&self, sign: f64, v: &Tensor) -> Option<Tensor> {
        match sign > 0.0 {
            true => Some(&self.positive * v),
            false => self.negative.as_ref().map(|root| root * v),
        }
    }
}
