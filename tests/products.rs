//! Every product against the dense Hessian from autograd, in float64.

use crate::support;
use curvature_runner::curvature::{Autodiff, Blocks, Forward, Hmp, Product, Quadratic, exact};
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use curvature_runner::problem::layer::{LayerSpec, Tanh};
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::{Curvature, NetworkProblem, Signs};
use proptest::prelude::*;
use support::against_dense::*;
use support::cases::{branches, cases, cases_once, losses, pooled_endings};
use support::*;
use tch::Tensor;

#[test]
fn products_equal_the_dense_hessian() {
    let blocks = [Blocks::Full, Blocks::Parameter];
    side_by_side(cases(), |(case, problem)| {
        assert_matrix(&case, &problem, Curvature::Hessian, &blocks);
    });
}

#[test]
fn products_equal_the_dense_matrices_without_the_network_s_curvature() {
    let blocks = [Blocks::Full, Blocks::Parameter];
    let matrices = [
        Curvature::Ggn,
        Curvature::FisherEmpirical,
        Curvature::FisherMc { samples: 2 },
    ];
    side_by_side(cases_once().collect::<Vec<_>>(), |(case, problem)| {
        for curvature in matrices {
            assert_matrix(&case, &problem, curvature, &blocks);
        }
    });
}

/// The activation is linearised above the pooling there, so that neither is in its place in the spec.
#[test]
fn products_on_networks_that_end_in_activation_and_max_pooling() {
    for (name, layers, input) in pooled_endings() {
        for loss in losses() {
            let problem = problem(&layers, &input, 3, loss, 7);
            let blocks = [Blocks::Full, Blocks::Layer, Blocks::Parameter];
            assert_matrix(name, &problem, Curvature::Hessian, &blocks);
            assert_matrix(name, &problem, Curvature::Ggn, &blocks);
        }
    }
}

#[test]
fn products_see_blocks_of_several_parameters() {
    for (name, layers, input) in branches() {
        let problem = problem(&layers, &input, 3, cross_entropy(Reduction::Mean), 7);
        let names = problem.network.parameters().iter();
        let middle = names.clone().nth(names.len() / 2).unwrap().name.clone();
        let rest: Vec<String> = names
            .map(|p| p.name.clone())
            .filter(|n| *n != middle)
            .collect();
        let blocks = [
            Blocks::Layer,
            Blocks::Patterns([&[middle][..], &rest].concat()),
        ];
        assert_matrix(name, &problem, Curvature::Hessian, &blocks);
        assert_matrix(name, &problem, Curvature::Ggn, &blocks);
    }
}

/// Targets drawn from the model give the Gauss-Newton matrix on average: entries of the mean over
/// 4000 draws are off by at most a few of its standard errors, 6/√4000 of the largest entry.
#[test]
fn forward_gives_the_same_of_signs_and_of_numbers() {
    let tanh = LayerSpec::Tanh(Tanh::default());
    let layers = [linear(20, true), tanh, linear(5, true)];
    for loss in losses() {
        // More samples than the lookup sums at once, not a multiple of it.
        let problem = problem(&layers, &[31], 70, loss, 5);
        let at = problem.linearize();
        let stream = PhiloxStream::new(3, problem.kind(), problem.device());
        let signs: Vec<Signs> = (problem.parameters.iter().enumerate())
            .map(|(i, p)| stream.signs(Space::Parameter(i), 0, 80, &p.size()))
            .collect();
        let numbers: Vec<Tensor> = signs.iter().map(Signs::dense).collect();
        for blocks in [Blocks::Full, Blocks::Parameter] {
            let blocks = blocks.of(&problem.network).expect("blocks that fit");
            let form = Forward::new(&at, &blocks);
            let error = relative_error(&form.quadratic_of_signs(&signs), &form.quadratic(&numbers));
            assert!(error < TOLERANCE, "off by {error:e}");
        }
    }
}

#[test]
fn fisher_is_the_gauss_newton_matrix_on_average() {
    for (case, problem) in cases_once().filter(|(_, problem)| problem.network.output() == [3]) {
        let found = problem.linearize_for(Curvature::FisherMc { samples: 4000 });
        let expected = problem.linearize_for(Curvature::Ggn);
        let columns = expected.loss().columns(0, expected.loss().column_count());
        let [found, expected] = [found, expected].map(|at| at.loss().hessian(&columns));
        let scale = expected.abs().max().double_value(&[]);
        let error = (found - expected).abs().max().double_value(&[]) / scale;
        assert!(error < 6.0 / 4000f64.sqrt(), "{case}: off by {error}");
    }
}

/// The Hessian has curvature of both signs somewhere in these cases: they could tell a sign error.
#[test]
fn cases_have_negative_curvature() {
    let negative = |(_, problem): &(String, NetworkProblem)| {
        let diagonal = dense_hessian(problem).diagonal(0, 0, 1);
        diagonal.min().double_value(&[]) < -1e-3
    };
    let cases = cases();
    let found = cases.iter().filter(|case| negative(case)).take(21);
    assert_eq!(found.count(), 21, "cases with negative curvature");
}

fn any_layers() -> impl Strategy<Value = Vec<LayerSpec>> {
    let activation = prop_oneof![Just(sigmoid()), Just(tanh()), Just(relu()), Just(flatten())];
    let layer = prop_oneof![
        (1..5i64, any::<bool>()).prop_map(|(out, bias)| linear(out, bias)),
        activation,
    ];
    (
        proptest::collection::vec(layer, 0..5),
        1..4i64,
        any::<bool>(),
    )
        .prop_map(|(mut layers, out, bias)| {
            layers.push(linear(out, bias));
            layers
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    /// On random networks: hmp equals autodiff, `H` is symmetric, a product is linear.
    #[test]
    fn products_on_random_networks(
        layers in any_layers(),
        inputs in 1..4i64,
        batch in 1..5i64,
        loss in prop::sample::select(losses()),
        seed in 0..1000u64,
    ) {
        let problem = problem(&layers, &[inputs], batch, loss, seed);
        let at = problem.linearize();
        for blocks in [Blocks::Full, Blocks::Parameter] {
            let blocks = blocks.of(&problem.network).unwrap();
            let hmp = Hmp::new(&at, &blocks);
            let autodiff = Autodiff::new(&problem, Curvature::Hessian, &blocks);
            let (u, v) = (vectors(&problem, 2, seed + 1), vectors(&problem, 2, seed + 2));
            let (hu, hv) = (hmp.multiply(&u), hmp.multiply(&v));
            prop_assert!(relative_error(&flat(&hv, 1), &flat(&autodiff.multiply(&v), 1)) < TOLERANCE);

            let inner = |a: &[Tensor], b: &[Tensor]| (flat(a, 1) * flat(b, 1)).sum_dim_intlist(1, false, tch::Kind::Double);
            prop_assert!(relative_error(&inner(&u, &hv), &inner(&hu, &v)) < TOLERANCE);

            let mixed: Vec<Tensor> = u.iter().zip(&v).map(|(u, v)| u * 2.5 - v).collect();
            let wanted = flat(&hu, 1) * 2.5 - flat(&hv, 1);
            prop_assert!(relative_error(&flat(&hmp.multiply(&mixed), 1), &wanted) < TOLERANCE);
        }
        let dense = dense_hessian(&problem);
        let diagonal = exact::diagonal(&at);
        prop_assert!(relative_error(&flat(&diagonal, 0), &dense.diagonal(0, 0, 1)) < TOLERANCE);
    }
}

/// The diagonal in chunks of one vector is the same, whichever way each parameter takes.
#[test]
fn exact_diagonal_does_not_depend_on_chunks() {
    for (name, layers, input) in branches() {
        let problem = problem(&layers, &input, 3, cross_entropy(Reduction::Mean), 7);
        let at = problem.linearize();
        let found = flat(&exact::diagonal_within(&at, 1), 0);
        let error = relative_error(&found, &flat(&exact::diagonal(&at), 0));
        assert!(error < TOLERANCE, "{name}: off by {error:e}");
    }
}
