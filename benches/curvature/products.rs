//! The exact diagonal and every product, by V_batch.

use super::common::{example, probes};
use criterion::{BenchmarkId, Criterion, Throughput};
use curvature_runner::curvature::{Autodiff, Blocks, Forward, Hmp, Partition, Quadratic, exact};
use curvature_runner::problem::{Curvature, NetworkProblem};
use tch::Kind;

const BATCHES: [u64; 6] = [5, 10, 20, 50, 100, 200];
const BLOCKS: [(Blocks, &str); 2] = [(Blocks::Parameter, "parameter"), (Blocks::Full, "full")];

/// The forms of the same probes, whatever computes them.
fn check(problem: &NetworkProblem, form: &dyn Quadratic, blocks: &Partition) {
    let v = probes(problem, 3);
    let total = |form: &dyn Quadratic| form.quadratic(&v).sum(Kind::Double).double_value(&[]);
    let autodiff = Autodiff::new(problem, Curvature::Hessian, blocks);
    let (found, expected) = (total(form), total(&autodiff));
    assert!(
        (found - expected).abs() < 1e-4 * expected.abs(),
        "{found} against {expected}"
    );
}

pub fn bench_exact(c: &mut Criterion) {
    let problem = example();
    let trace = |problem: &NetworkProblem| -> f64 {
        exact::traces(&exact::diagonal(&problem.linearize()))
            .iter()
            .sum()
    };
    assert!((trace(&problem) - 12.455009).abs() < 1e-5);
    let mut group = c.benchmark_group("exact");
    group.bench_function("linearize", |b| b.iter(|| problem.linearize()));
    group.bench_function("linearize and diagonal", |b| b.iter(|| trace(&problem)));
    group.finish();
}

pub fn bench_products(c: &mut Criterion) {
    let problem = example();
    let at = problem.linearize();
    for (blocks, name) in BLOCKS {
        let blocks = blocks.of(&problem.network).expect("no patterns");
        let forms: [(&str, Box<dyn Quadratic>); 2] = [
            ("hmp", Box::new(Hmp::new(&at, &blocks))),
            ("forward", Box::new(Forward::new(&at, &blocks))),
        ];
        for (product, form) in forms {
            check(&problem, form.as_ref(), &blocks);
            let mut group = c.benchmark_group(format!("{product} {name}"));
            for v_batch in BATCHES {
                let v = probes(&problem, v_batch);
                group.throughput(Throughput::Elements(v_batch));
                group.bench_function(BenchmarkId::new("V_batch", v_batch), |b| {
                    b.iter(|| f64::try_from(form.quadratic(&v).sum(Kind::Double)).unwrap());
                });
            }
            group.finish();
        }
        let autodiff = Autodiff::new(&problem, Curvature::Hessian, &blocks);
        let v = probes(&problem, 1);
        let mut group = c.benchmark_group(format!("autodiff {name}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("one product", |b| {
            b.iter(|| f64::try_from(autodiff.quadratic(&v).sum(Kind::Double)).unwrap());
        });
        group.finish();
    }
}
