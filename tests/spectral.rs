//! Eigenpairs, density, log det, Frobenius norm and variances against dense float64 matrices.
//!
//! Statistical tests allow 4 standard errors, which an unbiased mean leaves with probability 6e-5;
//! about 100 such comparisons run here, with fixed seeds.

use crate::files;
use crate::support;
use curvature_runner::curvature::Blocks;
use curvature_runner::estimator::stream::Space;
use curvature_runner::estimator::{
    Artefact, Budget, Eigenvalue, Estimate, EstimatorConfig, Frobenius, Lanczos, LogDet, Node,
    PhiloxStream, Probe, ProbeVariance, Quantity, Slq, Start, Stop, Task, Tolerance, Variance,
};
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::matrix::{
    Basis, Exp, Flat, Matrix, MatrixSpec, Poly, SpectrumSpec, Step,
};
use curvature_runner::problem::{NetworkProblem, Problem, ProblemSpec};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use support::*;
use tch::{Device, Kind, Tensor};

/// A problem with its dense matrix.
struct Case {
    name: String,
    problem: Problem,
    spec: ProblemSpec,
    /// `blocks = ...` for a network, nothing for a matrix.
    access: &'static str,
    dense: Tensor,
}

impl Case {
    fn network(name: &str, problem: &NetworkProblem, blocks: Blocks) -> Self {
        let hessian = dense_hessian(problem);
        let (access, dense) = match blocks {
            Blocks::Full => ("blocks = \"full\"", hessian),
            _ => (
                "blocks = \"parameter\"",
                block_diagonal(problem, &hessian, &Blocks::Parameter),
            ),
        };
        Self {
            name: format!("{name}, {blocks:?}"),
            problem: problem.clone().into(),
            spec: ProblemSpec::default(),
            access,
            dense,
        }
    }

    fn matrix(spectrum: SpectrumSpec, n: i64, basis: Basis) -> Self {
        one_thread();
        let spec = MatrixSpec {
            n,
            basis,
            seed: 5,
            spectra: vec![spectrum],
        };
        let (mut matrices, _) = spec.build(Device::Cpu, Kind::Double);
        let matrix = matrices.remove(0);
        Self {
            name: matrix.name.clone(),
            dense: dense(&matrix),
            problem: matrix.into(),
            spec: ProblemSpec::Matrix(spec),
            access: "",
        }
    }

    /// All eigenvalues, rising.
    fn eigenvalues(&self) -> Vec<f64> {
        list(&self.dense.linalg_eigvalsh("L"))
    }

    fn task<C: EstimatorConfig + DeserializeOwned>(&self, settings: &str) -> Arc<dyn Task> {
        let text = format!("{}\n{settings}", self.access);
        let config: C = toml::from_str(&text).unwrap();
        config.expand(&sampling(1, 1), &self.spec).unwrap().task
    }

    fn run<C: EstimatorConfig + DeserializeOwned>(
        &self,
        settings: &str,
        seed: u64,
        counts: &[u64],
        v_batch: u64,
    ) -> Vec<Estimate> {
        let task = self.task::<C>(settings);
        task.run(
            &self.problem,
            &Start::Philox(seed),
            &Budget::Counts(counts.to_vec()),
            v_batch,
        )
    }
}

fn dense(matrix: &Matrix) -> Tensor {
    match matrix.entries.dim() {
        1 => matrix.entries.diag(0),
        _ => matrix.entries.shallow_clone(),
    }
}

fn list(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

fn sum_of_squares(t: &Tensor) -> f64 {
    t.square().sum(Kind::Double).double_value(&[])
}

/// Networks with curvature of both signs; the linear one has every eigenvalue three times.
fn networks() -> Vec<(&'static str, NetworkProblem)> {
    let tanh_net = [
        linear(5, true),
        tanh(),
        linear(4, false),
        tanh(),
        linear(3, true),
    ];
    let relu_net = [linear(4, true), relu(), linear(3, true)];
    vec![
        (
            "tanh",
            problem(&tanh_net, &[3], 6, cross_entropy(Reduction::Mean), 3),
        ),
        (
            "relu",
            problem(&relu_net, &[3], 5, cross_entropy(Reduction::Sum), 4),
        ),
        (
            "linear",
            problem(&[linear(3, true)], &[4], 9, mse(Reduction::Mean), 5),
        ),
    ]
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, problem) in networks() {
        for blocks in [Blocks::Full, Blocks::Parameter] {
            cases.push(Case::network(name, &problem, blocks));
        }
    }
    cases.push(Case::matrix(SpectrumSpec::Flat(Flat {}), 60, Basis::Haar));
    cases.push(Case::matrix(
        SpectrumSpec::Exp(Exp { base: -0.9 }),
        80,
        Basis::Haar,
    ));
    cases.push(Case::matrix(
        SpectrumSpec::Poly(Poly {}),
        70,
        Basis::Diagonal,
    ));
    cases
}

/// The first eigenvalues of an estimate, with their vectors as rows `[k, n]`.
fn pairs(estimate: &Estimate) -> (&[Eigenvalue], Option<Tensor>) {
    let eigenvalues = estimate
        .artefacts
        .iter()
        .find_map(|artefact| match artefact {
            Artefact::Eigenvalues(eigenvalues) => Some(&eigenvalues[..]),
            _ => None,
        });
    let vectors = estimate
        .artefacts
        .iter()
        .find_map(|artefact| match artefact {
            Artefact::Eigenvectors(parameters) => {
                let part = |p: &curvature_runner::estimator::ParameterVectors| {
                    Tensor::from_slice(&p.values).reshape([p.shape[0] as i64, -1])
                };
                Some(Tensor::cat(
                    &parameters.iter().map(part).collect::<Vec<_>>(),
                    1,
                ))
            }
            _ => None,
        });
    (eigenvalues.unwrap(), vectors)
}

fn density(estimate: &Estimate) -> &[Node] {
    let found = estimate
        .artefacts
        .iter()
        .find_map(|artefact| match artefact {
            Artefact::Density(nodes) => Some(&nodes[..]),
            _ => None,
        });
    found.unwrap()
}

fn assert_close(case: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{case}: found {found}, expected {expected}"
    );
}

#[test]
fn eigenpairs_are_those_of_the_dense_matrix() {
    for case in cases() {
        let rising = case.eigenvalues();
        let norm = rising.iter().fold(0.0f64, |norm, x| norm.max(x.abs()));
        for (which, compare) in [
            (
                "magnitude",
                (|a, b| f64::abs(*b).total_cmp(&f64::abs(*a))) as fn(&f64, &f64) -> _,
            ),
            ("largest", |a, b| b.total_cmp(a)),
            ("smallest", |a, b| a.total_cmp(b)),
        ] {
            let mut expected = rising.clone();
            expected.sort_by(compare);
            for block_size in [2, 5] {
                let name = format!("{}, {which}, block_size {block_size}", case.name);
                // Of more copies than the block is wide some are left out.
                let copies = |value: &f64| {
                    let same = |other: &&f64| (*other - value).abs() < 1e-9 * norm;
                    rising.iter().filter(same).count()
                };
                if block_size < 5 && expected[..5].iter().any(|value| copies(value) > block_size) {
                    continue;
                }
                let settings = format!(
                    "k = 5\nwhich = \"{which}\"\nblock_size = {block_size}\nrtol = 1e-9\nvectors = true"
                );
                let estimate = case.run::<Lanczos>(&settings, 1, &[], 1).remove(0);
                let (found, vectors) = pairs(&estimate);
                assert_eq!(found.len(), 5, "{name}");
                assert_eq!(estimate.value.mean, found[0].value);
                for (pair, expected) in found.iter().zip(&expected) {
                    let error = (pair.value - expected).abs();
                    assert!(error < 1e-8 * norm, "{name}: {} for {expected}", pair.value);
                    assert!(
                        pair.converged && pair.residual_norm < 1e-8 * norm,
                        "{name}: {pair:?}"
                    );
                    assert!(
                        (pair.residual_norm - pair.bound).abs() < 1e-10 * norm,
                        "{name}: {pair:?}"
                    );
                }
                let x = vectors.unwrap();
                let values: Vec<f64> = found.iter().map(|pair| pair.value).collect();
                let off = x.matmul(&case.dense) - Tensor::from_slice(&values).unsqueeze(1) * &x;
                assert!(off.abs().max().double_value(&[]) < 1e-8 * norm, "{name}");
                let unit = Tensor::eye(5, (Kind::Double, Device::Cpu));
                assert!(relative_error(&x.matmul(&x.tr()), &unit) < 1e-10, "{name}");
            }
        }
    }
}

/// 50 equal eigenvalues are found 50 times by a block that is wide enough, and no more.
#[test]
fn multiple_eigenvalues_are_all_found() {
    let step = SpectrumSpec::Step(Step { small: 1e-3 });
    let case = Case::matrix(step, 120, Basis::Haar);
    let estimate = case.run::<Lanczos>("k = 53", 0, &[], 1).remove(0);
    let (found, _) = pairs(&estimate);
    let ones = found
        .iter()
        .filter(|pair| (pair.value - 1.0).abs() < 1e-10)
        .count();
    let small = found
        .iter()
        .filter(|pair| (pair.value - 1e-3).abs() < 1e-10)
        .count();
    assert_eq!((ones, small), (50, 3), "{found:?}");
}

/// A matrix of fewer columns than the block wants gives all of its eigenvalues, each once.
#[test]
fn a_space_can_be_the_whole() {
    let problem = problem(&[linear(2, false)], &[2], 5, mse(Reduction::Sum), 5);
    let case = Case::network("four parameters", &problem, Blocks::Full);
    let estimate = case
        .run::<Lanczos>("k = 4\nblock_size = 3\nrtol = 1e-12", 0, &[], 1)
        .remove(0);
    let (found, _) = pairs(&estimate);
    let mut values: Vec<f64> = found.iter().map(|pair| pair.value).collect();
    values.reverse();
    let error = relative_error(
        &Tensor::from_slice(&values),
        &Tensor::from_slice(&case.eigenvalues()),
    );
    assert!(
        error < 1e-12,
        "{values:?}, expected {:?}",
        case.eigenvalues()
    );
}

#[test]
fn float32_is_as_good_as_its_products() {
    let problem = example_network(Kind::Float);
    let top = |problem: &NetworkProblem| {
        let problem = problem.clone().into();
        let task = Case::network("", &networks()[1].1, Blocks::Full).task::<Lanczos>("k = 3");
        let estimate = task
            .run(&problem, &Start::Philox(0), &Budget::Counts(vec![]), 1)
            .remove(0);
        let (found, _) = pairs(&estimate);
        assert!(found.iter().all(|pair| pair.converged), "{found:?}");
        found.iter().map(|pair| pair.value).collect::<Vec<_>>()
    };
    let single = top(&problem);
    let double = top(&example_network(Kind::Double));
    for (a, b) in single.iter().zip(&double) {
        assert!((a - b).abs() < 1e-4 * b.abs(), "{single:?}, {double:?}");
    }
}

/// A rule of m nodes has the first 2m moments of its probe's measure.
#[test]
fn rules_have_the_moments_of_their_probes() {
    const STEPS: i32 = 4;
    for case in cases() {
        let n = case.dense.size()[0];
        let settings = format!("steps = {STEPS}\nprobe = \"gaussian\"");
        let estimate = case.run::<Slq>(&settings, 7, &[3], 2).remove(0);
        let nodes = density(&estimate);
        let stream = PhiloxStream::new(7, Kind::Double, Device::Cpu);
        let draw = |(index, shape): (usize, &Vec<i64>)| {
            stream.draw(Probe::Gaussian, Space::Parameter(index), 0, 3, shape)
        };
        let shapes = case.problem.shapes();
        let probes: Vec<Tensor> = shapes.iter().enumerate().map(draw).collect();
        let probes = flat(&probes, 1);
        let norm = sum_of_squares(&case.dense).sqrt();
        let scaled = &case.dense / norm;
        let mut power = probes.shallow_clone();
        for degree in 0..2 * STEPS {
            let moments = list(&(&power * &probes).sum_dim_intlist(1, false, Kind::Double));
            for (k, expected) in (0..).zip(moments) {
                let own = nodes.iter().filter(|node| node.sample == k);
                let found: f64 = own
                    .map(|node| node.weight * (node.node / norm).powi(degree) * n as f64)
                    .sum();
                let name = format!("{}, probe {k}, degree {degree}", case.name);
                assert!(
                    (found - expected).abs() < 1e-9 * n as f64,
                    "{name}: {found}, {expected}"
                );
            }
            power = power.matmul(&scaled);
        }
    }
}

/// With as many steps as the matrix has columns only the probes' noise is left.
#[test]
fn density_is_the_spectrum_within_its_error() {
    const PROBES: u64 = 200;
    for case in cases() {
        let eigenvalues = case.eigenvalues();
        let n = eigenvalues.len();
        let settings = format!("steps = {n}");
        let estimate = case.run::<Slq>(&settings, 0, &[PROBES], 50).remove(0);
        let nodes = density(&estimate);
        for share in [0.1, 0.3, 0.5, 0.7, 0.9] {
            // In the middle of the nearest gap that rounding cannot close.
            let from = (share * n as f64) as usize;
            let wide = |i: &usize| eigenvalues[i + 1] - eigenvalues[*i] > 1e-6;
            let Some(i) = (from..n - 1).find(wide) else {
                continue;
            };
            let threshold = (eigenvalues[i] + eigenvalues[i + 1]) / 2.0;
            let mut below = vec![0.0; PROBES as usize];
            for node in nodes.iter().filter(|node| node.node < threshold) {
                below[node.sample as usize] += node.weight;
            }
            let name = format!("{}, share below {threshold}", case.name);
            assert_mean(&name, &below, (i + 1) as f64 / n as f64);
        }
        let trace = case.dense.trace().double_value(&[]);
        let error = estimate.value.std_error.unwrap();
        assert!(
            (estimate.value.mean - trace).abs() < 4.0 * error + 1e-9,
            "{}",
            case.name
        );
        assert_eq!(estimate.quantity, Quantity::Trace);
    }
}

fn assert_mean(case: &str, samples: &[f64], expected: f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let error = (variance / count).sqrt() + 1e-9 * expected.abs().max(1.0);
    assert!(
        (mean - expected).abs() < 4.0 * error,
        "{case}: mean {mean}, expected {expected}, standard error {error}"
    );
}

#[test]
fn results_do_not_depend_on_v_batch() {
    let cases = cases();
    for case in cases.iter().step_by(3) {
        let all = |v_batch| {
            let mut numbers = Vec::new();
            let slq = case.run::<Slq>("steps = 6", 2, &[3, 7], v_batch);
            assert_eq!(slq.len(), 2);
            numbers.extend(
                density(&slq[1])
                    .iter()
                    .flat_map(|node| [node.node, node.weight]),
            );
            let frobenius = case.run::<Frobenius>("", 2, &[3, 7], v_batch);
            for estimate in slq.iter().chain(&frobenius) {
                numbers.extend(
                    [Some(estimate.value.mean), estimate.value.std_error]
                        .iter()
                        .flatten(),
                );
                numbers.extend(estimate.parameters.iter().map(|part| part.mean));
            }
            numbers
        };
        let expected = Tensor::from_slice(&all(7));
        for v_batch in [1, 3] {
            let error = relative_error(&Tensor::from_slice(&all(v_batch)), &expected);
            assert!(error < 1e-10, "{}, V_batch {v_batch}: {error}", case.name);
        }
    }
}

/// Products are counted: V a step for quadrature, V in all for the sums of squares.
#[test]
fn products_are_what_was_spent() {
    let case = &cases()[0];
    let spent = |estimates: Vec<Estimate>| -> Vec<u64> {
        estimates.iter().map(|estimate| estimate.products).collect()
    };
    assert_eq!(spent(case.run::<Slq>("steps = 6", 0, &[2, 5], 2)), [12, 30]);
    assert_eq!(
        spent(case.run::<Frobenius>("", 0, &[2, 5], 2)),
        [2, 2, 5, 5]
    );
    assert_eq!(
        spent(case.run::<Lanczos>("k = 2\nsteps = 3", 0, &[], 1)),
        [8]
    );
}

#[test]
fn log_det_is_that_of_the_spectrum() {
    for spectrum in [
        SpectrumSpec::Flat(Flat {}),
        SpectrumSpec::Exp(Exp { base: 0.9 }),
        SpectrumSpec::Step(Step { small: 1e-3 }),
    ] {
        let case = Case::matrix(spectrum, 100, Basis::Haar);
        let settings = "delta = [0.001, 0.1, 2.0]\nsteps = 60";
        let estimates = case.run::<LogDet>(settings, 3, &[100], 25);
        assert_eq!(estimates.len(), 3);
        for estimate in estimates {
            let Quantity::LogDet { delta } = estimate.quantity else {
                panic!("{:?}", estimate.quantity)
            };
            let eigenvalues = case.eigenvalues();
            let expected: f64 = eigenvalues.iter().map(|value| (value + delta).ln()).sum();
            let known = estimate.quantity.of_spectrum(&eigenvalues).unwrap();
            assert_close(&case.name, known, expected, 1e-12);
            let (found, error) = (estimate.value.mean, estimate.value.std_error.unwrap());
            let name = format!(
                "{}, δ = {delta}: {found} ± {error}, expected {expected}",
                case.name
            );
            assert!((found - expected).abs() < 4.0 * error, "{name}");
            assert!(error < 0.05 * expected.abs().max(10.0), "{name}");
        }
    }
}

/// Over many seeds: both sums and their parts are unbiased, and their errors true.
#[test]
fn sums_of_squares_are_unbiased_with_true_errors() {
    const SEEDS: u64 = 800;
    let (name, problem) = networks().remove(0);
    for (blocks, probe) in [
        (Blocks::Full, "rademacher"),
        (Blocks::Parameter, "gaussian"),
    ] {
        let case = Case::network(name, &problem, blocks);
        let name = format!("{}, {probe}", case.name);
        let task = case.task::<Frobenius>(&format!("probe = \"{probe}\""));
        let runs = each_seed(&task, &case.problem, &[40].into(), 40, SEEDS);
        let numel = problem.parameters.iter().map(|p| p.numel() as i64);
        let numel: Vec<i64> = numel.collect();
        let rows = case.dense.split_with_sizes(&numel[..], 0);
        let diagonal = case.dense.diagonal(0, 0, 1);
        let diagonals = diagonal.split_with_sizes(&numel[..], 0);
        for (index, quantity, whole, parts) in [
            (0, Quantity::FrobeniusSquared, &case.dense, rows),
            (1, Quantity::DiagonalSquared, &diagonal, diagonals),
        ] {
            let estimates: Vec<&Estimate> = runs.iter().map(|run| &run[index]).collect();
            let name = format!("{name}, {}", quantity.name());
            assert!(
                estimates
                    .iter()
                    .all(|estimate| estimate.quantity == quantity)
            );
            let values: Vec<f64> = estimates.iter().map(|e| e.value.mean).collect();
            assert_mean(&name, &values, sum_of_squares(whole));
            for (i, part) in parts.iter().enumerate() {
                let values: Vec<f64> = estimates.iter().map(|e| e.parameters[i].mean).collect();
                assert_mean(&format!("{name}, part {i}"), &values, sum_of_squares(part));
            }
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let shown = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
            let stated = estimates.iter().map(|e| e.value.std_error.unwrap().powi(2));
            let ratio = stated.sum::<f64>() / shown;
            assert!(
                (0.85..1.3).contains(&ratio),
                "{name}: stated / shown variance {ratio}"
            );
        }
    }
}

/// A single probe has no pair, two have no jackknife.
#[test]
fn a_few_probes_say_no_more_than_they_know() {
    let case = &cases()[0];
    let estimates = case.run::<Frobenius>("", 0, &[1, 2, 3], 1);
    let found: Vec<(u64, Quantity, bool)> = estimates
        .iter()
        .map(|e| (e.v.unwrap(), e.quantity, e.value.std_error.is_some()))
        .collect();
    use Quantity::{DiagonalSquared, FrobeniusSquared};
    let expected = [
        (1, FrobeniusSquared, false),
        (2, FrobeniusSquared, true),
        (2, DiagonalSquared, false),
        (3, FrobeniusSquared, true),
        (3, DiagonalSquared, true),
    ];
    assert_eq!(found, expected);
}

fn variances(estimates: &[Estimate]) -> Vec<&ProbeVariance> {
    let mut all = Vec::new();
    for artefact in estimates.iter().flat_map(|estimate| &estimate.artefacts) {
        if let Artefact::Variance(_, variances) = artefact {
            all.extend(variances);
        }
    }
    all
}

/// Closed forms from the dense Hessian, written for whole matrices; samples agree with them.
#[test]
fn predicted_variances_are_the_sampled_ones() {
    for (name, problem) in networks() {
        let case = Case::network(name, &problem, Blocks::Full);
        let report = Variance::default();
        let task = report.expand(&sampling(1, 1), &case.spec).unwrap().task;
        let estimates = task.run(
            &case.problem,
            &Start::Philox(4),
            &Budget::Counts(vec![4000]),
            16,
        );
        let exact: Vec<f64> = estimates
            .iter()
            .map(|estimate| estimate.value.mean)
            .collect();
        let square = sum_of_squares(&case.dense);
        let expected = [
            case.dense.trace().double_value(&[]),
            square,
            sum_of_squares(&case.dense.diagonal(0, 0, 1)),
        ];
        for (exact, expected) in exact.iter().zip(expected) {
            assert_close(name, *exact, expected, 1e-10);
        }
        let variances = variances(&estimates);
        assert_eq!(variances.len(), 7);
        for variance in &variances {
            let (columns, predicted) = (&variance.of, variance.predicted.unwrap());
            let name = format!("{name}, {columns:?}");
            let (found, error) = (
                variance.empirical.mean,
                variance.empirical.std_error.unwrap(),
            );
            assert!(
                (found - predicted).abs() < 4.0 * error + 1e-12,
                "{name}: {found} ± {error}, predicted {predicted}"
            );
            let hessian = dense_hessian(&problem);
            let matrix = match columns.blocks.as_deref() {
                Some("full") => hessian,
                _ => block_diagonal(&problem, &hessian, &Blocks::Parameter),
            };
            let diagonal = sum_of_squares(&matrix.diagonal(0, 0, 1));
            let wanted = match (columns.estimator.as_str(), columns.probe.as_deref()) {
                ("hutchinson", Some("rademacher")) => 2.0 * (sum_of_squares(&matrix) - diagonal),
                ("hutchinson", Some("gaussian")) => 2.0 * sum_of_squares(&matrix),
                _ => continue,
            };
            assert_close(&name, predicted, wanted, 1e-9);
        }
        let activation = variances.last().unwrap();
        assert_eq!(activation.of.estimator, "activation");
    }
}

/// One block: the sphere has the closed form of the whole matrix.
#[test]
fn variance_of_a_given_matrix() {
    let case = Case::matrix(SpectrumSpec::Exp(Exp { base: -0.9 }), 50, Basis::Haar);
    let report = Variance::default();
    let task = report.expand(&sampling(1, 1), &case.spec).unwrap().task;
    let estimates = task.run(
        &case.problem,
        &Start::Philox(1),
        &Budget::Counts(vec![10, 4000]),
        20,
    );
    let variances = variances(&estimates);
    // Three distributions from 10 and from 4,000 samples.
    assert_eq!(variances.len(), 6);
    let sphere = variances[5];
    assert_eq!(sphere.of.probe.as_deref(), Some("sphere"));
    let (n, trace) = (50.0, case.dense.trace().double_value(&[]));
    let wanted = 2.0 * n / (n + 2.0) * (sum_of_squares(&case.dense) - trace * trace / n);
    assert_close("sphere", sphere.predicted.unwrap(), wanted, 1e-10);
    let (found, error) = (sphere.empirical.mean, sphere.empirical.std_error.unwrap());
    assert!(
        (found - wanted).abs() < 4.0 * error,
        "{found} ± {error}, {wanted}"
    );
    let wanted = wanted / (0.01 * trace).powi(2);
    assert_close("sphere", sphere.probes_to_1_percent.unwrap(), wanted, 1e-10);
}

const SPEC: &str = r#"name = "spectral"
kind = "convergence"
dtype = "float64"

[data]
source = "safetensors"
path = "data/classes.safetensors"

[model]
layers = [{ kind = "linear", out = 4 }, { kind = "tanh" }, { kind = "linear", out = 3 }]

[loss]
kind = "cross_entropy"

[sampling]
V_batch = [4]
seeds = [0, 1]

[[estimator]]
kind = "exact"

[[estimator]]
kind = "lanczos"
blocks = "full"
k = 2
vectors = true

[[estimator]]
kind = "slq"
blocks = "full"
V = [3, 5]
steps = 4

[[estimator]]
kind = "frobenius"
blocks = "full"
V = [8]

[[estimator]]
kind = "variance"
V = [50]
"#;

/// From a spec to every file: tables, figures, eigenvectors by state_dict name.
#[test]
fn every_artefact_has_its_file() {
    let folder = tempfile::tempdir().unwrap();
    files::write_data(&folder.path().join("data"));
    std::fs::write(folder.path().join("spec.toml"), SPEC).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("runner").unwrap();
        command
            .args(arguments)
            .current_dir(folder.path())
            .assert()
            .success()
    };
    let output = run(&["spec.toml"]);
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(
        text.contains("top_eigenvalue") && text.contains("frobenius_squared"),
        "{text}"
    );
    let results = folder.path().join("results/spectral");
    let rows = |name: &str| -> Vec<std::collections::HashMap<String, String>> {
        let mut reader = csv::Reader::from_path(results.join(name)).unwrap();
        reader.deserialize().map(|row| row.unwrap()).collect()
    };
    // Two seeds each; of the densities the one from most probes.
    assert_eq!(rows("eigenvalues.csv").len(), 2 * 2);
    assert_eq!(rows("variance.csv").len(), 2 * 7);
    let density = rows("density.csv");
    assert_eq!(density.len(), 2 * 5 * 4);
    assert!(density.iter().all(|row| row["V"] == "5"));
    let mass: f64 = density
        .iter()
        .map(|row| row["weight"].parse::<f64>().unwrap())
        .sum();
    assert_close("mass", mass, 10.0, 1e-12);
    for name in ["density", "variance"] {
        for ending in ["svg", "png"] {
            assert!(
                results.join(format!("{name}.{ending}")).exists(),
                "{name}.{ending}"
            );
        }
    }
    // Only traces have the exact trace.
    let records = rows("records.csv");
    let known = |row: &&std::collections::HashMap<String, String>| !row["exact"].is_empty();
    assert!(
        records
            .iter()
            .filter(known)
            .all(|row| row["quantity"] == "trace")
    );
    assert!(records.iter().filter(known).count() >= 5);

    let found = rows("eigenvalues.csv");
    let files: std::collections::BTreeSet<&str> =
        found.iter().map(|row| row["vectors"].as_str()).collect();
    assert_eq!(files.len(), 2, "a file for each seed");
    for file in files {
        let bytes = std::fs::read(results.join(file)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names = tensors.names();
        names.sort_unstable();
        assert_eq!(names, ["0.bias", "0.weight", "2.bias", "2.weight"]);
        assert_eq!(tensors.tensor("2.weight").unwrap().shape(), [2, 3, 4]);
        let squares: f64 = tensors
            .tensors()
            .iter()
            .flat_map(|(_, view)| view.data().chunks_exact(8))
            .map(|number| f64::from_le_bytes(number.try_into().unwrap()).powi(2))
            .sum();
        assert_close(file, squares, 2.0, 1e-10);
    }
    // What is done is not done again, and the tables stay.
    let before = std::fs::read(results.join("density.csv")).unwrap();
    run(&["spec.toml"]);
    assert_eq!(std::fs::read(results.join("density.csv")).unwrap(), before);
}

/// Runs to a tolerance keep it in the stated share, every quantity by itself. 95 % are promised; eighty seeds are
/// enough where 78 of them keep it, as 1 in 100 would do of a rule that keeps 90 %.
#[test]
fn tolerances_are_kept() {
    const SEEDS: [u64; 2] = [80, 200];
    const ENOUGH: f64 = 78.0 / 80.0;
    const RTOL: f64 = 0.05;
    let case = Case::matrix(SpectrumSpec::Exp(Exp { base: 0.9 }), 100, Basis::Haar);
    let eigenvalues = case.eigenvalues();
    let diagonal = sum_of_squares(&case.dense.diagonal(0, 0, 1));
    let tolerance = Tolerance::new(Some(RTOL), None, 0.95, 20_000).unwrap();
    for task in [
        case.task::<Frobenius>(""),
        case.task::<Slq>("steps = 4"),
        case.task::<LogDet>("delta = [0.01, 0.5]\nsteps = 60"),
    ] {
        let budget = Budget::Tolerance(tolerance);
        let of = |seeds: u64| -> Vec<(Quantity, f64)> {
            let runs = each_seed(&task, &case.problem, &budget, 50, seeds);
            let share = |(index, first): (usize, &Estimate)| {
                let expected = match first.quantity {
                    Quantity::DiagonalSquared => diagonal,
                    quantity => quantity.of_spectrum(&eigenvalues).unwrap(),
                };
                let all = runs.iter().map(|run| &run[index]);
                assert!(all.clone().all(|e| e.stop == Some(Stop::Tolerance)));
                let within =
                    |e: &&Estimate| (e.value.mean - expected).abs() <= RTOL * expected.abs();
                (
                    first.quantity,
                    all.filter(within).count() as f64 / seeds as f64,
                )
            };
            runs[0].iter().enumerate().map(share).collect()
        };
        let mut shares = of(SEEDS[0]);
        if shares.iter().any(|(_, share)| *share < ENOUGH) {
            shares = of(SEEDS[1]);
        }
        for (quantity, share) in shares {
            println!("{quantity:?}: {:.1} %", 100.0 * share);
            assert!(share >= 0.95, "{quantity:?}: {share}");
        }
    }
}
