//! Why a probe wins: its variance from the matrix itself, beside that of samples.

use super::activation::{self, draws};
use super::activation_variance::activation_variance;
use super::artefact::{Artefact, ProbeVariance};
use super::block_sums::BlockSums;
use super::estimator_spec::{Shares, estimator_spec};
use super::rows::{chunks, draw};
use super::stream::PhiloxStream;
use super::{
    ActivationProbe, Budget, Estimate, EstimatorConfig, Expanded, Moments, PassKind, Probe,
    Sampling, Setting, Start, StreamKind, Task, one_pass, written,
};
use crate::curvature::{Blocks, OperatorSpec, ProductKind};
use crate::error::UserError;
use crate::problem::{Curvature, Network};
use crate::problem::{NetworkProblem, Problem, ProblemSpec};
use std::sync::Arc;
use std::time::Instant;
use tch::{Kind, Tensor};

estimator_spec! {
    /// `kind = "variance"`: the variance of one probe of every distribution, predicted and sampled.
    ///
    /// All n columns of A are multiplied out, a few at a time, and leave `‖A_lk‖²_F` of every pair of
    /// parameters, `Σ a_ii²` and the traces of the blocks: what the closed forms of
    /// `BlockSums::variance` need. Beside them stands the sample variance of V forms `vᵀ A v`, with its
    /// standard error, which needs no assumption on their distribution. For a network both are given for
    /// the full matrix and for its block diagonal, and for activation probes, from the Hessian of every
    /// sample at the outputs of layers.
    ///
    /// The records of this kind are the exact trace, `‖A‖²_F` and `Σ a_ii²`. Cost: n products and 6 V
    /// forms; valid for every symmetric matrix; refused for n above 100,000.
    #[derive(Default)]
    pub struct Variance shares [matrix, sampling] {
    }
}

impl Variance {
    /// The largest matrix whose columns are multiplied out.
    const LARGEST: i64 = 100_000;
}

impl EstimatorConfig for Variance {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        Ok(Expanded {
            task: Arc::new(VarianceTask {
                curvature: options.curvature(problem, shared)?,
            }),
            batches: options.batches(shared)?,
            budget: options.fixed_budget(shared, 1000)?,
            seeds: options.philox_seeds(shared)?,
        })
    }
}

#[derive(Clone, Debug)]
struct VarianceTask {
    curvature: Curvature,
}

impl Task for VarianceTask {
    fn check(&self, network: Option<&Network>, size: i64) -> Result<(), UserError> {
        one_pass::check(network)?;
        let largest = Variance::LARGEST;
        match size <= largest {
            true => Ok(()),
            false => Err(UserError::new(
                "",
                format!(
                    "the matrix has {size} columns, expected at most {largest}, since every one \
                     is multiplied out"
                ),
                "take a smaller network, or kind = \"frobenius\", which estimates the same sums",
            )),
        }
    }

    fn setting(&self) -> Setting {
        Setting::about(self.curvature, "variance")
            .with(|columns| columns.stream = Some(written(StreamKind::Philox)))
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        let counts = budget.counts();
        let clock = Instant::now();
        let stream = start.philox(problem);
        let (sums, products) = columns_of(problem, self.curvature).open(problem, 0, |operator| {
            (BlockSums::of(operator, v_batch), operator.products())
        });
        let exact = sums.estimates(products, clock.elapsed().as_secs_f64());
        let most = counts.last().copied().unwrap_or(0);
        let mut samples =
            parameter_probes(problem, self.curvature, &stream, &sums, (most, v_batch));
        samples.extend(activation_probes(
            problem,
            self.curvature,
            stream,
            most,
            v_batch,
        ));
        let at = |&count: &u64| {
            let variance = |sampled: &Sampled| sampled.variance(count, sums.trace());
            Artefact::Variance(count, samples.iter().map(variance).collect())
        };
        let mut estimates = exact;
        if let Some(first) = estimates.first_mut() {
            first.artefacts.extend(counts.iter().map(at));
        }
        estimates
    }
}

/// How all columns are multiplied out.
fn columns_of(problem: &Problem, curvature: Curvature) -> OperatorSpec {
    match problem {
        Problem::Matrix(_) => OperatorSpec::Matrix,
        Problem::Network(_) => OperatorSpec::Network {
            curvature,
            blocks: Blocks::Full,
            product: ProductKind::Hmp,
        },
    }
}

/// Values of one estimator from one probe each, and what their variance should be.
struct Sampled {
    of: Setting,
    predicted: Option<f64>,
    values: Vec<f64>,
}

impl Sampled {
    fn variance(&self, count: u64, trace: f64) -> ProbeVariance {
        ProbeVariance {
            of: self.of.clone(),
            predicted: self.predicted,
            empirical: Moments::of_variance(&self.values[..count as usize]),
            probes_to_1_percent: self.predicted.map(|v| v / (0.01 * trace).powi(2)),
        }
    }
}

/// Every distribution in parameter space, over the whole matrix and a network's block diagonal.
fn parameter_probes(
    problem: &Problem,
    curvature: Curvature,
    stream: &PhiloxStream,
    sums: &BlockSums,
    (most, v_batch): (u64, u64),
) -> Vec<Sampled> {
    let forms = match problem {
        Problem::Matrix(_) => vec![(OperatorSpec::Matrix, Blocks::Full)],
        Problem::Network(_) => [Blocks::Full, Blocks::Parameter]
            .map(|blocks| {
                let product = ProductKind::Forward;
                let operator_spec = OperatorSpec::Network {
                    curvature,
                    blocks: blocks.clone(),
                    product,
                };
                (operator_spec, blocks)
            })
            .into(),
    };
    let mut all = Vec::new();
    for (operator_spec, blocks) in forms {
        operator_spec.open(problem, most, |operator| {
            for probe in [Probe::Rademacher, Probe::Gaussian, Probe::Sphere] {
                let values = sampled(most, v_batch, |first, count| {
                    operator.quadratic(&draw(stream, operator, probe, first, count))
                });
                all.push(Sampled {
                    of: Setting::over(&operator_spec, "hutchinson")
                        .drawing(probe, StreamKind::Philox),
                    predicted: Some(sums.variance(probe, &blocks)),
                    values,
                });
            }
        });
    }
    all
}

/// Signs at the outputs of a network's layers, layer by layer.
fn activation_probes(
    problem: &Problem,
    curvature: Curvature,
    stream: PhiloxStream,
    most: u64,
    v_batch: u64,
) -> Option<Sampled> {
    let Problem::Network(problem) = problem else {
        return None;
    };
    let (passes, kind) = (PassKind::Separate, ActivationProbe::Rademacher);
    let of_batch =
        |batch: NetworkProblem| activation_variance(&batch.linearize_for(curvature), v_batch);
    let predicted = problem.each_batch().map(of_batch).sum();
    let values = sampled(
        most,
        v_batch,
        draws(problem, stream, curvature, passes, kind),
    );
    Some(Sampled {
        of: activation::setting(curvature, passes, kind),
        predicted,
        values,
    })
}

/// The sum over rows of `draw(first, count): [rows, count]`, probe by probe.
fn sampled(most: u64, v_batch: u64, mut draw: impl FnMut(u64, u64) -> Tensor) -> Vec<f64> {
    let mut values = Vec::new();
    for (first, count) in chunks(0..most, v_batch) {
        let total = draw(first, count).sum_dim_intlist(0, false, Kind::Double);
        values.extend(Vec::<f64>::try_from(total).expect("a vector of float64"));
    }
    values
}
