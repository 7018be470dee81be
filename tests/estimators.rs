//! Estimators against exact traces and closed-form variances, in float64 with fixed seeds.
//!
//! An unbiased mean of 20 runs lies outside 5 standard errors with probability 8e-5 (Student's t, 19
//! degrees of freedom); about 900 such tests run here, so that an unlucky choice of seeds would be
//! one in fourteen.

use crate::support;
use curvature_runner::curvature::{Blocks, ProductKind};
use curvature_runner::estimator::{
    ActivationProbe, Budget, Estimate, EstimatorSpec, PassKind, Probe, Propagation, Start,
    exact_traces,
};
use curvature_runner::problem::Curvature;
use curvature_runner::problem::generator::TorchGenerator;
use curvature_runner::problem::layer::{Conv, GroupNorm, LayerSpec};
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::{Batch, NetworkProblem, Problem};
use rayon::prelude::*;
use support::cases::{around_attention, branches, normalisations, pooled_endings};
use support::*;
use tch::{Kind, Tensor};

/// Runs whose mean is compared.
const RUNS: u64 = 20;

/// Sigmoid, tanh and relu networks of two to five linear layers, branches and normalisation; both
/// losses and reductions.
fn problems() -> Vec<(String, NetworkProblem)> {
    let losses = [
        cross_entropy(Reduction::Mean),
        mse(Reduction::Sum),
        cross_entropy(Reduction::Sum),
        mse(Reduction::Mean),
    ];
    let mut problems = Vec::new();
    for (shift, activation) in [sigmoid(), tanh(), relu()].into_iter().enumerate() {
        for depth in 2..=5 {
            let mut layers = vec![linear(4, true)];
            for hidden in 1..depth {
                layers.extend([
                    activation.clone(),
                    linear(if hidden == depth - 1 { 3 } else { 4 }, hidden % 2 == 0),
                ]);
            }
            let loss = &losses[(depth + shift) % losses.len()];
            let name = format!("{} × {depth}, {loss:?}", activation.kind());
            problems.push((name, problem(&layers, &[3], 5, loss.clone(), 17)));
        }
    }
    let others = branches().into_iter().chain(normalisations());
    let others = others.chain(pooled_endings()).chain(around_attention());
    for (index, (name, layers, input)) in others.enumerate() {
        let loss = losses[index % losses.len()].clone();
        problems.push((name.into(), problem(&layers, &input, 5, loss, 7)));
    }
    problems
}

/// One estimate for each of `seeds`, from `count` probes.
fn runs(
    problem: &NetworkProblem,
    estimator: &EstimatorSpec,
    count: u64,
    seeds: u64,
) -> Vec<Estimate> {
    let problem = Problem::Network(problem.clone());
    let runs = each_seed(&task(estimator), &problem, &[count].into(), PROBES, seeds);
    runs.into_iter().flatten().collect()
}

fn hessian_traces(problem: &NetworkProblem) -> Vec<f64> {
    exact_traces(&problem.clone().into(), Curvature::Hessian)
}

fn assert_mean(case: &str, samples: &[f64], expected: f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let error = (variance / count).sqrt() + 1e-9 * expected.abs().max(1.0);
    assert!(
        (mean - expected).abs() < 5.0 * error,
        "{case}: mean {mean}, expected {expected}, standard error {error}"
    );
}

/// Independent probes of one run, so that a problem is linearised once for all of them.
const PROBES: u64 = 50;

/// Whether the probes of a run depend on each other: then a run of one probe shows most.
fn hadamard(estimator: &EstimatorSpec) -> bool {
    matches!(estimator, EstimatorSpec::Activation(a) if a.probe == ActivationProbe::Hadamard)
}

#[test]
fn every_estimator_is_unbiased() {
    let check = |(index, (name, problem)): (usize, (String, NetworkProblem))| {
        let problem = match index % 3 {
            0 => in_batches(&problem),
            _ => problem,
        };
        let hessian = every_estimator().into_iter();
        let hessian = hessian.map(|estimator| (estimator, Curvature::Hessian, PROBES));
        let other = of_other_matrices().into_iter();
        let other = other.map(|(estimator, matrix)| (estimator, matrix.with(1), PROBES / 4));
        for (estimator, curvature, probes) in hessian.chain(other) {
            let expected = exact_traces(&problem.clone().into(), curvature);
            let total: f64 = expected.iter().sum();
            let case = format!("{estimator:?} on {name}");
            let (count, seeds) = match hadamard(&estimator) {
                true => (1, RUNS * probes / 10),
                false => (probes, RUNS),
            };
            let estimates = runs(&problem, &estimator, count, seeds);
            let totals: Vec<f64> = estimates.iter().map(|e| e.value.mean).collect();
            assert_mean(&case, &totals, total);
            if estimates[0].parameters.len() < expected.len() {
                continue;
            }
            for (i, &expected) in expected.iter().enumerate() {
                let parts: Vec<f64> = estimates.iter().map(|e| e.parameters[i].mean).collect();
                assert_mean(&format!("{case}, parameter {i}"), &parts, expected);
            }
        }
    };
    side_by_side(problems().into_par_iter().enumerate(), check);
}

/// `2(‖A‖²_F − Σ a_ii²)` for signs, `2‖A‖²_F` for normals.
#[test]
fn variance_of_a_quadratic_form_is_the_closed_form() {
    let layers = [linear(4, true), tanh(), linear(3, false)];
    let problem = problem(&layers, &[3], 5, cross_entropy(Reduction::Mean), 5);
    let dense = dense_hessian(&problem);
    for (blocks, matrix) in [
        (Blocks::Full, dense.shallow_clone()),
        (
            Blocks::Parameter,
            block_diagonal(&problem, &dense, &Blocks::Parameter),
        ),
    ] {
        let square = |t: &Tensor| (t * t).sum(Kind::Double).double_value(&[]);
        let diagonal = square(&matrix.diagonal(0, 0, 1));
        for (probe, expected) in [
            (Probe::Rademacher, 2.0 * (square(&matrix) - diagonal)),
            (Probe::Gaussian, 2.0 * square(&matrix)),
        ] {
            let estimator = hutchinson(blocks.clone(), ProductKind::Forward, probe);
            let samples: Vec<f64> = runs(&problem, &estimator, 1, 4000)
                .iter()
                .map(|e| e.value.mean)
                .collect();
            let count = samples.len() as f64;
            let mean = samples.iter().sum::<f64>() / count;
            let moment = |p: i32| samples.iter().map(|x| (x - mean).powi(p)).sum::<f64>() / count;
            let (variance, error) = (moment(2), ((moment(4) - moment(2).powi(2)) / count).sqrt());
            assert!(
                (variance - expected).abs() < 4.0 * error,
                "{blocks:?}, {probe:?}: variance {variance}, expected {expected} ± {error}"
            );
        }
    }
}

/// The problem with its samples in batches of two, the last one short.
fn in_batches(problem: &NetworkProblem) -> NetworkProblem {
    let whole = &problem.batches[0];
    let samples = whole.len() as i64;
    let batch = |first| {
        let rows = |t: &Tensor| t.narrow(0, first, 2.min(samples - first));
        Batch::new(rows(&whole.inputs), rows(&whole.targets))
    };
    on(problem, (0..samples).step_by(2).map(batch).collect())
}

/// The same on other data.
fn on(problem: &NetworkProblem, batches: Vec<Batch>) -> NetworkProblem {
    let NetworkProblem {
        network,
        loss,
        parameters,
        ..
    } = problem.clone();
    NetworkProblem::new(network, loss, parameters, batches)
}

/// Loss and Hessian are those of all samples at once, for every product, estimator and stream.
#[test]
fn batches_add_up_to_the_whole() {
    let close = |a: f64, b: f64| (a - b).abs() < 1e-10 * b.abs().max(1.0);
    for (name, whole) in problems().into_iter().step_by(3) {
        let parts = in_batches(&whole);
        let loss = |p: &NetworkProblem| p.loss_at(&p.parameters).double_value(&[]);
        assert!(close(loss(&parts), loss(&whole)), "{name}");
        let [in_parts, at_once] = [&parts, &whole].map(hessian_traces);
        for (part, all) in in_parts.iter().zip(at_once) {
            assert!(close(*part, all), "{name}: exact {part} against {all}");
        }
        let (parts, whole) = (Problem::Network(parts), Problem::Network(whole));
        for blocks in [Blocks::Full, Blocks::Parameter] {
            for product in [
                ProductKind::Autodiff,
                ProductKind::Hmp,
                ProductKind::Forward,
            ] {
                let estimator = hutchinson(blocks.clone(), product, Probe::Rademacher);
                let case = format!("{estimator:?} on {name}");
                let task = task(&estimator);
                for start in [Start::Philox(3), Start::Torch(TorchGenerator::seeded(3))] {
                    let run = |problem| task.run(problem, &start, &[3, 8, 9].into(), 4);
                    for (part, all) in run(&parts).iter().zip(run(&whole)) {
                        assert!(close(part.value.mean, all.value.mean), "{case}");
                        let errors = [part, &all].map(|e| e.value.std_error.unwrap());
                        assert!(close(errors[0], errors[1]), "{case}");
                    }
                }
            }
        }
    }
}

/// A layer of 300,000 outputs is looked at one sample after another, or side by side.
#[test]
fn slices_of_wide_networks_add_up_to_the_whole() {
    let layers = [linear(300_000, false), tanh(), linear(2, true)];
    let problem = problem(&layers, &[2], 5, cross_entropy(Reduction::Mean), 17);
    tch::set_num_threads(2);
    assert_eq!(problem.slices(1 << 21).len(), 5);
    let expected: f64 = hessian_traces(&problem).iter().sum();

    let total = |estimator: &EstimatorSpec| runs(&problem, estimator, 30, 1).remove(0).value;
    let by_product =
        |product| total(&hutchinson(Blocks::Parameter, product, Probe::Rademacher)).mean;
    let whole = by_product(ProductKind::Autodiff);
    for product in [ProductKind::Hmp, ProductKind::Forward] {
        let sliced = by_product(product);
        let close = (sliced - whole).abs() < 1e-9 * whole.abs();
        assert!(close, "{product:?}: {sliced} against {whole}");
    }
    // Five standard errors from 30 probes: once in 40,000.
    for estimator in [
        activation(PassKind::Separate, ActivationProbe::Rademacher),
        activation(PassKind::Joint, ActivationProbe::Rademacher),
        EstimatorSpec::Propagation(Propagation::default()),
    ] {
        let found = total(&estimator);
        let error = found.std_error.expect("thirty probes have an error");
        let off = (found.mean - expected).abs();
        assert!(
            off < 5.0 * error,
            "{estimator:?}: {found:?}, not {expected}"
        );
    }
}

/// The problem in another precision.
fn in_kind(problem: &NetworkProblem, kind: Kind) -> NetworkProblem {
    let mut other = on(problem, problem.batches.clone());
    for tensor in other.parameters.iter_mut().chain(&mut other.buffers) {
        *tensor = tensor.to_kind(kind);
    }
    other
}

/// The same seed draws the same noise whether a batch is whole or in slices, which depend on the
/// precision: a sample's noise is a function of its number in the batch.
#[test]
fn noise_depends_on_the_sample_and_not_on_slices_or_precision() {
    let conv1d = |out, kernel: i64| LayerSpec::Conv1d(Conv::new(out, kernel));
    // Both have 80,001 or 80,000 outputs of a sample in their widest layer: with five samples, one
    // whole batch in float32 and two slices in float64.
    let networks = [
        (
            vec![linear(80_001, true), tanh(), linear(2, true)],
            vec![2i64],
        ),
        (
            vec![
                conv1d(1, 3),
                tanh(),
                LayerSpec::GroupNorm(GroupNorm::new(1)),
                flatten(),
                linear(2, true),
            ],
            vec![1, 80_002],
        ),
    ];
    let estimators = [
        activation(PassKind::Separate, ActivationProbe::Rademacher),
        activation(PassKind::Separate, ActivationProbe::Hadamard),
        activation(PassKind::Joint, ActivationProbe::Rademacher),
        activation(PassKind::Joint, ActivationProbe::Hadamard),
        EstimatorSpec::Propagation(Propagation::default()),
    ];
    for (layers, input) in networks {
        // A softmax of outputs as large as these would be decided by rounding.
        let double = problem(&layers, &input, 5, mse(Reduction::Mean), 17);
        let float = in_kind(&double, Kind::Float);
        let slices = [&float, &double].map(|problem| problem.slices(1 << 21).len());
        assert_eq!(slices, [1, 2]);
        for estimator in &estimators {
            let value = |problem| runs(problem, estimator, 6, 1).remove(0).value.mean;
            let (whole, sliced) = (value(&float), value(&double));
            assert!(
                (whole - sliced).abs() < 2e-4 * sliced.abs(),
                "{estimator:?} on {layers:?}: {whole} of the whole batch, {sliced} of slices"
            );
        }
    }
}

/// Estimators that probe samples or layers' outputs draw afresh for every batch: two times the
/// same batch has half the variance of one under a mean. With the same noise it would have all.
#[test]
fn every_batch_has_noise_of_its_own() {
    let layers = [
        linear(4, true),
        tanh(),
        linear(4, true),
        sigmoid(),
        linear(3, false),
    ];
    let problem = problem(&layers, &[3], 5, mse(Reduction::Mean), 17);
    let doubled = on(
        &problem,
        [&problem.batches[..], &problem.batches[..]].concat(),
    );
    for estimator in [
        activation(PassKind::Separate, ActivationProbe::Rademacher),
        activation(PassKind::Joint, ActivationProbe::Rademacher),
        EstimatorSpec::Propagation(Propagation::default()),
    ] {
        let variance = |p: &NetworkProblem| {
            let error = runs(p, &estimator, 4000, 1)[0].value.std_error.unwrap();
            error * error
        };
        let ratio = variance(&doubled) / variance(&problem);
        assert!((0.42..0.58).contains(&ratio), "{estimator:?}: {ratio}");
    }
}

/// The standard error that an estimate states is the spread that its seeds show.
#[test]
fn stated_standard_errors_are_true() {
    let (_, problem) = problems().remove(2);
    for estimator in every_estimator() {
        let estimates = runs(&problem, &estimator, 20, 500);
        let count = estimates.len() as f64;
        let mean = estimates.iter().map(|e| e.value.mean).sum::<f64>() / count;
        let spread = estimates
            .iter()
            .map(|e| (e.value.mean - mean).powi(2))
            .sum::<f64>()
            / (count - 1.0);
        let Some(errors) = estimates
            .iter()
            .map(|e| e.value.std_error)
            .collect::<Option<Vec<f64>>>()
        else {
            assert!(
                matches!(&estimator, EstimatorSpec::Activation(a) if a.probe == ActivationProbe::Hadamard)
            );
            continue;
        };
        let stated = errors.iter().map(|e| e * e).sum::<f64>() / count;
        let ratio = stated / spread;
        assert!(
            (0.8..1.25).contains(&ratio),
            "{estimator:?}: stated / shown variance {ratio}"
        );
    }
}

/// 2^q rows of a Hadamard matrix are an orthogonal basis: no error is left where no positions share
/// a weight.
#[test]
fn hadamard_probes_are_exact_at_the_width() {
    let dense = problems().into_iter();
    for (name, problem) in dense.filter(|(_, problem)| problem.batches[0].inputs.dim() == 2) {
        let expected = hessian_traces(&problem);
        let at = problem.linearize();
        let estimator = activation(PassKind::Separate, ActivationProbe::Hadamard);
        for estimate in runs(&problem, &estimator, 8, 3) {
            for (index, (found, expected)) in estimate.parameters.iter().zip(&expected).enumerate()
            {
                let (l, i) = at.locate(index);
                let close = (found.mean - expected).abs() < 1e-9 * expected.abs().max(1.0);
                let shared = at.layers()[l].parameters().trace_factor(i).is_none();
                assert!(close || shared, "{name}, parameter {index}");
            }
        }
    }
}

/// An estimate does not depend on V_batch, nor on the longer V list that it is a prefix of.
#[test]
fn samples_do_not_depend_on_chunks() {
    let problem = Problem::Network(problems().remove(5).1);
    for estimator in every_estimator() {
        let task = task(&estimator);
        let run = |v_batch, counts: &[u64]| {
            let means = task.run(
                &problem,
                &Start::Philox(3),
                &Budget::Counts(counts.into()),
                v_batch,
            );
            means.iter().map(|e| e.value.mean).collect::<Vec<f64>>()
        };
        let together = run(7, &[3, 10, 25]);
        let alone: Vec<f64> = [3, 10, 25].iter().map(|&v| run(25, &[v])[0]).collect();
        for (a, b) in together.iter().zip(&alone) {
            assert!(
                (a - b).abs() < 1e-10 * b.abs().max(1.0),
                "{estimator:?}: {a} against {b}"
            );
        }
    }
}

/// Deep layers with curvature of both signs are among the problems.
#[test]
fn problems_have_negative_curvature() {
    let found = problems()
        .iter()
        .filter(|(_, p)| dense_hessian(p).diagonal(0, 0, 1).min().double_value(&[]) < -1e-3)
        .count();
    assert!(found >= 4, "{found}");
}
