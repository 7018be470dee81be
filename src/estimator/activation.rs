//! Probes in activation space: one independent vector per sample at a layer's output.

use super::cores::Cores;
use super::estimator_spec::{Shares, estimator_spec};
use super::samples::{estimates, sample};
use super::stream::{PhiloxStream, Space};
use super::{
    BatchSum, Budget, Estimate, EstimatorConfig, Expanded, Probe, Sampled, Sampling, Setting,
    Start, StreamKind, Task, Term, batch_sum, one_pass, written,
};
use crate::curvature::Blocks;
use crate::error::UserError;
use crate::problem::{
    Curvature, Linearization, LinearizedLayer, Network, NetworkProblem, Problem, ProblemSpec,
    sum_present,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tch::{Kind, Tensor};

estimator_spec! {
    /// `kind = "activation"`: V probes `u_n` per sample at the output of every layer with parameters.
    ///
    /// A block's trace is `Σ_n tr(J_nᵀ H_n J_n)`, with `H_n` the Hessian of sample n at the layer's
    /// output, and for a layer without weight sharing `γ_n tr H_n` per sample, `γ_n = ‖x_n‖²` for a
    /// linear layer's weight. So `Σ_n γ_n u_nᵀ H_n u_n` with a probe for every sample is unbiased, and
    /// the samples' errors average out instead of interfering: for `H_n ⪰ 0` the variance falls about
    /// N-fold against probes in parameter space. Where positions share a weight (convolutions), the
    /// probe is a random weight of its own for every sample, `u_n = (∂z_n/∂w) R_n`.
    ///
    /// Cost: one tangent pass from each layer up per probe (`passes = "separate"`), or one pass for
    /// all (`"joint"`: every layer's probes at once, more variance, only the total). Valid for any
    /// sign of curvature where no layer couples samples and no layers share a parameter.
    #[derive(Default)]
    pub struct Activation shares [matrix, sampling] {
        /// Whether layers are probed one by one or together.
        #[serde(default)]
        pub passes: PassKind,
        /// Distribution of the probes.
        #[serde(default)]
        pub probe: ActivationProbe,
    }
}

/// Whether layers are probed one by one or together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PassKind {
    /// A pass per layer: every parameter's trace.
    #[default]
    Separate,
    /// One pass for all layers: the total alone.
    Joint,
}

/// Distribution of probes in activation space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationProbe {
    /// Independent signs.
    #[default]
    Rademacher,
    /// Rows of a Hadamard matrix with random signs: `2^q` probes, the power of two that reaches
    /// the layer's width, give `tr H_n` exactly; errors of fewer are dependent, so that no
    /// standard error is stated.
    Hadamard,
}

impl EstimatorConfig for Activation {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        let task = ActivationTask {
            curvature: options.curvature(problem, shared)?,
            passes: self.passes,
            probe: self.probe,
        };
        one_pass::expand(shared, problem, &options, task)
    }
}

#[derive(Clone, Debug)]
struct ActivationTask {
    curvature: Curvature,
    passes: PassKind,
    probe: ActivationProbe,
}

/// What tells rows of activation probes from others.
pub(super) fn setting(curvature: Curvature, passes: PassKind, probe: ActivationProbe) -> Setting {
    let setting = Setting::about(curvature, "activation").drawing(probe, StreamKind::Philox);
    setting.with(|columns| {
        columns.blocks = Some(Blocks::Parameter.to_string());
        columns.product = Some(written(passes));
    })
}

impl Task for ActivationTask {
    fn check(&self, network: Option<&Network>, _size: i64) -> Result<(), UserError> {
        one_pass::check(network)
    }

    fn setting(&self) -> Setting {
        setting(self.curvature, self.passes, self.probe)
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
        let draw = draws(
            problem.network(),
            start.philox(problem),
            self.curvature,
            self.passes,
            self.probe,
        );
        self.stated(sample(clock, budget, cores, draw))
    }
}

impl ActivationTask {
    /// The estimates with the standard errors that the probes have.
    fn stated(&self, mut estimates: Vec<Estimate>) -> Vec<Estimate> {
        if self.probe == ActivationProbe::Hadamard {
            estimates.iter_mut().for_each(Estimate::forget_errors);
        }
        estimates
    }
}

impl BatchSum for ActivationTask {
    fn terms(&self, problem: &NetworkProblem, batches: &[usize], work: &Sampled<'_>) -> Vec<Term> {
        one_pass::terms(problem, batches, work, |stream, batch| {
            let probes = Probes::of(batch, stream, self.curvature, self.probe);
            move |first, count| probes.draw(self.passes, first, count)
        })
    }

    fn estimates(&self, sum: &Term, counts: &[u64]) -> Vec<Estimate> {
        self.stated(estimates(sum, counts))
    }
}

/// Samples `first..first + count` of all batches together: `[parameters, count]`, or `[1, count]`.
pub(super) fn draws(
    problem: &NetworkProblem,
    stream: PhiloxStream,
    curvature: Curvature,
    passes: PassKind,
    kind: ActivationProbe,
) -> impl Fn(u64, u64) -> Tensor + Sync {
    one_pass::over_batches(problem, stream, move |stream, batch: &NetworkProblem| {
        let probes = Probes::of(batch, stream, curvature, kind);
        move |first, count| probes.draw(passes, first, count)
    })
}

/// Probes of one linearisation.
struct Probes {
    at: Linearization,
    stream: PhiloxStream,
    kind: ActivationProbe,
}

impl Probes {
    fn of(
        batch: &NetworkProblem,
        stream: PhiloxStream,
        curvature: Curvature,
        kind: ActivationProbe,
    ) -> Self {
        Self {
            at: batch.linearize_for(curvature),
            stream,
            kind,
        }
    }

    /// Samples `first..first + count`: `[parameters, count]`, or `[1, count]`.
    fn draw(&self, passes: PassKind, first: u64, count: u64) -> Tensor {
        match passes {
            PassKind::Separate => self.separate(first, count),
            PassKind::Joint => self.joint(first, count).unsqueeze(0),
        }
    }

    /// Probes `first..first + count`, layer by layer: `[parameters, count]` in float64.
    fn separate(&self, first: u64, count: u64) -> Tensor {
        let mut rows = Vec::with_capacity(self.at.parameter_count());
        for (l, layer) in self.at.layers().iter().enumerate() {
            let mut shared: Option<Tensor> = None;
            for i in 0..layer.indices.len() {
                let row = match layer.parameters().trace_factor(i) {
                    Some(trace_factor) => {
                        let curvature = shared.get_or_insert_with(|| {
                            self.curvature(l, &self.at_output(l, layer, first, count))
                        });
                        &*curvature * trace_factor
                    }
                    None => self.curvature(l, &self.own_weights(layer, i, first, count)),
                };
                rows.push(row.sum_dim_intlist(1, false, None::<Kind>));
            }
        }
        Tensor::stack(&rows, 0)
    }

    /// All layers in one pass: `[count]` in float64.
    fn joint(&self, first: u64, count: u64) -> Tensor {
        let tangents = self.at.propagate_tangents(0, |l, layer| {
            let mut factors: Option<Tensor> = None;
            let mut injected: Option<Tensor> = None;
            for i in 0..layer.indices.len() {
                match layer.parameters().trace_factor(i) {
                    Some(trace_factor) => factors = sum_present(factors, Some(trace_factor)),
                    None => {
                        let own = self.own_weights(layer, i, first, count);
                        injected = sum_present(injected, Some(own));
                    }
                }
            }
            if let Some(factors) = factors {
                let u = self.at_output(l, layer, first, count);
                let each = [&[-1], vec![1; u.dim() - 2].as_slice()].concat();
                injected = sum_present(injected, Some(u * factors.sqrt().reshape(each)));
            }
            injected
        });
        let curvature = self.at.curvature_along(&tangents);
        curvature.sum_dim_intlist(1, false, None::<Kind>)
    }

    /// `uᵀ H_n u` for tangents u at the output of layer l: `[K, N]`.
    fn curvature(&self, l: usize, u: &Tensor) -> Tensor {
        let tangents = self
            .at
            .propagate_tangents(l, |at, _| (at == l).then(|| u.shallow_clone()));
        self.at.curvature_along(&tangents)
    }

    /// Probes at the output of layer l: `[K, N, *out]`.
    fn at_output(&self, l: usize, layer: &LinearizedLayer, first: u64, count: u64) -> Tensor {
        let shape = layer.output.clone();
        let signs = |first, count| {
            self.stream.draw(
                Probe::Rademacher,
                Space::Activation(l),
                first,
                count,
                &shape,
            )
        };
        match self.kind {
            ActivationProbe::Rademacher => signs(first, count),
            ActivationProbe::Hadamard => {
                let width: i64 = shape[1..].iter().product();
                let order = (width as u64).next_power_of_two();
                let base = first / order;
                let signs = signs(base, (first + count - 1) / order - base + 1);
                let numbers = Tensor::arange_start(
                    first as i64,
                    (first + count) as i64,
                    (Kind::Int64, signs.device()),
                );
                let of = numbers.floor_divide_scalar(order as i64) - base as i64;
                let rows = hadamard_rows(&numbers.remainder(order as i64), width);
                let rows = rows.to_kind(signs.kind());
                let rows = rows.reshape([&[count as i64, 1], &shape[1..]].concat());
                signs.index_select(0, &of) * rows
            }
        }
    }

    /// Random weights of its own for every sample, as they move the layer's output: `[K, N, *out]`.
    fn own_weights(&self, layer: &LinearizedLayer, i: usize, first: u64, count: u64) -> Tensor {
        let samples = layer.output[0];
        let shape = layer.parameters().shape(i);
        let space = Space::SampleParameter(layer.indices[i]);
        let shape = [&[samples], shape.as_slice()].concat();
        let weights = self
            .stream
            .draw(Probe::Rademacher, space, first, count, &shape);
        layer.parameters().sample_tangent(i, &weights)
    }
}

/// Rows k of the Hadamard matrix in Sylvester's order, their first `width` entries, for every k of a
/// list of integers: `(−1)^popcount(k ∧ j)`.
fn hadamard_rows(k: &Tensor, width: i64) -> Tensor {
    let columns = Tensor::arange(width, (Kind::Int64, k.device()));
    let mut parity = k.unsqueeze(1).bitwise_and_tensor(&columns);
    // Folds the bits of a number onto the lowest one.
    for shift in [32, 16, 8, 4, 2, 1] {
        parity = parity.bitwise_xor_tensor(&parity.bitwise_right_shift_tensor_scalar(shift));
    }
    parity.bitwise_and(1) * -2 + 1
}
