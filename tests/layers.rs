//! Layers against libtorch and torch.nn: shapes, values, first parameters, and messages.

use crate::support;
use curvature_runner::problem::generator::TorchGenerator;
use curvature_runner::problem::layer::{
    AvgPool, Conv, ConvTranspose, Elu, Hardtanh, Layer, LayerSpec, LeakyRelu, MaxPool, Module,
    Softplus,
};
use curvature_runner::problem::{Combine, Network, initialise};
use curvature_runner::spec::SpecText;
use support::*;
use tch::{Device, Kind, Tensor};

/// A layer as a spec has it.
fn read(text: &str) -> Result<LayerSpec, String> {
    let source = SpecText::new("layer.toml", text.replace("; ", "\n"));
    source.deserialize().map_err(|error| error.to_string())
}

fn built(spec: &LayerSpec, input: &[i64]) -> Option<Vec<i64>> {
    spec.module(input).ok().map(|module| layer(module).1)
}

fn layer(module: Module<'_>) -> (Box<dyn Layer>, Vec<i64>) {
    match module {
        Module::Layer(layer, output) => (layer, output),
        Module::Branches(_) => panic!("a layer by itself was expected"),
    }
}

fn samples(input: &[i64]) -> Tensor {
    Tensor::rand([&[1], input].concat(), (Kind::Double, Device::Cpu))
}

/// `torch.manual_seed(0)`, then the modules of torch.nn 2.11 in a row; the first two, the last and
/// the sum of each parameter.
#[test]
fn parameters_start_as_in_torch() {
    let layers = [
        LayerSpec::Conv2d(Conv::new(4, [5, 3])),
        LayerSpec::BatchNorm2d(Default::default()),
        LayerSpec::Conv2d(Conv {
            groups: 2,
            bias: false,
            ..Conv::new(6, 3)
        }),
        LayerSpec::ConvTranspose2d(ConvTranspose {
            groups: 2,
            ..ConvTranspose::new(4, [2, 3])
        }),
    ];
    let network = Network::new(&layers, &[3, 9, 9]).unwrap();
    let mut parameters = initialise(&network, &mut TorchGenerator::seeded(0));
    let buffers = parameters.split_off(network.parameters().len());
    assert_eq!(buffers.len(), 2, "mean and variance");
    let expected: [(&str, &[i64], [f32; 3], f64); 7] = [
        (
            "0.weight",
            &[4, 3, 5, 3],
            [-0.001116069, 0.07996829, -0.1204637],
            -1.519446,
        ),
        (
            "0.bias",
            &[4],
            [0.01599607, -0.03121085, 0.04161241],
            0.1328513,
        ),
        ("1.weight", &[4], [1.0, 1.0, 1.0], 4.0),
        ("1.bias", &[4], [0.0, 0.0, 0.0], 0.0),
        (
            "2.weight",
            &[6, 2, 3, 3],
            [0.1132562, 0.08324036, 0.07971472],
            -1.049485,
        ),
        (
            "3.weight",
            &[6, 2, 2, 3],
            [0.09126924, -0.005954956, 0.2279004],
            1.473902,
        ),
        ("3.bias", &[4], [0.1561835, 0.2708395, -0.2578], 0.4004868),
    ];
    assert_eq!(parameters.len(), expected.len());
    for ((found, info), (name, shape, entries, sum)) in
        parameters.iter().zip(network.parameters()).zip(expected)
    {
        assert_eq!((info.name.as_str(), info.shape.as_slice()), (name, shape));
        let flat = Vec::<f32>::try_from(found.flatten(0, -1)).unwrap();
        // The last bit depends on whether libtorch fuses its multiplication and addition.
        for (found, entry) in [flat[0], flat[1], flat[flat.len() - 1]].iter().zip(entries) {
            assert!((found - entry).abs() < 1e-7, "{name}: {found} for {entry}");
        }
        let total: f64 = flat.iter().map(|&x| f64::from(x)).sum();
        assert!((total - sum).abs() < 1e-6, "{name}: {total} against {sum}");
    }
}

/// Sizes, kernels, strides, paddings and dilations that fit and that do not.
fn geometries() -> impl Iterator<Item = [i64; 5]> {
    let sizes = [1, 2, 5, 8];
    sizes.into_iter().flat_map(|size| {
        (1..4).flat_map(move |kernel| {
            (1..4).flat_map(move |stride| {
                (0..3).flat_map(move |padding| {
                    (1..3).map(move |dilation| [size, kernel, stride, padding, dilation])
                })
            })
        })
    })
}

#[test]
fn shapes_are_those_of_libtorch() {
    for [size, k, s, p, d] in geometries() {
        let case = format!("size {size}, kernel {k}, stride {s}, padding {p}, dilation {d}");
        let x = samples(&[2, size]);
        let after = |z: Result<Tensor, _>| z.ok().map(|z: Tensor| z.size()[1..].to_vec());
        let conv = LayerSpec::Conv1d(Conv {
            stride: s.into(),
            padding: p.into(),
            dilation: d.into(),
            ..Conv::new(3, k)
        });
        let w = samples(&[3, 2, k]).squeeze_dim(0);
        let z = x.f_conv1d(&w, None::<&Tensor>, s, p, d, 1);
        assert_eq!(built(&conv, &[2, size]), after(z), "conv1d, {case}");
        for added in 0..3 {
            let conv = LayerSpec::ConvTranspose1d(ConvTranspose {
                stride: s.into(),
                padding: p.into(),
                dilation: d.into(),
                output_padding: added.into(),
                ..ConvTranspose::new(3, k)
            });
            let w = samples(&[2, 3, k]).squeeze_dim(0);
            let z = x.f_conv_transpose1d(&w, None::<&Tensor>, s, p, added, 1, d);
            let case = format!("conv_transpose1d, output_padding {added}, {case}");
            assert_eq!(built(&conv, &[2, size]), after(z), "{case}");
        }
        for ceil_mode in [false, true] {
            let case = format!("{case}, ceil_mode {ceil_mode}");
            let pool = LayerSpec::MaxPool1d(MaxPool {
                stride: Some(s.into()),
                padding: p.into(),
                dilation: d.into(),
                ceil_mode,
                ..MaxPool::new(k)
            });
            let z = x.f_max_pool1d(k, s, p, d, ceil_mode);
            assert_eq!(built(&pool, &[2, size]), after(z), "max_pool1d, {case}");
            let pool = LayerSpec::AvgPool1d(AvgPool {
                stride: Some(s.into()),
                padding: p.into(),
                ceil_mode,
                ..AvgPool::new(k)
            });
            let z = x.f_avg_pool1d(k, s, p, ceil_mode, true);
            assert_eq!(built(&pool, &[2, size]), after(z), "avg_pool1d, {case}");
        }
    }
}

/// tch binds these without their keys, so that they are composed; with the defaults they must
/// equal libtorch's own.
#[test]
fn composed_activations_equal_libtorch() {
    let x = Tensor::linspace(-30, 30, 601, (Kind::Double, Device::Cpu)).unsqueeze(0);
    let cases = [
        (LayerSpec::Elu(Elu::default()), x.elu()),
        (LayerSpec::Hardtanh(Hardtanh::default()), x.hardtanh()),
        (LayerSpec::LeakyRelu(LeakyRelu::default()), x.leaky_relu()),
        (LayerSpec::Softplus(Softplus::default()), x.softplus()),
    ];
    for (spec, expected) in cases {
        let (layer, _) = layer(spec.module(&[601]).unwrap());
        let error = relative_error(&layer.forward(&x, &[]), &expected);
        assert!(error < 1e-15, "{}: off by {error:e}", spec.kind());
    }
}

#[test]
fn keys_are_those_of_torch() {
    let cases = [
        (
            "kind = 'conv2d'; out = 4; kernel_size = 3",
            LayerSpec::Conv2d(Conv::new(4, 3)),
        ),
        (
            "kind = 'conv2d'; out = 4; kernel_size = [3, 5]; stride = 2; padding = [1, 0]; dilation = [2, 2]; groups = 2; bias = false",
            LayerSpec::Conv2d(Conv {
                stride: 2.into(),
                padding: [1, 0].into(),
                dilation: 2.into(),
                groups: 2,
                bias: false,
                ..Conv::new(4, [3, 5])
            }),
        ),
        (
            "kind = 'conv1d'; out = 4; kernel_size = [3]",
            LayerSpec::Conv1d(Conv::new(4, 3)),
        ),
        (
            "kind = 'max_pool2d'; kernel_size = 3; stride = [2, 1]; ceil_mode = true",
            LayerSpec::MaxPool2d(MaxPool {
                stride: Some([2, 1].into()),
                ceil_mode: true,
                ..MaxPool::new(3)
            }),
        ),
        (
            "kind = 'elu'; alpha = 2",
            LayerSpec::Elu(Elu { alpha: 2.0 }),
        ),
        (
            "kind = 'batch_norm2d'",
            LayerSpec::BatchNorm2d(Default::default()),
        ),
        ("kind = 'gelu'", LayerSpec::Gelu(Default::default())),
    ];
    for (text, expected) in cases {
        let spec = read(text).unwrap();
        assert_eq!(spec, expected, "{text}");
        let written = toml::to_string(&spec).unwrap();
        assert_eq!(read(&written).unwrap(), spec, "{written}");
    }
}

#[test]
fn mistakes_have_messages() {
    let cases: [(&str, &[i64], &str); 22] = [
        (
            "kind = 'conv2d'; out = 0; kernel_size = 3",
            &[1, 5, 5],
            "`out` of at least 1, found 0",
        ),
        (
            "kind = 'conv2d'; out = 1; kernel_size = 0",
            &[1, 5, 5],
            "`kernel_size` from 1 to 16777216, found 0",
        ),
        (
            "kind = 'conv2d'; out = 1; kernel_size = [3, 99999999]",
            &[1, 5, 5],
            "`kernel_size` from 1 to 16777216, found 99999999",
        ),
        (
            "kind = 'conv2d'; out = 1; kernel_size = 3; stride = [1, -1]",
            &[1, 5, 5],
            "`stride` from 1 to 16777216, found -1",
        ),
        (
            "kind = 'conv2d'; out = 1; kernel_size = 3; padding = -1",
            &[1, 5, 5],
            "`padding` from 0 to 16777216, found -1",
        ),
        (
            "kind = 'conv2d'; out = 1; kernel_size = 3; groups = 0",
            &[1, 5, 5],
            "`groups` of at least 1, found 0",
        ),
        (
            "kind = 'conv2d'; out = 6; kernel_size = 3; groups = 3",
            &[4, 5, 5],
            "`groups` that divide in- and out-channels, 4 and 6, found 3",
        ),
        (
            "kind = 'conv2d'; out = 1; kernel_size = [2, 6]; padding = [0, 1]; dilation = 2",
            &[1, 5, 5],
            "at least [3, 9] positions per channel under its kernel",
        ),
        (
            "kind = 'conv2d'; out = 1; kernel_size = 1",
            &[25],
            "an input [channels, height, width]",
        ),
        (
            "kind = 'conv1d'; out = 1; kernel_size = 1",
            &[1, 5, 5],
            "an input [channels, length]",
        ),
        (
            "kind = 'max_pool3d'; kernel_size = 1",
            &[1, 5, 5],
            "an input [channels, depth, height, width]",
        ),
        (
            "kind = 'max_pool2d'; kernel_size = 3; padding = 2",
            &[1, 5, 5],
            "`padding` of at most half of kernel_size [3, 3], found [2, 2]",
        ),
        (
            "kind = 'avg_pool1d'; kernel_size = 2; divisor_override = 2",
            &[1, 5],
            "`divisor_override` of at least 1, or none in one dimension, found 2",
        ),
        (
            "kind = 'conv_transpose2d'; out = 1; kernel_size = 1; output_padding = 1",
            &[1, 2, 2],
            "`output_padding` below stride or dilation, found [1, 1]",
        ),
        (
            "kind = 'conv_transpose2d'; out = 1; kernel_size = 1; padding = 1",
            &[1, 2, 2],
            "`padding` that leaves something of its output, found [1, 1]",
        ),
        (
            "kind = 'zero_pad2d'; padding = [0, 0, -1, -1]",
            &[1, 2, 2],
            "`padding` that leaves something of its input, found [0, 0, -1, -1]",
        ),
        (
            "kind = 'adaptive_avg_pool2d'; output_size = 0",
            &[1, 2, 2],
            "`output_size` from 1 to 16777216, found 0",
        ),
        (
            "kind = 'dropout'; p = 1.5",
            &[2],
            "`p` from 0 to 1, found 1.5",
        ),
        (
            "kind = 'batch_norm1d'; eps = -1.0",
            &[2],
            "`eps` of 0 or more, found -1",
        ),
        (
            "kind = 'leaky_relu'; negative_slope = nan",
            &[2],
            "`negative_slope` to be finite, found NaN",
        ),
        (
            "kind = 'softplus'; beta = 0",
            &[2],
            "`beta` other than 0, found 0",
        ),
        (
            "kind = 'hardtanh'; min_val = 2",
            &[2],
            "`min_val` below max_val = 1, found 2",
        ),
    ];
    for (text, input, expected) in cases {
        let spec = read(text).unwrap();
        let misfit = spec.module(input).err();
        let misfit = misfit.unwrap_or_else(|| panic!("{text} was taken"));
        assert_eq!(misfit.expected, expected, "{text}");
        assert!(!misfit.remedy.is_empty(), "{text}");
    }
}

#[test]
fn sizes_that_cannot_be_read_have_messages() {
    let cases = [
        (
            "kernel_size = [3, 3, 3]",
            "found a list of 3, expected an integer or a list of 2 integers",
        ),
        (
            "kernel_size = '3'",
            "found \"3\", expected an integer or a list of 2 integers",
        ),
        ("kernel_size = [3, 'a']", "found \"a\", expected an integer"),
        (
            "kernel_size = 3.5",
            "found 3.5, expected an integer or a list of 2 integers",
        ),
    ];
    for (key, expected) in cases {
        let message = read(&format!("kind = 'conv2d'; out = 2; {key}")).unwrap_err();
        assert!(message.contains(expected), "{key}: {message}");
    }
}

/// Parameters stand in the order in which torch.nn registers the lists, under their names.
#[test]
fn nested_layers_have_names() {
    let layers = [
        flatten(),
        parallel(
            Combine::Cat,
            vec![
                vec![],
                vec![tanh(), residual(vec![linear(4, false)], vec![])],
            ],
        ),
        residual(vec![tanh(), linear(2, true)], vec![linear(2, false)]),
    ];
    let network = Network::new(&layers, &[1, 4]).unwrap();
    let names: Vec<&str> = network
        .parameters()
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "1.branches.1.1.body.0.weight",
            "2.body.1.weight",
            "2.body.1.bias",
            "2.shortcut.0.weight",
        ]
    );
    assert_eq!(network.output(), [2]);
    assert_eq!(network.parameters()[1].shape, [2, 8]);
}

#[test]
fn branches_that_do_not_meet_have_messages() {
    let cases: [(&str, &str, &str); 6] = [
        (
            "kind = 'residual'; body = [{ kind = 'linear', out = 5 }]",
            "layers[0]",
            "residual expects branches that put out the same shape, found body [5], shortcut [4]; its input has shape [4]",
        ),
        (
            "kind = 'parallel'; combine = 'cat'; branches = []",
            "layers[0].branches",
            "parallel expects `branches` with at least one list of layers, found []",
        ),
        (
            "kind = 'parallel'; combine = 'multiply'; dim = 2; branches = [[]]",
            "layers[0]",
            "parallel expects no `dim` beside this `combine`, found dim = 2; its input has shape [4]",
        ),
        (
            "kind = 'parallel'; combine = 'cat'; dim = 2; branches = [[]]",
            "layers[0].dim",
            "parallel expects `dim` from 1 to 1 or from -1 to -1, as an input of shape [4] has such axes after that of the samples, found 2",
        ),
        (
            "kind = 'parallel'; combine = 'add'; branches = [[], [{ kind = 'linear', out = 3 }]]",
            "layers[0]",
            "parallel expects branches that put out the same shape, found branches[0] [4], branches[1] [3]; its input has shape [4]",
        ),
        (
            "kind = 'parallel'; combine = 'add'; branches = [[], [{ kind = 'tanh' }, { kind = 'linear', out = 0 }]]",
            "layers[0].branches[1][1].out",
            "linear expects `out` of at least 1, found 0",
        ),
    ];
    for (text, key, message) in cases {
        let error = Network::new(&[read(text).unwrap()], &[4]).unwrap_err();
        assert_eq!((error.key.as_str(), error.message.as_str()), (key, message));
    }
}
