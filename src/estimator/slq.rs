//! Stochastic Lanczos quadrature: the spectral density of a matrix.

use super::artefact::{Artefact, Node};
use super::estimator_spec::Shares;
use super::estimator_spec::estimator_spec;
use super::krylov::Krylov;
use super::options::positive;
use super::rows::{draw, join, size, spend, times};
use super::stream::PhiloxStream;
use super::{
    Budget, Estimate, EstimatorConfig, Expanded, Moments, Probe, Quantity, Sampling, Setting,
    Start, StreamKind, Task,
};
use crate::curvature::{Operator, OperatorSpec};
use crate::error::UserError;
use crate::problem::Network;
use crate::problem::{Problem, ProblemSpec};
use std::sync::Arc;
use std::time::Instant;
use tch::Tensor;

estimator_spec! {
    /// `kind = "slq"`: the density of eigenvalues `φ = (1/n) Σ_i δ(λ_i)` by stochastic Lanczos quadrature.
    ///
    /// For a probe v with `E[v vᵀ] = I`, `vᵀ f(A) v / n` is `∫ f dφ` on average, and `steps` Lanczos steps
    /// from v give a rule with nodes θ_j (the Ritz values) and weights `(e₁ᵀ s_j)² ‖v‖² / n` that is exact
    /// for polynomials of degree below `2 steps` (Golub, Meurant, Matrices, Moments and Quadrature,
    /// Princeton 2010; Ubaru, Chen, Saad, SIMAX 38:4, 2017, doi:10.1137/16M1104974). The mean of the rules
    /// of V probes is the estimate; its Wasserstein error is at most t times the width of the spectrum
    /// with about 12/t steps (Chen, Trogdon, Ubaru, ICML 2021, arXiv:2105.06595). In deep learning:
    /// Ghorbani, Krishnan, Xiao, ICML 2019, arXiv:1901.10159.
    ///
    /// `density.csv` has the raw nodes and weights. The record is the first moment times n: the trace,
    /// Hutchinson's estimate from the same probes.
    ///
    /// Cost: `V steps` products, V_batch of them at once. Memory: `V_batch steps` vectors. Valid for
    /// every symmetric matrix, indefinite ones too.
    pub struct Slq shares [operator, sampling, probe] {
        /// Lanczos steps from every probe.
        #[serde(default = "eighty")]
        pub steps: i64,
    }
}

pub(super) fn eighty() -> i64 {
    80
}

impl EstimatorConfig for Slq {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        let task = SlqTask(Quadrature {
            operator_spec: options.operator_with_products(problem, shared)?,
            probe: options.probe(shared),
            steps: positive("steps", self.steps)?,
        });
        Ok(Expanded {
            task: Arc::new(task),
            batches: options.batches(shared)?,
            budget: options.budget(shared, 10)?,
            seeds: options.philox_seeds(shared)?,
        })
    }
}

#[derive(Clone, Debug)]
struct SlqTask(Quadrature);

impl Task for SlqTask {
    fn check(&self, network: Option<&Network>, _size: i64) -> Result<(), UserError> {
        self.0.operator_spec.check(network)
    }

    fn setting(&self) -> Setting {
        self.0.setting("slq")
    }

    fn kept(&self, _v: u64, v_batch: u64) -> u64 {
        v_batch.saturating_mul(self.0.steps)
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        let trace = |rules: &[Rule]| vec![(Quantity::Trace, mean(rules, |node| node))];
        let (mut estimates, rules) = self.0.run(problem, start, budget, v_batch, trace);
        let size = size(&problem.shapes());
        if let Some(last) = estimates.last_mut() {
            last.artefacts
                .push(Artefact::Density(density(&rules, size)));
        }
        estimates
    }
}

/// The mean of `vᵀ f(A) v` over the rules of independent probes.
pub(super) fn mean(rules: &[Rule], f: impl Fn(f64) -> f64 + Copy) -> Moments {
    Moments::of(rules.iter().map(|rule| rule.integral(f)))
}

fn density(rules: &[Rule], size: i64) -> Vec<Node> {
    let each = (0..).zip(rules).flat_map(|(sample, rule)| {
        rule.nodes.iter().map(move |&(node, weight)| Node {
            sample,
            node,
            weight: weight / size as f64,
        })
    });
    each.collect()
}

/// The Gauss rule of one probe v: `vᵀ f(A) v ≈ Σ_j w_j f(θ_j)`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// θ_j and `w_j = ‖v‖² (e₁ᵀ s_j)²`, by rising θ.
    nodes: Vec<(f64, f64)>,
}

impl Rule {
    pub(super) fn integral(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.nodes
            .iter()
            .map(|&(node, weight)| weight * f(node))
            .sum()
    }
}

/// What quadratures of one matrix have in common.
#[derive(Clone, Debug)]
pub(super) struct Quadrature {
    pub(super) operator_spec: OperatorSpec,
    pub(super) probe: Probe,
    pub(super) steps: u64,
}

impl Quadrature {
    pub(super) fn setting(&self, estimator: &str) -> Setting {
        let setting = Setting::over(&self.operator_spec, estimator);
        let settings = format!("steps = {}", self.steps);
        setting
            .drawing(self.probe, StreamKind::Philox)
            .with(|columns| columns.settings = Some(settings))
    }

    /// What `read` makes of the rules of the first `count` probes for each of the counts of `budget`, and all
    /// rules.
    pub(super) fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
        read: impl Fn(&[Rule]) -> Vec<(Quantity, Moments)>,
    ) -> (Vec<Estimate>, Vec<Rule>) {
        let clock = Instant::now();
        let stream = start.philox(problem);
        let products = budget.least().saturating_mul(self.steps);
        self.operator_spec.open(problem, products, |operator| {
            let mut rules: Vec<Rule> = Vec::new();
            let draw = |rules: &mut Vec<Rule>, first, count| {
                rules.extend(self.rules(operator, &stream, first, count));
            };
            let estimates = |rules: &Vec<Rule>, count| {
                let (products, seconds) = (operator.products(), clock.elapsed().as_secs_f64());
                let estimate = |(quantity, value)| Estimate {
                    v: Some(count),
                    ..Estimate::new(quantity, value, products, seconds)
                };
                read(rules).into_iter().map(estimate).collect()
            };
            let estimates = spend(budget, v_batch, &mut rules, draw, estimates);
            (estimates, rules)
        })
    }

    /// The rules of probes `first..first + count`, which advance together.
    fn rules(
        &self,
        operator: &Operator<'_>,
        stream: &PhiloxStream,
        first: u64,
        count: u64,
    ) -> Vec<Rule> {
        let start = join(&draw(stream, operator, self.probe, first, count)).unsqueeze(1);
        let multiply = |rows: &Tensor| times(operator, rows);
        let mut krylov = Krylov::new(&multiply, &start, self.steps);
        while krylov.step() {}
        let rule = |chain: i64| {
            let space = krylov.chain(chain);
            let (values, vectors) = space.matrix.linalg_eigh("L");
            let square = space.factor.square().double_value(&[0, 0]);
            let weights = vectors.get(0).square() * square;
            let list = |t: Tensor| Vec::<f64>::try_from(t).expect("a vector of float64");
            Rule {
                nodes: list(values).into_iter().zip(list(weights)).collect(),
            }
        };
        (0..count as i64).map(rule).collect()
    }
}
