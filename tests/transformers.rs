//! Attention and what stands around it, against libtorch's own functions and dense matrices.

use crate::support;
use curvature_runner::curvature::Blocks;
use curvature_runner::estimator::{
    ActivationProbe, EstimatorSpec, PassKind, Propagation, exact_traces,
};
use curvature_runner::problem::layer::{
    Attention, Gelu, LayerNorm, LayerSpec, Mean, OwnCurvature, RmsNorm, Rotary, Select,
};
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::{Curvature, Network, NetworkProblem, Problem, Tensors, weights};
use support::against_dense::assert_matrix;
use support::transformers::{attention, attentions, sharing, transformers};
use support::*;
use tch::{Device, Kind, Tensor};

/// The output of layers without parameters for `x: [N, *in]`.
fn output(layers: &[LayerSpec], x: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let network = Network::new(layers, &x.size()[1..]).expect("shapes that fit");
    let tensors = Tensors {
        parameters: &[],
        buffers: &[],
        mask,
    };
    network.forward(x, tensors)
}

fn numbers(shape: &[i64], seed: i64) -> Tensor {
    tch::manual_seed(seed);
    Tensor::randn(shape, (Kind::Double, Device::Cpu))
}

fn assert_close(case: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    let error = relative_error(found, expected);
    assert!(error < tolerance, "{case}: off by {error:e}");
}

/// 1 where a position may be looked at: every second one, all but the first, none, all.
fn mask(samples: i64, positions: i64) -> Tensor {
    let t = Tensor::arange(positions, (Kind::Int64, Device::Cpu));
    let rows = [t.remainder(2).eq(0), t.gt(0), t.lt(0), t.ge(0)];
    let rows: Vec<&Tensor> = (0..samples).map(|n| &rows[n as usize % 4]).collect();
    Tensor::stack(&rows, 0)
}

/// `[N, T, heads d] -> [N, heads, T, d]`.
fn by_head(x: &Tensor, heads: i64) -> Tensor {
    let (n, t, _) = x.size3().unwrap();
    x.reshape([n, t, heads, -1]).transpose(1, 2)
}

/// The entries of a head rotated as Hugging Face's Llama has it: `x cos + rotate_half(x) sin`.
fn rotated(x: &Tensor, base: f64) -> Tensor {
    let (t, d) = (x.size()[2], x.size()[3]);
    let angle = |t: i64, i: i64| t as f64 / base.powf(2.0 * (i % (d / 2)) as f64 / d as f64);
    let angles: Vec<f64> = (0..t * d).map(|e| angle(e / d, e % d)).collect();
    let angles = Tensor::from_slice(&angles).reshape([t, d]);
    let half = |first| x.narrow(3, first, d / 2);
    let turned = Tensor::cat(&[half(d / 2).neg(), half(0)], 3);
    x * angles.cos() + turned * angles.sin()
}

/// Masks leave something to every query here: of a row of nothing libtorch gives what it likes.
#[test]
fn attention_is_that_of_libtorch() {
    let (n, t, d) = (3, 5, 4);
    for (heads, kv_heads) in [(1, 1), (4, 4), (4, 2), (3, 1)] {
        for causal in [false, true] {
            for (scale, base) in [(None, None), (Some(0.3), Some(50.0))] {
                for masked in [false, true] {
                    let case = format!("{heads} {kv_heads} {causal} {scale:?} {masked}");
                    let x = numbers(&[n, t, (heads + 2 * kv_heads) * d], 3);
                    let sizes = [heads, kv_heads, kv_heads].map(|h| h * d);
                    let parts = x.split_with_sizes(sizes, 2);
                    let turn = |x: Tensor| match base {
                        Some(base) => rotated(&x, base),
                        None => x,
                    };
                    let q = turn(by_head(&parts[0], heads));
                    let k = turn(by_head(&parts[1], kv_heads));
                    let v = by_head(&parts[2], kv_heads);
                    let whole = Tensor::ones([n, t], (Kind::Bool, Device::Cpu));
                    let mask = match masked {
                        true => Tensor::stack(&[whole.get(0), mask(1, t).get(0), whole.get(0)], 0),
                        false => whole,
                    };
                    let seen = Tensor::ones([t, t], (Kind::Bool, Device::Cpu));
                    let seen = match causal {
                        true => seen.tril(0),
                        false => seen,
                    };
                    let seen = seen.logical_and(&mask.reshape([n, 1, 1, t]));
                    let expected = Tensor::scaled_dot_product_attention(
                        &q,
                        &k,
                        &v,
                        Some(&seen),
                        0.0,
                        false,
                        scale,
                        true,
                    );
                    let expected = expected.transpose(1, 2).flatten(2, 3);
                    let layer = attention(Attention {
                        causal,
                        kv_heads: Some(kv_heads),
                        scale,
                        rotary: base.map(|base| Rotary { base }),
                        ..Attention::new(heads)
                    });
                    let found = output(&[layer], &x, masked.then_some(&mask));
                    assert_close(&case, &found, &expected, 1e-12);
                }
            }
        }
    }
}

#[test]
fn rms_norm_is_that_of_libtorch() {
    let x = numbers(&[3, 2, 4], 1);
    for eps in [None, Some(0.1)] {
        let layer = LayerSpec::RmsNorm(RmsNorm {
            eps,
            elementwise_affine: false,
            ..RmsNorm::new(&[2, 4])
        });
        let expected = x.rms_norm([2, 4], None::<&Tensor>, eps);
        let case = format!("{eps:?}");
        assert_close(&case, &output(&[layer], &x, None), &expected, 1e-14);
    }
}

/// The same network, and a weight that is given once or under both of its names.
#[test]
fn products_equal_the_dense_matrices_where_layers_share_a_parameter() {
    let blocks = [Blocks::Full, Blocks::Parameter, Blocks::Layer];
    for (name, layers, input) in sharing() {
        for loss in [cross_entropy(Reduction::Mean), mse(Reduction::Sum)] {
            let problem = problem(&layers, &input, 4, loss, 7);
            let names = problem.network.parameters().iter().map(|p| &p.name);
            assert_eq!(names.filter(|name| *name == "0.weight").count(), 1);
            for curvature in [
                Curvature::Hessian,
                Curvature::Ggn,
                Curvature::FisherEmpirical,
            ] {
                assert_matrix(name, &problem, curvature, &blocks);
            }
        }
    }
}

/// A file of weights may hold a shared parameter under any of its names, or under both.
#[test]
fn weights_of_shared_parameters_have_either_name() {
    let (_, layers, input) = sharing().swap_remove(1);
    let network = Network::new(&layers, &input).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    let named = |p: &curvature_runner::problem::ParameterInfo| {
        (p.name.clone(), numbers(&p.shape, p.name.len() as i64))
    };
    let first: Vec<(String, Tensor)> = network.parameters().iter().map(named).collect();
    let shared = first[0].1.shallow_clone();
    let load = |tensors: &[(String, Tensor)]| {
        Tensor::write_safetensors(tensors, &file).unwrap();
        weights::load(&file, &network).map(|(tensors, _)| tensors[0].tensor())
    };
    let again = |t: &Tensor| ("4.weight".to_string(), t.shallow_clone());
    let other = || {
        first[1..]
            .iter()
            .map(|(n, t)| (n.clone(), t.shallow_clone()))
    };
    let both = [
        ("0.weight".to_string(), shared.shallow_clone()),
        again(&shared),
    ];
    let both: Vec<_> = both.into_iter().chain(other()).collect();
    let second: Vec<_> = [again(&shared)].into_iter().chain(other()).collect();
    for tensors in [&first, &both, &second] {
        assert_eq!(load(tensors).unwrap(), shared);
    }
    let mut differing = both;
    differing[1] = again(&(&shared + 1.0));
    let message = load(&differing).unwrap_err().message;
    assert!(
        message.contains("other values in \"4.weight\""),
        "{message}"
    );
}

fn masked(problem: NetworkProblem) -> NetworkProblem {
    let mut problem = problem;
    let positions = problem.network.masked_positions().map(|(_, t)| t).next();
    let samples = problem.samples() as i64;
    problem.batches[0].mask = positions.map(|t| mask(samples, t));
    problem
}

/// Masks take whole columns out, and whole rows where a causal query sees padding alone, and all of
/// a sample.
#[test]
fn products_equal_the_dense_matrices_under_masks() {
    let blocks = [Blocks::Full, Blocks::Parameter, Blocks::Layer];
    for (name, layers, input) in attentions().into_iter().chain(transformers()) {
        for loss in [cross_entropy(Reduction::Mean), mse(Reduction::Sum)] {
            let problem = masked(problem(&layers, &input, 4, loss, 7));
            for curvature in [Curvature::Hessian, Curvature::Ggn] {
                assert_matrix(name, &problem, curvature, &blocks);
            }
        }
    }
}

/// What a layer sees of the curvature right above it, against products with all its unit vectors.
#[test]
fn partial_traces_are_what_parameters_see() {
    let mut seen = 0;
    for (name, layers, input) in attentions().into_iter().chain(transformers()) {
        let problem = masked(problem(&layers, &input, 4, mse(Reduction::Sum), 7));
        let at = problem.linearize();
        for (l, layer) in at.layers().iter().enumerate() {
            let OwnCurvature::General(matrix) = &layer.own_curvature else {
                continue;
            };
            let below = &at.layers()[layer.sources().next().unwrap()];
            let Some(partial) = matrix.partial_trace() else {
                continue;
            };
            for i in 0..below.indices.len() {
                let parameters = below.parameters();
                let Some(found) = parameters.trace_of_partial(i, &partial) else {
                    continue;
                };
                let numel = below.numel(i);
                let units = Tensor::eye(numel, (Kind::Double, Device::Cpu));
                let shape = [&[numel], parameters.shape(i).as_slice()].concat();
                let dz = parameters.tangent(i, &units.reshape(shape));
                let expected = (matrix.apply(&dz) * dz).sum(Kind::Double);
                let scale = expected.abs().double_value(&[]).max(1e-3);
                let error = (found - expected).abs().double_value(&[]) / scale;
                assert!(
                    error < 1e-10,
                    "{name}, layer {l}, parameter {i}: off by {error:e}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen} parameters right below curved layers");
}

/// Above the last attention whose output is used at one position, nothing is linearised at the others: the
/// products of such networks are checked with all others.
#[test]
fn what_is_used_at_one_position_is_linearised_there_alone() {
    let layers = |head: LayerSpec| {
        let norm = || LayerSpec::LayerNorm(LayerNorm::new(&[4]));
        let gelu = LayerSpec::Gelu(Gelu::default());
        let body = vec![norm(), linear(5, true), gelu, linear(4, false)];
        let attention = attention(Attention::new(2));
        let block = vec![norm(), linear(12, true), attention, linear(4, true)];
        let blocks = vec![residual(block, vec![]), residual(body, vec![]), norm()];
        [vec![linear(4, true)], blocks, vec![head, linear(2, true)]].concat()
    };
    let outputs = |head: LayerSpec| {
        let loss = cross_entropy(Reduction::Mean);
        let problem = problem(&layers(head), &[3, 4], 2, loss, 1);
        let at = problem.linearize();
        let outputs = at.layers().iter().map(|layer| layer.output[1..].to_vec());
        outputs.collect::<Vec<_>>()
    };
    let select = |dim| LayerSpec::Select(Select { dim, index: 1 });
    let whole = [vec![3, 4], vec![1, 4], vec![3, 4], vec![3, 12]];
    let place = [4, 4, 4, 4, 5, 5, 4, 4, 4].map(|features| vec![1, features]);
    let expected = [&whole[..], &place, &[vec![4], vec![2]]].concat();
    assert_eq!(outputs(select(1)), expected);
    // Of one feature all positions are used, and of a mean.
    let all = |outputs: &[Vec<i64>]| outputs.iter().all(|z| z[0] == 3);
    assert!(all(&outputs(select(2))[..12]));
    assert!(all(&outputs(LayerSpec::Mean(Mean { dim: 1 }))[..12]));
}

/// Positions that the loss does not depend on have no curvature, and add no noise to either column.
#[test]
fn pairs_are_zero_where_the_gradient_is() {
    let (t, d) = (3, 4);
    let loss = || mse(Reduction::Mean);
    let norm = LayerSpec::LayerNorm(LayerNorm::new(&[d]));
    let networks = [
        vec![linear(d, true), norm],
        vec![linear(3 * d, true), attention(Attention::new(2))],
    ];
    for layers in networks {
        let problem = problem(&layers, &[t, 4], 2, loss(), 3);
        let at = problem.linearize();
        let g = numbers(&[2, t, d], 5);
        let _ = g.select(1, 1).zero_();
        let OwnCurvature::General(matrix) = at.layers()[1].local.own_curvature(&g) else {
            panic!("{layers:?} has curvature that is no diagonal");
        };
        let v = numbers(&[&[7], matrix.pair_shape().as_slice()].concat(), 6).sign();
        for column in matrix.pair(&v) {
            // Of attention the queries come first.
            let at_positions = column.narrow(3, 0, d).square().sum_dim_intlist(
                [0, 1, 3].as_slice(),
                false,
                None::<Kind>,
            );
            let sums = [0, 1, 2].map(|t| at_positions.double_value(&[t]));
            assert!(
                sums[0] > 1e-3 && sums[1] == 0.0 && sums[2] > 1e-3,
                "{layers:?}: {sums:?}"
            );
        }
    }
}

/// Means over 4000 passes, of every parameter: with 4.5 standard errors about 200 tests give a false
/// alarm once in 700 choices of seeds.
#[test]
fn one_pass_estimators_are_unbiased_through_attention() {
    let networks = attentions().into_iter().chain(transformers());
    let cases: Vec<_> = networks.enumerate().collect();
    side_by_side(cases, |(index, (name, layers, input))| {
        let loss = match index % 2 {
            0 => cross_entropy(Reduction::Sum),
            _ => mse(Reduction::Mean),
        };
        let problem = problem(&layers, &input, 3, loss, 7);
        let problem = match index % 3 {
            0 => masked(problem),
            _ => problem,
        };
        let problem = Problem::Network(problem);
        let expected = exact_traces(&problem, Curvature::Hessian);
        for estimator in [
            EstimatorSpec::Propagation(Propagation::default()),
            activation(PassKind::Separate, ActivationProbe::Rademacher),
        ] {
            let runs = each_seed(&task(&estimator), &problem, &[4000].into(), 200, 1);
            let estimate = &runs[0][0];
            for (i, (found, expected)) in estimate.parameters.iter().zip(&expected).enumerate() {
                let error = found.std_error.unwrap_or(0.0) + 1e-9 * expected.abs().max(1.0);
                assert!(
                    (found.mean - expected).abs() < 4.5 * error,
                    "{estimator:?} on {name}, parameter {i}: {} ± {error}, expected {expected}",
                    found.mean
                );
            }
        }
    });
}
