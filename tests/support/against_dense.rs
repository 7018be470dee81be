//! Every product and the exact diagonal against a dense matrix.

use super::*;
use curvature_runner::curvature::{Autodiff, Forward, Hmp, Partition, Product, Quadratic, exact};
use curvature_runner::problem::Linearization;

pub const TOLERANCE: f64 = 1e-10;

pub fn assert_product(
    case: &str,
    problem: &NetworkProblem,
    product: &dyn Product,
    matrix: &Tensor,
) {
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
pub fn assert_matrix(case: &str, problem: &NetworkProblem, curvature: Curvature, all: &[Blocks]) {
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
pub fn assert_laid_out(
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

pub fn assert_form(case: &str, problem: &NetworkProblem, form: &dyn Quadratic, matrix: &Tensor) {
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

pub fn assert_diagonal(case: &str, problem: &NetworkProblem, diagonal: &[Tensor], dense: &Tensor) {
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
pub fn by_autodiff(problem: &NetworkProblem, curvature: Curvature) -> Tensor {
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
