//! Small problems in float64 and their dense Hessians from autograd, the oracle of the rules.
#![allow(dead_code)] // each test file uses a part

pub mod against_dense;
pub mod cases;
pub mod transformers;

use curvature_runner::curvature::{Blocks, ProductKind};
use curvature_runner::estimator::{
    Activation, ActivationProbe, Budget, Estimate, EstimatorSpec, Hutchinson, PassKind, Probe,
    Propagation, Sampling, Start, Task,
};
use curvature_runner::lists::{Counts, Seeds, VBatches};
use curvature_runner::problem::generator::TorchGenerator;
use curvature_runner::problem::layer::{
    Flatten, LayerSpec, Linear, ParallelBlock, Relu, ResidualBlock, Sigmoid, Tanh,
};
use curvature_runner::problem::loss::{CrossEntropy, LossSpec, Mse, Reduction, TargetKind};
use curvature_runner::problem::{
    Batch, Combine, Curvature, MatrixKind, Network, NetworkProblem, Problem, ProblemSpec,
    initialise,
};
use rayon::prelude::*;
use statrs::distribution::{Binomial, DiscreteCDF};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tch::{Device, Kind, Tensor};

pub fn linear(out: i64, bias: bool) -> LayerSpec {
    LayerSpec::Linear(Linear::new(out, bias))
}

pub fn flatten() -> LayerSpec {
    LayerSpec::Flatten(Flatten::default())
}

pub fn relu() -> LayerSpec {
    LayerSpec::Relu(Relu {})
}

pub fn sigmoid() -> LayerSpec {
    LayerSpec::Sigmoid(Sigmoid {})
}

pub fn tanh() -> LayerSpec {
    LayerSpec::Tanh(Tanh {})
}

pub fn residual(body: Vec<LayerSpec>, shortcut: Vec<LayerSpec>) -> LayerSpec {
    LayerSpec::Residual(ResidualBlock { body, shortcut })
}

pub fn parallel(combine: Combine, branches: Vec<Vec<LayerSpec>>) -> LayerSpec {
    LayerSpec::Parallel(ParallelBlock::new(branches, combine))
}

pub fn cross_entropy(reduction: Reduction) -> LossSpec {
    LossSpec::CrossEntropy(CrossEntropy {
        reduction,
        ..CrossEntropy::default()
    })
}

pub fn mse(reduction: Reduction) -> LossSpec {
    LossSpec::Mse(Mse { reduction })
}

/// A random problem in float64: parameters and data uniform on [-1, 1], so that curvature of both
/// signs is there.
pub fn problem(
    layers: &[LayerSpec],
    input: &[i64],
    batch: i64,
    loss: LossSpec,
    seed: u64,
) -> NetworkProblem {
    one_thread();
    let network = Network::new(layers, input).expect("shapes that fit");
    let mut generator = TorchGenerator::seeded(seed);
    let mut uniform = |shape: &[i64]| {
        let numel: i64 = shape.iter().product();
        let values = generator.uniform(numel as usize, -1.0, 1.0);
        Tensor::from_slice(&values)
            .reshape(shape)
            .to_kind(Kind::Double)
    };
    let parameters = network.parameters().iter();
    let mut tensors: Vec<Tensor> = parameters.map(|p| uniform(&p.shape)).collect();
    let buffers = network.buffers().iter();
    tensors.extend(buffers.map(|p| uniform(&p.shape).abs() + 0.2));
    let inputs = uniform(&[&[batch], input].concat());
    let inputs = match network.tokens() {
        None => inputs,
        Some(tokens) => ((inputs + 1.0) * (tokens as f64 / 2.0)).floor(),
    };
    let targets = match loss.targets(network.output()).expect("outputs that fit") {
        TargetKind::Classes {
            classes, positions, ..
        } => {
            let shape = [&[batch], positions.as_slice()].concat();
            let count = shape.iter().product::<i64>();
            let all = Tensor::arange(count, (Kind::Int64, Device::Cpu));
            all.remainder(classes).reshape(shape)
        }
        TargetKind::Probabilities { shape } => {
            uniform(&[&[batch], shape.as_slice()].concat()).abs()
        }
        TargetKind::Values { shape } => uniform(&[&[batch], shape.as_slice()].concat()),
    };
    let data = Batch::new(inputs, targets);
    NetworkProblem::new(network.into(), loss, tensors, vec![data])
}

/// The example's network on random data, as torch.nn initialises it.
pub fn example_network(dtype: Kind) -> NetworkProblem {
    let layers = [flatten(), linear(20, false), sigmoid(), linear(10, false)];
    let mut problem = problem(&layers, &[1, 28, 28], 16, cross_entropy(Reduction::Mean), 3);
    problem.parameters = initialise(&problem.network, &mut TorchGenerator::seeded(0))
        .iter()
        .map(|p| p.to_kind(dtype))
        .collect();
    problem.batches[0] = problem.batches[0].placed(Device::Cpu, dtype);
    problem
}

/// The Hessian in all parameters, `[P, P]`, by differentiating every entry of the gradient.
pub fn dense_hessian(problem: &NetworkProblem) -> Tensor {
    let leaves: Vec<Tensor> = problem
        .parameters
        .iter()
        .map(|p| p.detach().set_requires_grad(true))
        .collect();
    let loss = problem.loss_at(&leaves);
    let gradient = Tensor::run_backward(&[loss], &leaves, true, true);
    let gradient = flat(&gradient, 0);
    rows(&gradient, &leaves)
}

/// The derivative of every entry of a vector in `leaves`, row by row.
fn rows(vector: &Tensor, leaves: &[Tensor]) -> Tensor {
    let row = |i: i64| {
        let entry = vector.get(i);
        let row: Vec<Tensor> = match entry.requires_grad() {
            true => Tensor::run_backward(&[entry], leaves, true, false),
            false => leaves.iter().map(Tensor::zeros_like).collect(),
        };
        let defined: Vec<Tensor> = row
            .into_iter()
            .zip(leaves)
            .map(|(h, p)| if h.defined() { h } else { p.zeros_like() })
            .collect();
        flat(&defined, 0)
    };
    let rows: Vec<Tensor> = (0..vector.size()[0]).map(row).collect();
    Tensor::stack(&rows, 0).detach()
}

/// A matrix with all entries between parameters of different blocks set to zero.
pub fn block_diagonal(problem: &NetworkProblem, matrix: &Tensor, blocks: &Blocks) -> Tensor {
    let sizes: Vec<i64> = problem
        .parameters
        .iter()
        .map(|p| p.numel() as i64)
        .collect();
    let start = |index: usize| sizes[..index].iter().sum::<i64>();
    let kept = matrix.zeros_like();
    for block in blocks.of(&problem.network).unwrap().blocks() {
        for (&i, &j) in block.iter().flat_map(|i| block.iter().map(move |j| (i, j))) {
            let part = |t: &Tensor| {
                let rows = t.narrow(0, start(i), sizes[i]);
                rows.narrow(1, start(j), sizes[j])
            };
            part(&kept).copy_(&part(matrix));
        }
    }
    kept
}

/// The matrix in all parameters, `[P, P]`: `Jᵀ G J` from the Jacobian of the outputs, entry by
/// entry, unless it is the Hessian.
pub fn dense_matrix(problem: &NetworkProblem, curvature: Curvature) -> Tensor {
    if curvature == Curvature::Hessian {
        return dense_hessian(problem);
    }
    let leaf = |p: &Tensor| p.detach().set_requires_grad(true);
    let leaves: Vec<Tensor> = problem.parameters.iter().map(leaf).collect();
    let outputs = problem.outputs_at(&leaves);
    let rows = rows(&outputs.flatten(0, -1), &leaves);
    let g = dense_output_matrix(problem, &leaf(&outputs), curvature);
    rows.tr().matmul(&g).matmul(&rows)
}

/// G at the outputs f of the whole batch, by autograd of the loss's value alone.
fn dense_output_matrix(problem: &NetworkProblem, f: &Tensor, curvature: Curvature) -> Tensor {
    let y = &problem.batches[0].targets;
    let value = problem.loss.value(f, y);
    let gradient = Tensor::run_backward(&[value], &[f], true, true).remove(0);
    match curvature {
        Curvature::Ggn => rows(&gradient.flatten(0, -1), &[f.shallow_clone()]),
        Curvature::FisherEmpirical => {
            let root = term_weights(&problem.loss, f, y).sqrt();
            let s = &gradient / root.where_self(&root.not_equal(0.0), &root.ones_like());
            let terms = terms(&problem.loss, f).flatten(0, -1);
            let same = terms.unsqueeze(0).eq_tensor(&terms.unsqueeze(1));
            let s = s.flatten(0, -1);
            s.outer(&s) * same
        }
        other => panic!("no dense oracle for {other:?}"),
    }
    .detach()
}

/// Which term of the loss every output belongs to, by number.
fn terms(loss: &LossSpec, f: &Tensor) -> Tensor {
    let mut shape = f.size();
    match loss {
        LossSpec::CrossEntropy(_) => shape[1] = 1,
        _ => shape[1..].fill(1),
    }
    let count: i64 = shape.iter().product();
    let numbers = Tensor::arange(count, (Kind::Int64, f.device())).reshape(&shape);
    numbers.expand_as(f)
}

/// What every term weighs, for every output: `c` with gradients `c ∂(−log p)/∂f`.
fn term_weights(loss: &LossSpec, f: &Tensor, y: &Tensor) -> Tensor {
    let mean = |reduction, count: f64| match reduction {
        Reduction::Mean => 1.0 / count,
        Reduction::Sum => 1.0,
    };
    match loss {
        LossSpec::Mse(mse) => f.full_like(mean(mse.reduction, f.numel() as f64)),
        LossSpec::BceWithLogits(bce) => {
            let list = |list: &Option<Vec<f64>>| match list {
                Some(list) => Tensor::from_slice(list),
                None => Tensor::ones([1], (Kind::Double, f.device())),
            };
            let positive: Tensor = 1.0 + y * (list(&bce.pos_weight) - 1.0);
            positive * list(&bce.weight) * mean(bce.reduction, f.numel() as f64)
        }
        LossSpec::CrossEntropy(ce) => {
            let classes = f.size()[1] as usize;
            let ones = vec![1.0; classes];
            let weight = ce.weight.as_ref().unwrap_or(&ones);
            let smooth = ce.label_smoothing;
            let all: f64 = weight.iter().sum::<f64>() * smooth / classes as f64;
            let labels: Vec<i64> = (&y.flatten(0, -1)).try_into().unwrap();
            let counted = |label: &i64| *label != ce.ignore_index;
            let total: f64 = labels
                .iter()
                .filter(|l| counted(l))
                .map(|&l| weight[l as usize])
                .sum();
            let of_label = |label: &i64| match counted(label) {
                true => weight[*label as usize] * (1.0 - smooth) + all,
                false => 0.0,
            };
            let each: Vec<f64> = labels.iter().map(of_label).collect();
            let each = Tensor::from_slice(&each).reshape(y.size()).unsqueeze(1);
            each.expand_as(f) * mean(ce.reduction, total)
        }
    }
}

/// One tensor per parameter as a single one, flattened from axis `from` on.
pub fn flat(tensors: &[Tensor], from: i64) -> Tensor {
    let parts: Vec<Tensor> = tensors
        .iter()
        .map(|t| t.reshape([&t.size()[..from as usize], &[-1]].concat()))
        .collect();
    Tensor::cat(&parts, -1)
}

/// K vectors in parameter space, uniform on [-1, 1]: one `[K, *shape]` per parameter.
pub fn vectors(problem: &NetworkProblem, count: i64, seed: u64) -> Vec<Tensor> {
    let mut generator = TorchGenerator::seeded(seed);
    let mut draw = |p: &Tensor| {
        let shape = [&[count], p.size().as_slice()].concat();
        let numel: i64 = shape.iter().product();
        let values = generator.uniform(numel as usize, -1.0, 1.0);
        Tensor::from_slice(&values)
            .reshape(&shape)
            .to_kind(p.kind())
    };
    problem.parameters.iter().map(&mut draw).collect()
}

/// The largest difference, relative to the largest entry of `expected` (or 1).
pub fn relative_error(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    (found - expected).abs().max().double_value(&[]) / scale
}

/// V probes, `v_batch` at once.
pub fn sampling(v: i64, v_batch: i64) -> Sampling {
    Sampling {
        v: Some(Counts::List(vec![v])),
        v_batch: Some(VBatches::Counts(Counts::List(vec![v_batch]))),
        seeds: Some(Seeds::List(vec![0])),
        ..Sampling::default()
    }
}

/// Keeps libtorch to the calling thread. Its own threads spin while they wait for each other in every
/// operation: that takes several times the processor's time, and for ever where it has other work.
pub fn one_thread() {
    tch::set_num_threads(1);
}

/// As many threads as there are cores, each the only one of its libtorch.
static CORES: LazyLock<rayon::ThreadPool> = LazyLock::new(|| {
    rayon::ThreadPoolBuilder::new()
        .start_handler(|_| one_thread())
        .build()
        .expect("threads")
});

/// `run` of every item, side by side.
pub fn side_by_side<I: Send, T: Send>(
    items: impl IntoParallelIterator<Item = I> + Send,
    run: impl Fn(I) -> T + Send + Sync,
) -> Vec<T> {
    CORES.install(|| items.into_par_iter().map(run).collect())
}

/// What a task estimates under every seed from 0 on, side by side.
pub fn each_seed(
    task: &Arc<dyn Task>,
    problem: &Problem,
    budget: &Budget,
    v_batch: u64,
    seeds: u64,
) -> Vec<Vec<Estimate>> {
    const FEW: u64 = 10;
    let run =
        |problem: &mut Problem, seed: u64| task.run(problem, &Start::Philox(seed), budget, v_batch);
    if seeds <= FEW {
        let mut problem = problem.clone();
        return (0..seeds).map(|seed| run(&mut problem, seed)).collect();
    }
    let runs = (0..seeds).into_par_iter().map_with(problem.clone(), run);
    CORES.install(|| runs.collect())
}

/// What a test of coverage may ask of `runs` runs, each of which holds with probability `p`: a share
/// that they fall below with a probability of at most 1e-4, which is the false-alarm rate.
pub fn least_share(p: f64, runs: u64) -> f64 {
    let held = Binomial::new(p, runs).expect("a probability");
    held.inverse_cdf(1e-4) as f64 / runs as f64
}

/// The task of an estimator over a network.
pub fn task(estimator: &EstimatorSpec) -> Arc<dyn Task> {
    let network = ProblemSpec::default();
    estimator.expand(&sampling(1, 4), &network).unwrap().task
}

pub fn hutchinson(blocks: Blocks, product: ProductKind, probe: Probe) -> EstimatorSpec {
    EstimatorSpec::Hutchinson(Hutchinson {
        matrix: None,
        blocks: Some(blocks),
        product: Some(product),
        probe: Some(probe),
        v: None,
        v_batch: None,
        seeds: None,
    })
}

pub fn activation(passes: PassKind, probe: ActivationProbe) -> EstimatorSpec {
    EstimatorSpec::Activation(Activation {
        passes,
        probe,
        ..Activation::default()
    })
}

/// Every estimator that samples, over every kind of product and probe.
pub fn every_estimator() -> Vec<EstimatorSpec> {
    vec![
        hutchinson(Blocks::Parameter, ProductKind::Forward, Probe::Rademacher),
        hutchinson(Blocks::Full, ProductKind::Forward, Probe::Gaussian),
        hutchinson(Blocks::Full, ProductKind::Hmp, Probe::Sphere),
        activation(PassKind::Separate, ActivationProbe::Rademacher),
        activation(PassKind::Separate, ActivationProbe::Hadamard),
        activation(PassKind::Joint, ActivationProbe::Rademacher),
        EstimatorSpec::Propagation(Propagation::default()),
    ]
}

/// Estimators of other matrices than the Hessian, on every way to them.
pub fn of_other_matrices() -> Vec<(EstimatorSpec, MatrixKind)> {
    let products = |matrix| {
        EstimatorSpec::Hutchinson(Hutchinson {
            matrix: Some(matrix),
            blocks: Some(Blocks::Layer),
            product: Some(ProductKind::Forward),
            ..Hutchinson::default()
        })
    };
    let activation = |matrix| {
        EstimatorSpec::Activation(Activation {
            matrix: Some(matrix),
            ..Activation::default()
        })
    };
    let propagation = |matrix| {
        EstimatorSpec::Propagation(Propagation {
            matrix: Some(matrix),
            ..Propagation::default()
        })
    };
    use MatrixKind::{FisherEmpirical, FisherMc, Ggn};
    vec![
        (products(FisherMc), FisherMc),
        (activation(FisherEmpirical), FisherEmpirical),
        (propagation(Ggn), Ggn),
        (propagation(FisherMc), FisherMc),
    ]
}

/// A committed experiment; beside the test program where it was moved to another machine.
pub fn experiment(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("experiments")
        .join(name);
    match built.exists() {
        true => built,
        false => Path::new("experiments").join(name),
    }
}
