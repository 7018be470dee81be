//! The maps of ResNet-18's convolutions, each beside the bare convolution of the same size.

use criterion::{Criterion, Throughput};
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use curvature_runner::problem::generator::TorchGenerator;
use curvature_runner::problem::layer::{Conv, Flatten, LayerSpec, Linear};
use curvature_runner::problem::loss::{LossSpec, Mse};
use curvature_runner::problem::{Batch, Network, NetworkProblem, Vectors, initialise};
use tch::{Device, Kind, Tensor};

const SAMPLES: i64 = 32;

/// Vectors at once.
const VECTORS: u64 = 4;

/// In-channels, out-channels, stride, height and width on inputs [3, 32, 32].
const SHAPES: [[i64; 4]; 6] = [
    [64, 64, 1, 8],
    [64, 128, 2, 8],
    [128, 128, 1, 4],
    [256, 256, 1, 2],
    [256, 512, 2, 2],
    [512, 512, 1, 1],
];

pub fn bench_layers(c: &mut Criterion) {
    for [inputs, out, stride, size] in SHAPES {
        let mut group = c.benchmark_group(format!(
            "conv {inputs} to {out}, {size} x {size}, / {stride}"
        ));
        let problem = problem(inputs, out, stride, size);
        let at = problem.linearize();
        let layer = &at.layers()[1];
        let maps = layer.parameters();
        let weight = &problem.parameters[1];
        let k = VECTORS as i64;
        let normal =
            |shape: &[i64]| Tensor::randn([&[k], shape].concat(), (Kind::Float, Device::Cpu));
        let (dx, gz) = (
            normal(&[SAMPLES, inputs, size, size]),
            normal(&layer.output),
        );
        let dw = normal(&weight.size());
        let stream = PhiloxStream::new(0, Kind::Float, Device::Cpu);
        let signs = stream.signs(Space::Parameter(1), 0, VECTORS, &weight.size());
        let stacked = dx.flatten(0, 1);
        group.throughput(Throughput::Elements(VECTORS));
        group.bench_function("bare", |b| {
            b.iter(|| stacked.conv2d(weight, None::<&Tensor>, stride, 1, 1, 1));
        });
        group.bench_function("tangent", |b| b.iter(|| layer.local.tangent(&dx)));
        group.bench_function("adjoint", |b| b.iter(|| layer.local.adjoint(&gz)));
        group.bench_function("weight tangent", |b| b.iter(|| maps.tangent(0, &dw)));
        group.bench_function("weight tangent, signs", |b| {
            b.iter(|| layer.tangent_along(None, &[1], &[Vectors::Signs(&signs)]));
        });
        group.bench_function("weight adjoint", |b| b.iter(|| maps.adjoint(0, &gz)));
        let gradient = layer.gradient.as_ref().expect("linearised for the Hessian");
        group.bench_function("mixed form, signs", |b| {
            b.iter(|| maps.mixed_form(0, gradient, &dx, Vectors::Signs(&signs)));
        });
        group.finish();
    }
}

/// A convolution over one that its input depends on.
fn problem(inputs: i64, out: i64, stride: i64, size: i64) -> NetworkProblem {
    let conv = |out, kernel: i64, stride: i64| {
        LayerSpec::Conv2d(Conv {
            stride: stride.into(),
            padding: (kernel / 2).into(),
            bias: false,
            ..Conv::new(out, kernel)
        })
    };
    let flatten = LayerSpec::Flatten(Flatten::default());
    let linear = LayerSpec::Linear(Linear::new(1, false));
    let layers = [conv(inputs, 1, 1), conv(out, 3, stride), flatten, linear];
    let network = Network::new(&layers, &[1, size, size]).expect("shapes that fit");
    let tensors = initialise(&network, &mut TorchGenerator::seeded(0));
    let options = (Kind::Float, Device::Cpu);
    let data = Batch::new(
        Tensor::randn([SAMPLES, 1, size, size], options),
        Tensor::zeros([SAMPLES, 1], options),
    );
    NetworkProblem::new(
        network.into(),
        LossSpec::Mse(Mse::default()),
        tensors,
        vec![data],
    )
}
