//! The problems that the benchmarks work on.

use curvature_runner::estimator::Probe;
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use curvature_runner::plan::Plan;
use curvature_runner::problem::NetworkProblem;
use curvature_runner::spec::{Spec, SpecText};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// A fully connected network with sigmoids on MNIST, in float32.
pub fn network(hidden: &[i64], batch: usize) -> NetworkProblem {
    let linear = |out: &i64| format!("{{ kind = 'linear', out = {out}, bias = false }}");
    let mut layers = vec!["{ kind = 'flatten' }".to_string()];
    for out in hidden {
        layers.extend([linear(out), "{ kind = 'sigmoid' }".into()]);
    }
    layers.push(linear(&10));
    let text = format!(
        "name = 'bench'\nkind = 'timing'\nestimator = [{{ kind = 'exact' }}]\n\
         data = {{ source = 'mnist', root = 'data/mnist', batch = {batch}, order = 'torch' }}\n\
         model = {{ seed = 0, layers = [{}] }}\nloss = {{ kind = 'cross_entropy' }}\n",
        layers.join(", ")
    );
    // Beside the data, where the program was moved to another machine.
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = if built.exists() { built } else { Path::new("") };
    let path = folder.join("bench.toml");
    let source = SpecText::new(path, text);
    let plan = Spec::parse(&source).and_then(|spec| Plan::new(spec, &source));
    let plan = plan.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    plan.setup.network().build(device(), Kind::Float).0
}

/// The first card if `CURVATURE_DEVICE` is "cuda", else the CPU.
fn device() -> Device {
    match std::env::var("CURVATURE_DEVICE").as_deref() {
        Ok("cuda") => Device::Cuda(0),
        _ => Device::Cpu,
    }
}

/// The problem of `experiments/timing.toml`.
pub fn example() -> NetworkProblem {
    network(&[20], 256)
}

/// `count` sign probes of every parameter.
pub fn probes(problem: &NetworkProblem, count: u64) -> Vec<Tensor> {
    let stream = PhiloxStream::new(0, problem.kind(), problem.device());
    let draw = |(i, p): (usize, &Tensor)| {
        stream.draw(Probe::Rademacher, Space::Parameter(i), 0, count, &p.size())
    };
    problem.parameters.iter().enumerate().map(draw).collect()
}
