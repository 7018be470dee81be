//! Memory of the exact trace and of propagation on networks with very many outputs.
//!
//! A program of its own with a single test, as the system counts the memory of a whole process.

mod support;

use curvature_runner::estimator::{
    EstimatorSpec, Exact, Propagation, Sampling, Start, exact_traces,
};
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::{Curvature, MatrixKind, NetworkProblem, Problem, ProblemSpec};
use support::*;

/// The most memory that this process ever had in use, in bytes; `None` where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The traces by parameter from one pass or none, within `memory`.
fn traces(problem: &NetworkProblem, estimator: &EstimatorSpec, memory: &str) -> Vec<f64> {
    let sampling = Sampling {
        memory: Some(memory.into()),
        ..sampling(1, 1)
    };
    let expanded = estimator
        .expand(&sampling, &ProblemSpec::default())
        .unwrap();
    let problem = Problem::Network(problem.clone());
    let task = expanded.task;
    let estimate = task.run(&problem, &Start::Philox(1), &expanded.budget, 1);
    estimate[0].parameters.iter().map(|p| p.mean).collect()
}

fn estimators(matrix: MatrixKind) -> [EstimatorSpec; 2] {
    let matrix = Some(matrix);
    let propagation = Propagation {
        matrix,
        ..Propagation::default()
    };
    [
        EstimatorSpec::Exact(Exact {
            matrix,
            ..Exact::default()
        }),
        EstimatorSpec::Propagation(propagation),
    ]
}

/// All columns of the loss's root at once take N C² numbers: 80 GB for four samples of 50,000 classes.
#[test]
fn memory_does_not_grow_with_the_square_of_the_outputs() {
    let Some(before) = peak() else { return };
    let linear_on_top = |outputs| {
        let layers = [linear(4, true), tanh(), linear(outputs, true)];
        problem(&layers, &[3], 4, cross_entropy(Reduction::Mean), 7)
    };
    let activation_on_top = |outputs| {
        let layers = [linear(4, true), tanh(), linear(outputs, true), tanh()];
        problem(&layers, &[3], 4, mse(Reduction::Mean), 7)
    };
    // All columns at once of the smaller one are 1.2 GB.
    for problem in [activation_on_top(6_000), linear_on_top(50_000)] {
        for matrix in [MatrixKind::Hessian, MatrixKind::Ggn] {
            for estimator in estimators(matrix) {
                let traces = traces(&problem, &estimator, "32MiB");
                let finite = traces.iter().all(|trace| trace.is_finite());
                assert!(finite, "{estimator:?}: {traces:?}");
                let grown = peak().expect("as before") - before;
                assert!(
                    grown < 400 << 20,
                    "{estimator:?}: {grown} bytes more in use"
                );
            }
        }
    }
    // What is taken exactly is so in chunks of one column too: the topmost block of either.
    for problem in [activation_on_top(5), linear_on_top(5)] {
        for (matrix, curvature) in [
            (MatrixKind::Hessian, Curvature::Hessian),
            (MatrixKind::Ggn, Curvature::Ggn),
        ] {
            let dense = dense_matrix(&problem, curvature).diagonal(0, 0, 1);
            let sizes: Vec<i64> = problem
                .parameters
                .iter()
                .map(|p| p.numel() as i64)
                .collect();
            let expected: Vec<f64> = (dense.split_with_sizes(&sizes, 0).iter())
                .map(|part| part.sum(tch::Kind::Double).double_value(&[]))
                .collect();
            let close = |a: f64, b: f64| (a - b).abs() < 1e-12 * b.abs().max(1.0);
            let [exact, propagation] = estimators(matrix).map(|e| traces(&problem, &e, "1B"));
            let whole = exact_traces(&problem.clone().into(), curvature);
            for (i, &expected) in expected.iter().enumerate() {
                assert!(close(exact[i], expected) && close(whole[i], expected));
                let topmost = i >= 2;
                assert!(!topmost || close(propagation[i], expected));
            }
        }
    }
}
