//! Products and estimators on the example's problem: `cargo bench`.
//!
//! Every benchmark checks the value that it computes before it is timed. Throughput counts
//! matrix-vector products, or probes, per second.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use curvature_runner::curvature::{Autodiff, Blocks, Forward, Hmp, Partition, Quadratic, exact};
use curvature_runner::estimator::Probe;
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use curvature_runner::plan::Plan;
use curvature_runner::problem::{Curvature, Problem};
use curvature_runner::spec::{Source, Spec};
use std::path::Path;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

const BATCHES: [u64; 6] = [5, 10, 20, 50, 100, 200];
const BLOCKS: [(Blocks, &str); 2] = [(Blocks::Parameter, "parameter"), (Blocks::Full, "full")];

/// The problem of `experiments/timing.toml`.
fn example() -> Problem {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/timing.toml");
    let source = Source::read(&path).expect("the spec is there");
    let spec = Spec::parse(&source).expect("the spec is valid");
    let plan = Plan::new(spec, &source).expect("the spec makes sense");
    plan.setup.network().build(Device::Cpu, Kind::Float).0
}

fn probes(problem: &Problem, count: u64) -> Vec<Tensor> {
    let stream = PhiloxStream::new(0, problem.kind(), problem.device());
    let draw = |(i, p): (usize, &Tensor)| {
        stream.draw(Probe::Rademacher, Space::Parameter(i), 0, count, &p.size())
    };
    problem.parameters.iter().enumerate().map(draw).collect()
}

/// The forms of the same probes, whatever computes them.
fn check(problem: &Problem, form: &dyn Quadratic, blocks: &Partition) {
    let v = probes(problem, 3);
    let total = |form: &dyn Quadratic| form.quadratic(&v).sum(Kind::Double).double_value(&[]);
    let autodiff = Autodiff::new(problem, Curvature::Hessian, blocks);
    let (found, expected) = (total(form), total(&autodiff));
    assert!(
        (found - expected).abs() < 1e-4 * expected.abs(),
        "{found} against {expected}"
    );
}

fn bench_exact(c: &mut Criterion) {
    let problem = example();
    let trace = |problem: &Problem| -> f64 {
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

fn bench_products(c: &mut Criterion) {
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

fn bench_probes(c: &mut Criterion) {
    let shape = [20i64, 784];
    let signs =
        |stream: &PhiloxStream| stream.draw(Probe::Rademacher, Space::Parameter(0), 0, 100, &shape);
    let stream = PhiloxStream::new(0, Kind::Float, Device::Cpu);
    let mean = signs(&stream).mean(Kind::Double).double_value(&[]);
    assert!(mean.abs() < 5e-3 && signs(&stream).abs().eq(1.0).all().int64_value(&[]) == 1);
    let mut group = c.benchmark_group("100 sign probes of [20, 784]");
    group.throughput(Throughput::Elements(100));
    group.bench_function("philox", |b| b.iter(|| signs(&stream)));
    group.bench_function("torch.rand", |b| {
        b.iter(|| Tensor::rand([100, 20, 784], (Kind::Float, Device::Cpu)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = bench_exact, bench_products, bench_probes
}
criterion_main!(benches);
