//! The rules of every layer by themselves, on every layer of the table of cases.

use crate::support;
use curvature_runner::problem::generator::TorchGenerator;
use curvature_runner::problem::layer::ColumnPair;
use curvature_runner::problem::{LinearizedLayer, Vectors};
use support::cases::cases;
use support::*;
use tch::{Device, Kind, Tensor};

const TOLERANCE: f64 = 1e-12;

/// Numbers from [-1, 1], the same for the same seed.
fn numbers(shape: &[i64], seed: u64) -> Tensor {
    let numel: i64 = shape.iter().product();
    let values = TorchGenerator::seeded(seed).uniform(numel as usize, -1.0, 1.0);
    Tensor::from_slice(&values)
        .reshape(shape)
        .to_kind(Kind::Double)
}

fn sum(t: &Tensor, axes: &[i64]) -> Tensor {
    t.sum_dim_intlist(axes, false, None::<Kind>)
}

fn assert_close(case: &str, found: &Tensor, expected: &Tensor) {
    let error = relative_error(found, expected);
    assert!(error < TOLERANCE, "{case}: off by {error:e}");
}

/// Unit vectors of the entries of a sample, the same for all: `[W, N, *w]` for `shape = [N, *w]`.
fn units(shape: &[i64]) -> Tensor {
    let entries: i64 = shape[1..].iter().product();
    Tensor::eye(entries, (Kind::Double, Device::Cpu))
        .unsqueeze(1)
        .expand([-1, shape[0], -1], false)
        .reshape([&[entries], shape].concat())
}

/// Calls `check(case, layer, shape of its input)` for every layer; those on the data have none.
fn each_layer(check: impl Fn(&str, &LinearizedLayer, Option<&[i64]>)) {
    for (case, problem) in cases() {
        let at = problem.linearize();
        for (l, layer) in at.layers().iter().enumerate() {
            let input = || layer.local.adjoint(&gradient(layer).unsqueeze(0)).size();
            let input = layer.has_input().then(|| input()[1..].to_vec());
            check(&format!("{case}, layer {l}"), layer, input.as_deref());
        }
    }
}

/// Calls `check(case, layer, i)` for every parameter.
fn each_parameter(check: impl Fn(&str, &LinearizedLayer, usize)) {
    each_layer(|case, layer, _| {
        for i in 0..layer.indices.len() {
            check(&format!("{case}, parameter {i}"), layer, i);
        }
    });
}

/// `∂z_n/∂w_i` of every sample, column by column: `[N, P, out]`.
fn jacobians(layer: &LinearizedLayer, i: usize) -> Tensor {
    let shape = layer.parameters().shape(i);
    let numel: i64 = shape.iter().product();
    let units = Tensor::eye(numel, (Kind::Double, gradient(layer).device()));
    let units = units.reshape([&[-1], shape.as_slice()].concat());
    let columns = layer.parameters().tangent(i, &units);
    columns.flatten(2, -1).transpose(0, 1)
}

/// `∂ℓ/∂z`, which is there for the Hessian.
fn gradient(layer: &LinearizedLayer) -> &Tensor {
    layer.gradient.as_ref().expect("linearised for the Hessian")
}

/// Three columns for every sample at the layer's output: `[3, N, *out]`.
fn columns(layer: &LinearizedLayer) -> Tensor {
    let size = &layer.output;
    numbers(&[&[3], size.as_slice()].concat(), 5)
}

/// `(∂z_n/∂w_i)ᵀ s_kn`: `[N, P, 3]`.
fn pulled(layer: &LinearizedLayer, i: usize, s: &Tensor) -> Tensor {
    jacobians(layer, i).matmul(&s.flatten(2, -1).permute([1, 2, 0]))
}

#[test]
fn adjoints_are_transposes() {
    each_layer(|case, layer, input| {
        let Some(input) = input else { return };
        let dx = numbers(&[&[3], input].concat(), 1);
        let gz = columns(layer);
        let up = (layer.local.tangent(&dx) * &gz).sum(Kind::Double);
        let down = (layer.local.adjoint(&gz) * &dx).sum(Kind::Double);
        assert_close(case, &up, &down);
    });
    each_parameter(|case, layer, i| {
        let s = columns(layer);
        let pulled = sum(&pulled(layer, i, &s), &[0]).tr();
        let adjoint = layer.parameters().adjoint(i, &s);
        assert_eq!(adjoint.size()[1..], layer.parameters().shape(i), "{case}");
        assert_close(case, &adjoint.flatten(1, -1), &pulled);
    });
}

/// A layer may be handed tensors whose samples or features lie in any order in memory.
#[test]
fn rules_take_any_layout() {
    let scattered = |t: &Tensor| {
        let axes: Vec<i64> = (0..t.dim() as i64).rev().collect();
        t.permute(&axes).contiguous().permute(&axes)
    };
    each_layer(|case, layer, input| {
        let gz = columns(layer);
        if let Some(input) = input {
            let dx = numbers(&[&[3], input].concat(), 1);
            let found = layer.local.tangent(&scattered(&dx));
            assert_close(case, &found, &layer.local.tangent(&dx));
            let found = layer.local.adjoint(&scattered(&gz));
            assert_close(case, &found, &layer.local.adjoint(&gz));
        }
        for i in 0..layer.indices.len() {
            let found = layer.parameters().adjoint(i, &scattered(&gz));
            assert_close(case, &found, &layer.parameters().adjoint(i, &gz));
        }
    });
}

/// `H_n` in columns and signs, in pairs of columns, and times the unit vectors.
#[test]
fn roots_of_curvature_that_is_no_diagonal() {
    let mut seen = 0;
    for (case, problem) in cases() {
        let at = problem.linearize();
        for own in at.non_diagonal_curvatures() {
            let size = at.layers()[own.below].output.clone();
            let matrix = own.matrix.apply(&units(&size));
            let matrix = matrix.flatten(2, -1).transpose(0, 1);
            let count = own.matrix.signs().size()[1..].iter().product();
            let (s, sign) = own.matrix.columns(0, count);
            let s = s.flatten(2, -1).transpose(0, 1);
            let signed = &s * sign.tr().unsqueeze(-1);
            assert_close(&case, &signed.transpose(1, 2).matmul(&s), &matrix);
            let [a, b] = (own.matrix)
                .pair(&units(&own.matrix.pair_shape()))
                .map(|column| column.flatten(2, -1).transpose(0, 1));
            let product = a.transpose(1, 2).matmul(&b);
            let symmetric = (&product + product.transpose(1, 2)) / 2.0;
            assert_close(&case, &symmetric, &matrix);
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} layers have such curvature");
}

#[test]
fn mixed_rules_are_transposes() {
    each_parameter(|case, layer, i| {
        let maps = layer.parameters();
        let dw = numbers(&[&[3], maps.shape(i).as_slice()].concat(), 2);
        let Some(up) = maps.mixed_input(i, gradient(layer), Vectors::Numbers(&dw)) else {
            return;
        };
        let dx = numbers(&up.size(), 1);
        let down = maps.mixed_parameter(i, gradient(layer), &dx).expect(case);
        let inner = |a: Tensor, b: &Tensor| sum(&(a * b).flatten(1, -1), &[1]);
        assert_close(case, &inner(up, &dx), &inner(down, &dw));
    });
}

#[test]
fn columns_give_diagonal_and_trace() {
    each_parameter(|case, layer, i| {
        let (maps, s) = (layer.parameters(), columns(layer));
        let squares = pulled(layer, i, &s).square();
        let other = numbers(&s.size(), 9);
        let products = pulled(layer, i, &s) * pulled(layer, i, &other);
        let (same, pair) = (ColumnPair::twice(&s), ColumnPair::of(&s, &other));
        for _ in 0..2 {
            let trace = maps.trace_of_columns(i, &same);
            assert_eq!(trace.kind(), Kind::Double);
            assert_close(case, &trace, &sum(&squares, &[0, 1]));
            let trace = maps.trace_of_columns(i, &pair);
            assert_close(case, &trace, &sum(&products, &[0, 1]));
            maps.expect_columns(1_000_000);
        }
        let all = maps.diagonal_of_columns(i, &s, None);
        assert_eq!(all.size(), maps.shape(i), "{case}");
        assert_close(case, &all.flatten(0, -1), &sum(&squares, &[0, 2]));
        let sign = numbers(&s.size()[..2], 8).sign();
        let signed = maps.diagonal_of_columns(i, &s, Some(&sign));
        let expected = sum(&(squares * sign.tr().unsqueeze(1)), &[0, 2]);
        assert_close(case, &signed.flatten(0, -1), &expected);
    });
}

#[test]
fn diagonals_give_the_diagonal() {
    each_parameter(|case, layer, i| {
        let d = numbers(&layer.output, 6);
        let squares = jacobians(layer, i).square();
        let expected = sum(&(squares * d.flatten(1, -1).unsqueeze(1)), &[0, 2]);
        let found = layer.parameters().diagonal_of_diagonal(i, &d);
        assert_eq!(found.size(), layer.parameters().shape(i), "{case}");
        assert_close(case, &found.flatten(0, -1), &expected);
        let trace = layer.parameters().trace_of_diagonal(i, &d);
        assert_close(case, &trace, &expected.sum(Kind::Double));
    });
}

#[test]
fn gain_is_the_trace_of_every_hessian() {
    each_parameter(|case, layer, i| {
        let jacobians = jacobians(layer, i);
        let Some(trace_factor) = layer.parameters().trace_factor(i) else {
            return;
        };
        // tr(Jᵀ H J) = γ tr H for every H says J Jᵀ = γ I.
        let identity = Tensor::eye(jacobians.size()[2], (Kind::Double, trace_factor.device()));
        let expected = trace_factor.reshape([-1, 1, 1]) * identity;
        assert_close(
            case,
            &jacobians.transpose(1, 2).matmul(&jacobians),
            &expected,
        );
    });
}

#[test]
fn samples_take_weights_of_their_own() {
    each_parameter(|case, layer, i| {
        let maps = layer.parameters();
        let samples = layer.output[0];
        let dw = numbers(&[&[2, samples], maps.shape(i).as_slice()].concat(), 3);
        let found = maps.sample_tangent(i, &dw);
        for n in 0..samples {
            let expected = maps.tangent(i, &dw.select(1, n)).select(1, n);
            assert_close(case, &found.select(1, n), &expected);
        }
    });
}

#[test]
fn diagonal_adjoint_is_the_whole_matrix() {
    each_layer(|case, layer, input| {
        let Some(input) = input else { return };
        let d = numbers(&layer.output, 4);
        let Some(diagonal) = layer.local.diagonal_adjoint(&d) else {
            return;
        };
        assert_eq!(diagonal.size(), input, "{case}");
        let (samples, features) = (input[0], input[1..].iter().product::<i64>());
        let units = Tensor::eye(features, (Kind::Double, d.device()))
            .unsqueeze(1)
            .expand([-1, samples, -1], false)
            .reshape([&[features], input].concat());
        let rows = layer.local.adjoint(&(layer.local.tangent(&units) * &d));
        let expected = Tensor::diag_embed(&diagonal.flatten(1, -1), 0, 0, 2);
        assert_close(case, &rows.flatten(2, -1), &expected);
    });
}
