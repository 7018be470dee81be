//! Streams of random probes.

use criterion::{Criterion, Throughput};
use curvature_runner::estimator::Probe;
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use tch::{Device, Kind, Tensor};

pub fn bench_probes(c: &mut Criterion) {
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
