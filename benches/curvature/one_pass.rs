//! The estimators that need one linearisation and few probes, from network and batch in memory.

use super::common::example;
use super::estimates::{estimate, task};
use criterion::{BenchmarkId, Criterion, Throughput};

/// The exact trace of the example.
const EXACT: f64 = 12.455009;

pub fn bench_one_pass(c: &mut Criterion) {
    let problem = example();
    for spec in [
        "kind = 'propagation'",
        "kind = 'activation'",
        "kind = 'activation'\npasses = 'joint'",
        "kind = 'activation'\nprobe = 'hadamard'",
    ] {
        let settings = format!("{spec}\nV = [1]\nV_batch = [1]\nseeds = [0]");
        let task = task(&settings);
        let found = estimate(task.as_ref(), &problem, 1000, 100);
        assert!((found / EXACT - 1.0).abs() < 0.01, "{spec}: {found}");
        let name = spec.replace("kind = ", "").replace(['\'', '\n'], " ");
        let mut group = c.benchmark_group(name.trim().to_string());
        for v in [1, 10, 100, 1000] {
            group.throughput(Throughput::Elements(v));
            group.bench_function(BenchmarkId::new("V", v), |b| {
                b.iter(|| estimate(task.as_ref(), &problem, v, v.min(100)));
            });
        }
        group.finish();
    }
}
