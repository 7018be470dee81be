//! Every product against the dense Hessian from autograd, in float64.

mod support;

use curvature_runner::curvature::{Autodiff, Blocks, Forward, Hmp, Product, Quadratic, exact};
use curvature_runner::problem::Problem;
use curvature_runner::problem::layer::LayerSpec;
use proptest::prelude::*;
use support::cases::{cases, losses};
use support::*;
use tch::Tensor;

const TOLERANCE: f64 = 1e-10;

fn expected(problem: &Problem, blocks: Blocks) -> Tensor {
    let hessian = dense_hessian(problem);
    match blocks {
        Blocks::Full => hessian,
        Blocks::Parameter => block_diagonal(problem, &hessian),
    }
}

fn assert_product(case: &str, problem: &Problem, product: &dyn Product, matrix: &Tensor) {
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

#[test]
fn products_equal_the_dense_hessian() {
    for (case, problem) in cases() {
        let at = problem.linearize();
        for blocks in [Blocks::Full, Blocks::Parameter] {
            let matrix = expected(&problem, blocks);
            let case = format!("{case}, {blocks:?}");
            assert_product(
                &format!("hmp, {case}"),
                &problem,
                &Hmp::new(&at, blocks),
                &matrix,
            );
            assert_product(
                &format!("autodiff, {case}"),
                &problem,
                &Autodiff::new(&problem, blocks),
                &matrix,
            );
        }
    }
}

#[test]
fn forward_equals_the_quadratic_form() {
    for (case, problem) in cases() {
        let at = problem.linearize();
        let v = vectors(&problem, 3, 11);
        for blocks in [Blocks::Full, Blocks::Parameter] {
            let matrix = expected(&problem, blocks);
            let rows = Forward::new(&at, blocks).quadratic(&v);
            let found = rows.sum_dim_intlist(0, false, tch::Kind::Double);
            let flat = flat(&v, 1);
            let wanted = (flat.matmul(&matrix) * flat).sum_dim_intlist(1, false, tch::Kind::Double);
            let error = relative_error(&found, &wanted);
            assert!(error < TOLERANCE, "{case}, {blocks:?}: off by {error:e}");
            if blocks == Blocks::Parameter {
                let error = relative_error(&rows, &Hmp::new(&at, blocks).quadratic(&v));
                assert!(error < TOLERANCE, "{case}, by parameter: off by {error:e}");
            }
        }
    }
}

#[test]
fn exact_diagonal_equals_the_dense_one() {
    for (case, problem) in cases() {
        let wanted = dense_hessian(&problem).diagonal(0, 0, 1);
        let diagonal = exact::diagonal(&problem.linearize());
        for (d, p) in diagonal.iter().zip(&problem.parameters) {
            assert_eq!(d.size(), p.size(), "{case}");
        }
        let error = relative_error(&flat(&diagonal, 0), &wanted);
        assert!(error < TOLERANCE, "{case}: off by {error:e}");
        let trace: f64 = exact::traces(&diagonal).iter().sum();
        let wanted = wanted.sum(tch::Kind::Double).double_value(&[]);
        assert!(
            (trace - wanted).abs() < TOLERANCE * wanted.abs().max(1.0),
            "{case}"
        );
    }
}

/// The Hessian has curvature of both signs somewhere in these cases: they could tell a sign error.
#[test]
fn cases_have_negative_curvature() {
    let negative = |(_, problem): &(String, Problem)| {
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
            let hmp = Hmp::new(&at, blocks);
            let autodiff = Autodiff::new(&problem, blocks);
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
