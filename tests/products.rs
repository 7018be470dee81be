//! Every product against the dense Hessian from autograd, in float64.

mod support;

use curvature_runner::curvature::{
    Autodiff, Blocks, Forward, Hmp, Partition, Product, Quadratic, exact,
};
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use curvature_runner::problem::layer::{LayerSpec, Tanh};
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::{Curvature, Linearization, NetworkProblem, Signs};
use proptest::prelude::*;
use support::cases::{branches, cases, cases_once, losses, pooled_endings};
use support::*;
use tch::Tensor;

const TOLERANCE: f64 = 1e-10;

fn assert_product(case: &str, problem: &NetworkProblem, product: &dyn Product, matrix: &Tensor) {
    for count in [1, 3] {
        let v = vectors(problem, count, 11);
        let error = relative_error(&flat(&product.multiply(&v), 1), &flat(&v, 1).matmul(matrix));
        assert!(error < TOLERANCE, "{case}, K = {count}: off by {error:e}");

        let quadratic = product
            .quadratic(&v)
            .sum_dim_intlist(0, false, tch::Kind::Double);
        let wanted =
            (flat(&v, 1).matmul(matrix) * flat(&v, 1)).sum_dim_intlist(1, false, tch::Kind::Double);
        let error = relative_error(&quadratic, &wanted);
        assert!(
            error < TOLERANCE,
            "{case}, quadratic form, K = {count}: off by {error:e}"
        );
    }
}

/// Every product and the exact diagonal against the dense matrix, in the blocks given.
fn assert_matrix(case: &str, problem: &NetworkProblem, curvature: Curvature, all: &[Blocks]) {
    let case = format!("{case}, {curvature:?}");
    let dense = match curvature {
        Curvature::FisherMc { .. } => by_autodiff(problem, curvature),
        _ => dense_matrix(problem, curvature),
    };
    let at = problem.linearize_for(curvature);
    for blocks in all {
        let case = format!("{case}, {blocks}");
        let matrix = block_diagonal(problem, &dense, blocks);
        let partition = blocks.of(&problem.network).unwrap();
        let hmp = Hmp::new(&at, &partition);
        let autodiff = Autodiff::new(problem, curvature, &partition);
        assert_product(&format!("hmp, {case}"), problem, &hmp, &matrix);
        assert_product(&format!("autodiff, {case}"), problem, &autodiff, &matrix);
        assert_form(&case, problem, &Forward::new(&at, &partition), &matrix);
        assert_laid_out(&case, problem, &at, &partition, &matrix);
        if *blocks == Blocks::Parameter {
            let v = vectors(problem, 3, 11);
            let rows = Forward::new(&at, &partition).quadratic(&v);
            let error = relative_error(&rows, &hmp.quadratic(&v));
            assert!(error < TOLERANCE, "{case}, by parameter: off by {error:e}");
        }
    }
    assert_diagonal(&case, problem, &exact::diagonal(&at), &dense);
}

/// For so many vectors that every block is laid out.
fn assert_laid_out(
    case: &str,
    problem: &NetworkProblem,
    at: &Linearization,
    partition: &Partition,
    matrix: &Tensor,
) {
    let parts = std::slice::from_ref(at);
    let case = format!("{case}, laid out");
    let hmp = Hmp::of_parts(parts, partition, 10_000);
    assert_product(&format!("hmp, {case}"), problem, &hmp, matrix);
    let forward = Forward::of_parts(parts, partition, 10_000);
    assert_form(&case, problem, &forward, matrix);
}

fn assert_form(case: &str, problem: &NetworkProblem, form: &dyn Quadratic, matrix: &Tensor) {
    for count in [1, 3] {
        let v = vectors(problem, count, 11);
        let found = form.quadratic(&v);
        let found = found.sum_dim_intlist(0, false, tch::Kind::Double);
        let flat = flat(&v, 1);
        let wanted = (flat.matmul(matrix) * flat).sum_dim_intlist(1, false, tch::Kind::Double);
        let error = relative_error(&found, &wanted);
        assert!(
            error < TOLERANCE,
            "forward, {case}, K = {count}: off by {error:e}"
        );
    }
}

fn assert_diagonal(case: &str, problem: &NetworkProblem, diagonal: &[Tensor], dense: &Tensor) {
    for (d, p) in diagonal.iter().zip(&problem.parameters) {
        assert_eq!(d.size(), p.size(), "{case}");
    }
    let wanted = dense.diagonal(0, 0, 1);
    let error = relative_error(&flat(diagonal, 0), &wanted);
    assert!(error < TOLERANCE, "{case}, exact: off by {error:e}");
    let trace: f64 = exact::traces(diagonal).iter().sum();
    let wanted = wanted.sum(tch::Kind::Double).double_value(&[]);
    let close = (trace - wanted).abs() < TOLERANCE * wanted.abs().max(1.0);
    assert!(close, "{case}, trace {trace}, expected {wanted}");
}

/// All products with unit vectors.
fn by_autodiff(problem: &NetworkProblem, curvature: Curvature) -> Tensor {
    let all = Blocks::Full.of(&problem.network).unwrap();
    let sizes: Vec<i64> = problem
        .parameters
        .iter()
        .map(|p| p.numel() as i64)
        .collect();
    let count = sizes.iter().sum();
    let units = Tensor::eye(count, (problem.kind(), problem.device()));
    let parts = units.split_with_sizes(&sizes, 1);
    let shaped =
        |(part, p): (&Tensor, &Tensor)| part.reshape([&[count], p.size().as_slice()].concat());
    let v: Vec<Tensor> = parts.iter().zip(&problem.parameters).map(shaped).collect();
    flat(&Autodiff::new(problem, curvature, &all).multiply(&v), 1)
}

#[test]
fn products_equal_the_dense_hessian() {
    let blocks = [Blocks::Full, Blocks::Parameter];
    for (case, problem) in cases() {
        assert_matrix(&case, &problem, Curvature::Hessian, &blocks);
    }
}

#[test]
fn products_equal_the_dense_matrices_without_the_network_s_curvature() {
    for (case, problem) in cases_once() {
        for curvature in [
            Curvature::Ggn,
            Curvature::FisherEmpirical,
            Curvature::FisherMc { samples: 2 },
        ] {
            assert_matrix(
                &case,
                &problem,
                curvature,
                &[Blocks::Full, Blocks::Parameter],
            );
        }
    }
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
    assert!(cases().iter().filter(|case| negative(case)).count() > 20);
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
