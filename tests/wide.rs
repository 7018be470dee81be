//! Ways of multiplying that only wide layers take, against those that every layer takes.

use crate::support;
use curvature_runner::curvature::{Autodiff, Blocks, Forward, Hmp, Product, Quadratic};
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use curvature_runner::problem::layer::{BatchNorm, Conv, LayerSpec, MaxPool, PerDimension};
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::{Curvature, NetworkProblem, Signs};
use support::against_dense::TOLERANCE;
use support::*;
use tch::Tensor;

fn conv(out: i64, stride: i64, groups: i64) -> LayerSpec {
    LayerSpec::Conv2d(Conv {
        stride: PerDimension::from(stride),
        padding: 1.into(),
        groups,
        ..Conv::new(out, 3)
    })
}

fn norm() -> LayerSpec {
    LayerSpec::BatchNorm2d(BatchNorm::default())
}

fn pool() -> LayerSpec {
    LayerSpec::MaxPool2d(MaxPool::new(2))
}

/// Networks with wide layers: their names, layers and inputs.
fn networks() -> Vec<(&'static str, Vec<LayerSpec>, Vec<i64>)> {
    let body = vec![conv(64, 1, 1), norm(), relu(), conv(64, 1, 1), norm()];
    let dilated = LayerSpec::Conv1d(Conv {
        dilation: 2.into(),
        padding: 2.into(),
        ..Conv::new(64, 3)
    });
    let ends = || [flatten(), linear(3, true)];
    vec![
        (
            "residual",
            [
                vec![conv(64, 1, 1), pool(), residual(body, vec![]), relu()],
                ends().into(),
            ]
            .concat(),
            vec![2, 6, 6],
        ),
        (
            "strided, in groups, curved",
            [
                vec![conv(64, 2, 1), tanh(), conv(128, 2, 2), norm(), tanh()],
                ends().into(),
            ]
            .concat(),
            vec![3, 7, 5],
        ),
        (
            "sequences",
            [
                vec![dilated, relu(), LayerSpec::Conv1d(Conv::new(70, 1)), tanh()],
                ends().into(),
            ]
            .concat(),
            vec![2, 9],
        ),
        (
            "fully connected",
            vec![
                linear(90, true),
                tanh(),
                linear(70, true),
                relu(),
                linear(3, true),
            ],
            vec![20],
        ),
    ]
}

fn problems(samples: i64) -> impl Iterator<Item = (&'static str, NetworkProblem)> {
    networks().into_iter().map(move |(name, layers, input)| {
        let problem = problem(&layers, &input, samples, mse(Reduction::Mean), 5);
        (name, problem)
    })
}

#[test]
fn signs_give_what_their_numbers_give() {
    // More samples than the lookup sums at once, not a multiple of it.
    for (name, problem) in problems(37) {
        let at = problem.linearize();
        let stream = PhiloxStream::new(3, problem.kind(), problem.device());
        let signs: Vec<Signs> = (problem.parameters.iter().enumerate())
            .map(|(i, p)| stream.signs(Space::Parameter(i), 0, 3, &p.size()))
            .collect();
        let numbers: Vec<Tensor> = signs.iter().map(Signs::dense).collect();
        for blocks in [Blocks::Full, Blocks::Parameter] {
            let blocks = blocks.of(&problem.network).expect("blocks that fit");
            let forms: [(&str, &dyn Quadratic); 2] = [
                ("forward", &Forward::new(&at, &blocks)),
                ("hmp", &Hmp::new(&at, &blocks)),
            ];
            for (product, form) in forms {
                let (found, expected) = (form.quadratic_of_signs(&signs), form.quadratic(&numbers));
                let error = relative_error(&found, &expected);
                assert!(error < TOLERANCE, "{name}, {product}: off by {error:e}");
            }
        }
    }
}

/// A weight of 2¹⁵ entries or more is multiplied by itself, and blocks under piecewise linear layers
/// are multiplied by the outputs' Jacobian where so many vectors are asked for.
#[test]
fn products_of_wide_layers_are_those_of_autograd() {
    for (name, problem) in problems(2) {
        let v = vectors(&problem, 2, 11);
        for curvature in [Curvature::Hessian, Curvature::Ggn] {
            let at = problem.linearize_for(curvature);
            let parts = std::slice::from_ref(&at);
            for blocks in [Blocks::Full, Blocks::Layer] {
                let case = format!("{name}, {curvature:?}, {blocks}");
                let blocks = blocks.of(&problem.network).expect("blocks that fit");
                let expected = Autodiff::new(&problem, curvature, &blocks);
                let (product, forms) = (expected.multiply(&v), expected.quadratic(&v));
                for vectors in [0, 20] {
                    let hmp = Hmp::of_parts(parts, &blocks, vectors);
                    let error = relative_error(&flat(&hmp.multiply(&v), 1), &flat(&product, 1));
                    assert!(
                        error < TOLERANCE,
                        "{case}, {vectors} vectors: off by {error:e}"
                    );
                    let found = Forward::of_parts(parts, &blocks, vectors).quadratic(&v);
                    let sum = |t: &Tensor| t.sum_dim_intlist(0, false, tch::Kind::Double);
                    let error = relative_error(&sum(&found), &sum(&forms));
                    assert!(
                        error < TOLERANCE,
                        "{case}, {vectors} vectors, forward: off by {error:e}"
                    );
                }
            }
        }
    }
}
