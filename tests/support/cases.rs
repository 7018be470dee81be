//! The table of networks that drives all tests of products, rules and estimators.

use super::transformers::{attentions, transformers};
use super::*;
use curvature_runner::problem::layer::{
    AdaptiveAvgPool, Approximation, AvgPool, BatchNorm, ClassToken, Conv, ConvTranspose, Dropout,
    Elu, Embedding, Gelu, GroupNorm, Hardtanh, LayerNorm, LeakyRelu, LogSigmoid, MaxPool, Mean,
    Permute, PositionalEmbedding, RmsNorm, Select, Selu, Silu, Softplus, ZeroPad,
};
use curvature_runner::problem::loss::BceWithLogits;

/// A name, the layers, and the shape of a sample.
pub type Network = (&'static str, Vec<LayerSpec>, Vec<i64>);

/// Networks of linear layers and activations, small enough for every loss and batch.
fn dense() -> Vec<Network> {
    vec![
        ("linear", vec![linear(3, false)], vec![4]),
        ("linear with bias", vec![linear(3, true)], vec![4]),
        (
            "sigmoid",
            vec![flatten(), linear(5, false), sigmoid(), linear(3, false)],
            vec![1, 2, 3],
        ),
        (
            "tanh",
            vec![linear(5, true), tanh(), linear(3, true)],
            vec![4],
        ),
        (
            "relu",
            vec![linear(5, true), relu(), linear(3, true)],
            vec![4],
        ),
        (
            "deep",
            vec![
                linear(6, true),
                tanh(),
                linear(5, false),
                sigmoid(),
                linear(4, true),
                tanh(),
                linear(3, true),
            ],
            vec![4],
        ),
        (
            "activations in a row, one at the end",
            vec![linear(4, true), tanh(), sigmoid(), linear(3, true), tanh()],
            vec![2],
        ),
        (
            "activation and flatten in between",
            vec![
                linear(4, true),
                tanh(),
                flatten(),
                sigmoid(),
                linear(3, false),
            ],
            vec![2],
        ),
        (
            "linear on linear",
            vec![linear(4, true), linear(3, true)],
            vec![2],
        ),
        (
            "activation on the data",
            vec![tanh(), linear(3, true), sigmoid()],
            vec![2],
        ),
    ]
}

/// Networks of convolutions and max pooling.
fn convolutions() -> Vec<Network> {
    vec![
        (
            "conv2d",
            vec![conv2d(Conv::new(2, 3)), flatten(), linear(3, true)],
            vec![2, 5, 4],
        ),
        (
            "linear on the last axis of several, below and above others",
            vec![
                linear(3, true),
                tanh(),
                linear(2, false),
                sigmoid(),
                flatten(),
                linear(3, true),
            ],
            vec![2, 3, 4],
        ),
        (
            "linear at a single position",
            vec![linear(3, true), tanh(), linear(2, true), flatten()],
            vec![1, 4],
        ),
        (
            "conv2d, stride and padding that do not divide evenly",
            vec![
                conv2d(Conv {
                    stride: [2, 3].into(),
                    padding: [1, 2].into(),
                    ..Conv::new(2, [3, 2])
                }),
                tanh(),
                flatten(),
                linear(3, false),
            ],
            vec![1, 6, 5],
        ),
        (
            "conv2d, dilation",
            vec![
                conv2d(Conv {
                    dilation: [2, 1].into(),
                    padding: [0, 1].into(),
                    stride: [1, 2].into(),
                    ..Conv::new(2, [3, 2])
                }),
                sigmoid(),
                flatten(),
            ],
            vec![2, 6, 4],
        ),
        (
            "conv2d, groups, on conv2d",
            vec![
                conv2d(Conv::new(4, 2)),
                tanh(),
                conv2d(Conv {
                    groups: 2,
                    bias: false,
                    stride: 2.into(),
                    ..Conv::new(6, [2, 1])
                }),
                sigmoid(),
                flatten(),
                linear(2, true),
            ],
            vec![1, 4, 5],
        ),
        (
            "conv2d on conv2d on conv2d, nothing in between",
            vec![
                conv2d(Conv {
                    padding: 1.into(),
                    ..Conv::new(2, 2)
                }),
                conv2d(Conv {
                    groups: 2,
                    padding: 1.into(),
                    stride: 2.into(),
                    dilation: 2.into(),
                    ..Conv::new(4, [2, 3])
                }),
                conv2d(Conv::new(3, 1)),
                tanh(),
                flatten(),
            ],
            vec![1, 3, 4],
        ),
        (
            "conv2d, one position",
            vec![
                conv2d(Conv::new(3, [2, 3])),
                tanh(),
                flatten(),
                linear(2, true),
            ],
            vec![2, 2, 3],
        ),
        (
            "conv2d, tanh, max_pool2d, twice",
            vec![
                conv2d(Conv {
                    padding: 1.into(),
                    ..Conv::new(2, 3)
                }),
                tanh(),
                max_pool2d(MaxPool::new(2)),
                conv2d(Conv::new(3, 2)),
                tanh(),
                max_pool2d(MaxPool::new([1, 2])),
                flatten(),
                linear(3, true),
            ],
            vec![1, 5, 7],
        ),
        (
            "max_pool2d, overlapping, padded, dilated",
            vec![
                conv2d(Conv::new(2, 2)),
                max_pool2d(MaxPool {
                    stride: Some([1, 2].into()),
                    padding: 1.into(),
                    dilation: [2, 1].into(),
                    ..MaxPool::new([2, 3])
                }),
                sigmoid(),
                flatten(),
                linear(3, false),
            ],
            vec![1, 5, 6],
        ),
        (
            "max_pool2d, overlapping, over an activation that falls and rises",
            vec![
                conv2d(Conv::new(2, 2)),
                LayerSpec::Silu(Silu::default()),
                max_pool2d(MaxPool {
                    stride: Some(2.into()),
                    padding: 1.into(),
                    ..MaxPool::new(3)
                }),
                conv2d(Conv::new(2, 2)),
                flatten(),
                linear(3, false),
            ],
            vec![1, 6, 7],
        ),
        (
            "max_pool2d, ceil_mode, below another",
            vec![
                conv2d(Conv::new(2, [1, 2])),
                sigmoid(),
                max_pool2d(MaxPool {
                    ceil_mode: true,
                    ..MaxPool::new(2)
                }),
                max_pool2d(MaxPool {
                    stride: Some(1.into()),
                    ..MaxPool::new(2)
                }),
                flatten(),
            ],
            vec![1, 5, 6],
        ),
        (
            "conv1d and max_pool1d",
            vec![
                LayerSpec::Conv1d(Conv {
                    stride: 2.into(),
                    padding: 1.into(),
                    ..Conv::new(3, 3)
                }),
                tanh(),
                LayerSpec::MaxPool1d(MaxPool {
                    stride: Some(1.into()),
                    ..MaxPool::new(2)
                }),
                LayerSpec::Conv1d(Conv {
                    groups: 3,
                    ..Conv::new(3, 2)
                }),
                flatten(),
                linear(2, true),
            ],
            vec![2, 8],
        ),
        (
            "conv3d and max_pool3d",
            vec![
                LayerSpec::Conv3d(Conv {
                    padding: [0, 1, 0].into(),
                    stride: [1, 2, 1].into(),
                    ..Conv::new(2, [1, 2, 2])
                }),
                tanh(),
                LayerSpec::MaxPool3d(MaxPool::new([2, 1, 2])),
                LayerSpec::Conv3d(Conv::new(2, [1, 2, 1])),
                sigmoid(),
                flatten(),
            ],
            vec![1, 2, 3, 5],
        ),
    ]
}

/// Networks of transposed convolutions, averages, padding, normalisation.
fn linear_maps() -> Vec<Network> {
    vec![
        (
            "conv_transpose2d",
            vec![
                LayerSpec::ConvTranspose2d(ConvTranspose::new(2, [2, 3])),
                tanh(),
                flatten(),
                linear(2, true),
            ],
            vec![3, 2, 3],
        ),
        (
            "conv_transpose2d, stride, padding, output_padding, groups, on conv2d",
            vec![
                conv2d(Conv::new(4, 2)),
                sigmoid(),
                LayerSpec::ConvTranspose2d(ConvTranspose {
                    stride: [3, 2].into(),
                    padding: [1, 2].into(),
                    output_padding: [2, 1].into(),
                    groups: 2,
                    ..ConvTranspose::new(2, [2, 3])
                }),
                tanh(),
                flatten(),
                linear(2, false),
            ],
            vec![1, 3, 4],
        ),
        (
            "conv_transpose2d, dilation with output_padding above the stride",
            vec![
                LayerSpec::ConvTranspose2d(ConvTranspose {
                    dilation: [3, 1].into(),
                    output_padding: [2, 0].into(),
                    bias: false,
                    ..ConvTranspose::new(2, 2)
                }),
                tanh(),
                LayerSpec::ConvTranspose2d(ConvTranspose::new(1, 2)),
                flatten(),
            ],
            vec![2, 2, 3],
        ),
        (
            "conv_transpose1d",
            vec![
                LayerSpec::ConvTranspose1d(ConvTranspose {
                    stride: 2.into(),
                    ..ConvTranspose::new(3, 3)
                }),
                sigmoid(),
                LayerSpec::ConvTranspose1d(ConvTranspose::new(1, 2)),
                flatten(),
            ],
            vec![2, 3],
        ),
        (
            "conv_transpose3d",
            vec![
                LayerSpec::ConvTranspose3d(ConvTranspose {
                    stride: [1, 2, 1].into(),
                    ..ConvTranspose::new(2, [2, 1, 2])
                }),
                tanh(),
                flatten(),
            ],
            vec![2, 1, 2, 2],
        ),
        (
            "avg_pool2d, uneven, padded, ceil_mode",
            vec![
                conv2d(Conv::new(2, 2)),
                tanh(),
                LayerSpec::AvgPool2d(AvgPool {
                    stride: Some([2, 1].into()),
                    padding: [1, 0].into(),
                    ceil_mode: true,
                    count_include_pad: false,
                    ..AvgPool::new([3, 2])
                }),
                conv2d(Conv::new(2, 2)),
                LayerSpec::AvgPool2d(AvgPool {
                    divisor_override: Some(3),
                    ..AvgPool::new([1, 2])
                }),
                flatten(),
            ],
            vec![1, 5, 6],
        ),
        (
            "avg_pool1d and adaptive_avg_pool1d",
            vec![
                LayerSpec::Conv1d(Conv::new(2, 2)),
                LayerSpec::AvgPool1d(AvgPool {
                    stride: Some(1.into()),
                    padding: 1.into(),
                    ..AvgPool::new(2)
                }),
                sigmoid(),
                LayerSpec::Conv1d(Conv::new(2, 2)),
                LayerSpec::AdaptiveAvgPool1d(AdaptiveAvgPool {
                    output_size: 2.into(),
                }),
                flatten(),
            ],
            vec![2, 6],
        ),
        (
            "avg_pool3d and adaptive_avg_pool3d",
            vec![
                LayerSpec::Conv3d(Conv::new(2, 1)),
                tanh(),
                LayerSpec::AvgPool3d(AvgPool::new([1, 2, 1])),
                LayerSpec::Conv3d(Conv::new(2, [2, 1, 1])),
                LayerSpec::AdaptiveAvgPool3d(AdaptiveAvgPool {
                    output_size: [1, 2, 2].into(),
                }),
                flatten(),
            ],
            vec![1, 2, 4, 3],
        ),
        (
            "adaptive_avg_pool2d, global",
            vec![
                conv2d(Conv::new(3, 2)),
                tanh(),
                LayerSpec::AdaptiveAvgPool2d(AdaptiveAvgPool {
                    output_size: [2, 3].into(),
                }),
                conv2d(Conv::new(3, [1, 2])),
                LayerSpec::AdaptiveAvgPool2d(AdaptiveAvgPool {
                    output_size: 1.into(),
                }),
                flatten(),
            ],
            vec![1, 4, 5],
        ),
        (
            "zero_pad2d and dropout",
            vec![
                conv2d(Conv::new(2, 2)),
                LayerSpec::Dropout(Dropout::default()),
                tanh(),
                LayerSpec::ZeroPad2d(ZeroPad {
                    padding: [1, 2, -1, 3].into(),
                }),
                LayerSpec::Dropout(Dropout { p: 0.1 }),
                conv2d(Conv {
                    stride: 3.into(),
                    ..Conv::new(2, 2)
                }),
                flatten(),
            ],
            vec![1, 3, 4],
        ),
        (
            "zero_pad1d and zero_pad3d",
            vec![
                LayerSpec::Conv3d(Conv::new(2, 1)),
                sigmoid(),
                LayerSpec::ZeroPad3d(ZeroPad {
                    padding: [0, 1, 1, 0, 0, -1].into(),
                }),
                flatten(),
                linear(2, false),
            ],
            vec![1, 2, 1, 2],
        ),
        (
            "zero_pad1d",
            vec![
                LayerSpec::Conv1d(Conv::new(2, 2)),
                sigmoid(),
                LayerSpec::ZeroPad1d(ZeroPad {
                    padding: [2, 1].into(),
                }),
                flatten(),
                linear(2, false),
            ],
            vec![1, 4],
        ),
        (
            "batch_norm2d, batch_norm1d",
            vec![
                conv2d(Conv::new(3, 2)),
                LayerSpec::BatchNorm2d(BatchNorm::default()),
                tanh(),
                LayerSpec::BatchNorm2d(BatchNorm {
                    eps: 0.5,
                    affine: false,
                }),
                flatten(),
                linear(3, true),
                LayerSpec::BatchNorm1d(BatchNorm::default()),
                sigmoid(),
                linear(2, false),
            ],
            vec![1, 3, 4],
        ),
        (
            "batch_norm1d on sequences, batch_norm3d, at the bottom",
            vec![
                LayerSpec::BatchNorm1d(BatchNorm::default()),
                tanh(),
                LayerSpec::Conv1d(Conv::new(3, 2)),
                flatten(),
            ],
            vec![2, 4],
        ),
        (
            "batch_norm3d",
            vec![
                LayerSpec::Conv3d(Conv::new(2, 2)),
                LayerSpec::BatchNorm3d(BatchNorm::default()),
                sigmoid(),
                flatten(),
            ],
            vec![1, 2, 3, 3],
        ),
    ]
}

/// Every activation between two linear layers, and on the output of another.
fn activations() -> Vec<Network> {
    let all = [
        ("elu", LayerSpec::Elu(Elu::default())),
        ("elu, alpha", LayerSpec::Elu(Elu { alpha: 0.3 })),
        ("gelu", LayerSpec::Gelu(Gelu::default())),
        (
            "gelu, tanh",
            LayerSpec::Gelu(Gelu {
                approximate: Approximation::Tanh,
            }),
        ),
        ("hardtanh", LayerSpec::Hardtanh(Hardtanh::default())),
        (
            "hardtanh, bounds",
            LayerSpec::Hardtanh(Hardtanh {
                min_val: -0.2,
                max_val: 0.4,
            }),
        ),
        ("leaky_relu", LayerSpec::LeakyRelu(LeakyRelu::default())),
        (
            "leaky_relu, negative_slope",
            LayerSpec::LeakyRelu(LeakyRelu {
                negative_slope: 0.3,
            }),
        ),
        ("log_sigmoid", LayerSpec::LogSigmoid(LogSigmoid {})),
        ("selu", LayerSpec::Selu(Selu {})),
        ("silu", LayerSpec::Silu(Silu {})),
        ("softplus", LayerSpec::Softplus(Softplus::default())),
        (
            "softplus, beta and a threshold that some pass",
            LayerSpec::Softplus(Softplus {
                beta: 2.0,
                threshold: 0.5,
            }),
        ),
    ];
    let network = |(name, activation): (&'static str, LayerSpec)| {
        let layers = vec![
            linear(5, true),
            activation.clone(),
            tanh(),
            linear(3, true),
            activation,
        ];
        (name, layers, vec![4])
    };
    all.into_iter().map(network).collect()
}

/// Layers whose curvature is no diagonal, under and over others, and embeddings.
pub fn normalisations() -> Vec<Network> {
    let layer_norm = |shape: &[i64]| LayerSpec::LayerNorm(LayerNorm::new(shape));
    let embedding = |dim, padding_idx| {
        LayerSpec::Embedding(Embedding {
            num_embeddings: 5,
            embedding_dim: dim,
            padding_idx,
        })
    };
    vec![
        (
            "layer_norm between linear layers",
            vec![
                linear(4, true),
                tanh(),
                linear(5, true),
                layer_norm(&[5]),
                tanh(),
                linear(3, true),
            ],
            vec![3],
        ),
        (
            "layer_norm on the data and last, without affine or bias",
            vec![
                LayerSpec::LayerNorm(LayerNorm {
                    elementwise_affine: false,
                    ..LayerNorm::new(&[4])
                }),
                linear(3, false),
                LayerSpec::LayerNorm(LayerNorm {
                    bias: false,
                    eps: 0.1,
                    ..LayerNorm::new(&[3])
                }),
            ],
            vec![4],
        ),
        (
            "layer_norm over some axes and over all",
            vec![
                LayerSpec::Conv2d(Conv::new(2, 2)),
                layer_norm(&[3]),
                sigmoid(),
                LayerSpec::Conv2d(Conv::new(2, 1)),
                layer_norm(&[2, 2, 3]),
                flatten(),
                linear(2, true),
            ],
            vec![1, 3, 4],
        ),
        (
            "group_norm",
            vec![
                LayerSpec::Conv2d(Conv::new(4, 2)),
                LayerSpec::GroupNorm(GroupNorm::new(2)),
                tanh(),
                LayerSpec::Conv2d(Conv::new(2, 1)),
                LayerSpec::GroupNorm(GroupNorm {
                    affine: false,
                    ..GroupNorm::new(1)
                }),
                flatten(),
                linear(2, true),
            ],
            vec![1, 3, 3],
        ),
        (
            "one output under a layer_norm and an activation",
            vec![
                linear(4, true),
                parallel(
                    Combine::Add,
                    vec![
                        vec![layer_norm(&[4]), linear(3, true)],
                        vec![tanh(), linear(3, false)],
                    ],
                ),
                residual(vec![layer_norm(&[3]), tanh()], vec![]),
                layer_norm(&[3]),
            ],
            vec![2],
        ),
        (
            "layer_norm of two entries",
            vec![linear(2, true), layer_norm(&[2]), linear(2, false)],
            vec![2],
        ),
        (
            "embedding",
            vec![
                embedding(2, None),
                tanh(),
                layer_norm(&[2]),
                flatten(),
                linear(2, true),
            ],
            vec![4],
        ),
        (
            "embeddings of the same tokens, one with padding",
            vec![
                parallel(
                    Combine::Cat,
                    vec![
                        vec![embedding(2, Some(1))],
                        vec![embedding(2, None), tanh()],
                    ],
                ),
                flatten(),
                linear(3, true),
            ],
            vec![1],
        ),
    ]
}

/// Layers of transformers, but for attention.
pub fn around_attention() -> Vec<Network> {
    let permute = |dims: &[i64]| {
        LayerSpec::Permute(Permute {
            dims: dims.to_vec(),
        })
    };
    let select = |dim, index| LayerSpec::Select(Select { dim, index });
    let mean = |dim| LayerSpec::Mean(Mean { dim });
    let positions = || LayerSpec::PositionalEmbedding(PositionalEmbedding::default());
    let class_token = || LayerSpec::ClassToken(ClassToken {});
    let rms_norm = |shape: &[i64]| LayerSpec::RmsNorm(RmsNorm::new(shape));
    let multiply = |branches| parallel(Combine::Multiply, branches);
    vec![
        (
            "rms_norm between linear layers, at positions, without affine",
            vec![
                linear(4, true),
                rms_norm(&[4]),
                tanh(),
                linear(3, true),
                LayerSpec::RmsNorm(RmsNorm {
                    eps: Some(0.1),
                    elementwise_affine: false,
                    ..RmsNorm::new(&[2, 3])
                }),
                flatten(),
                linear(2, false),
            ],
            vec![2, 3],
        ),
        (
            "rms_norm on the data and last, of one entry",
            vec![
                rms_norm(&[3]),
                linear(3, false),
                rms_norm(&[3]),
                linear(1, true),
                rms_norm(&[1]),
                linear(2, true),
                rms_norm(&[2]),
            ],
            vec![3],
        ),
        (
            "positional_embedding and class_token under an activation, select",
            vec![
                linear(3, true),
                class_token(),
                positions(),
                tanh(),
                linear(3, false),
                select(1, 0),
                linear(2, true),
            ],
            vec![2, 2],
        ),
        (
            "positional_embedding and class_token on the data",
            vec![
                positions(),
                class_token(),
                sigmoid(),
                mean(-2),
                linear(2, true),
            ],
            vec![3, 2],
        ),
        (
            "positional_embedding of one position, on an activation, last",
            vec![linear(3, true), tanh(), positions(), select(-2, -1)],
            vec![1, 2],
        ),
        (
            "permute, flatten of some axes, mean over another, select in between",
            vec![
                conv2d(Conv::new(2, 2)),
                permute(&[0, 3, 1, 2]),
                tanh(),
                LayerSpec::Flatten(Flatten {
                    start_dim: -2,
                    end_dim: -1,
                }),
                linear(4, true),
                sigmoid(),
                permute(&[0, 2, 1]),
                select(2, -2),
                linear(3, true),
                tanh(),
            ],
            vec![1, 3, 4],
        ),
        (
            "mean over positions, and over the first axis",
            vec![
                linear(3, true),
                tanh(),
                mean(2),
                linear(4, true),
                tanh(),
                mean(1),
                linear(2, false),
            ],
            vec![2, 2, 3],
        ),
        (
            "flatten of the first axes",
            vec![
                linear(2, true),
                LayerSpec::Flatten(Flatten {
                    end_dim: 2,
                    ..Flatten::default()
                }),
                tanh(),
                linear(2, true),
                flatten(),
            ],
            vec![2, 2, 2],
        ),
        (
            "a gate as in Llama, over positions",
            vec![
                linear(3, true),
                residual(
                    vec![
                        rms_norm(&[3]),
                        multiply(vec![
                            vec![linear(4, false), LayerSpec::Silu(Silu {})],
                            vec![linear(4, false)],
                        ]),
                        linear(3, false),
                    ],
                    vec![],
                ),
                mean(1),
            ],
            vec![2, 2],
        ),
        (
            "products of one, of three, of twice the same, and with the data",
            vec![
                multiply(vec![
                    vec![linear(3, true), tanh()],
                    vec![],
                    vec![linear(3, false)],
                ]),
                multiply(vec![vec![sigmoid()]]),
                multiply(vec![vec![], vec![]]),
                linear(2, true),
            ],
            vec![3],
        ),
    ]
}

/// Branches that meet again: added or side by side, nested, on the data, at the end.
pub fn branches() -> Vec<Network> {
    use Combine::{Add, Cat};
    vec![
        (
            "residual, identity",
            vec![
                linear(3, true),
                residual(vec![tanh(), linear(3, true), tanh()], vec![]),
                linear(2, true),
            ],
            vec![2],
        ),
        (
            "residual on the data, its shortcut with parameters",
            vec![
                residual(
                    vec![linear(3, true), tanh(), linear(4, false)],
                    vec![linear(4, true)],
                ),
                sigmoid(),
                linear(2, false),
            ],
            vec![3],
        ),
        (
            "residual on the data, identity, last",
            vec![residual(vec![linear(3, false), tanh()], vec![])],
            vec![3],
        ),
        (
            "residual in residual, curved shortcut",
            vec![
                linear(3, false),
                residual(
                    vec![
                        residual(vec![linear(3, true), tanh()], vec![sigmoid()]),
                        linear(3, true),
                    ],
                    vec![tanh()],
                ),
                sigmoid(),
                residual(vec![linear(2, true)], vec![linear(2, false), sigmoid()]),
            ],
            vec![2],
        ),
        (
            "parallel, side by side, one empty, one on the data",
            vec![
                tanh(),
                parallel(
                    Cat,
                    vec![
                        vec![linear(2, true), tanh()],
                        vec![],
                        vec![linear(3, false)],
                    ],
                ),
                tanh(),
                linear(2, true),
            ],
            vec![3],
        ),
        (
            "parallel, side by side over a common input",
            vec![
                linear(3, true),
                parallel(Cat, vec![vec![sigmoid()], vec![], vec![tanh(), tanh()]]),
                sigmoid(),
                linear(2, true),
            ],
            vec![2],
        ),
        (
            "parallel, three added, nested, heads side by side",
            vec![
                linear(3, true),
                parallel(
                    Add,
                    vec![
                        vec![],
                        vec![tanh(), linear(3, false)],
                        vec![parallel(
                            Add,
                            vec![vec![sigmoid()], vec![linear(3, true), tanh()]],
                        )],
                    ],
                ),
                tanh(),
                parallel(
                    Cat,
                    vec![vec![linear(1, true)], vec![linear(2, true), tanh()]],
                ),
            ],
            vec![2],
        ),
        (
            "parallel, a branch taken twice",
            vec![
                linear(2, true),
                parallel(Add, vec![vec![], vec![], vec![tanh()]]),
                parallel(Cat, vec![vec![], vec![]]),
                tanh(),
                linear(2, false),
            ],
            vec![2],
        ),
        (
            "residual of convolutions, strided shortcut, channels side by side",
            vec![
                conv2d(Conv::new(2, 2)),
                tanh(),
                residual(
                    vec![
                        conv2d(Conv {
                            stride: 2.into(),
                            padding: 1.into(),
                            ..Conv::new(3, 3)
                        }),
                        LayerSpec::BatchNorm2d(BatchNorm::default()),
                        relu(),
                        conv2d(Conv {
                            padding: 1.into(),
                            bias: false,
                            ..Conv::new(3, 3)
                        }),
                    ],
                    vec![conv2d(Conv {
                        stride: 2.into(),
                        ..Conv::new(3, 1)
                    })],
                ),
                sigmoid(),
                parallel(
                    Cat,
                    vec![
                        vec![max_pool2d(MaxPool::new([1, 2]))],
                        vec![conv2d(Conv {
                            stride: [1, 2].into(),
                            ..Conv::new(1, [1, 2])
                        })],
                    ],
                ),
                flatten(),
                linear(2, true),
            ],
            vec![1, 4, 6],
        ),
        (
            "curvature above averages above the topmost parameters",
            vec![
                LayerSpec::Conv1d(Conv::new(3, 2)),
                LayerSpec::AvgPool1d(AvgPool::new(2)),
                tanh(),
                flatten(),
            ],
            vec![2, 6],
        ),
    ]
}

/// Networks that end in an activation under max pooling, also within branches: there the pooling is
/// linearised below the activation, whatever stands over both.
pub fn pooled_endings() -> Vec<Network> {
    let conv1d = |out, kernel: i64| LayerSpec::Conv1d(Conv::new(out, kernel));
    let padded = |out| {
        LayerSpec::Conv1d(Conv {
            padding: 1.into(),
            ..Conv::new(out, 3)
        })
    };
    let max_pool1d = || LayerSpec::MaxPool1d(MaxPool::new(2));
    let gelu = || LayerSpec::Gelu(Gelu::default());
    vec![
        (
            "conv1d, tanh, max_pool1d",
            vec![conv1d(3, 2), tanh(), max_pool1d()],
            vec![2, 7],
        ),
        (
            "conv1d, gelu, max_pool1d",
            vec![conv1d(2, 3), gelu(), max_pool1d()],
            vec![1, 8],
        ),
        (
            "conv2d, sigmoid, overlapping max_pool2d",
            vec![
                conv2d(Conv::new(2, 2)),
                sigmoid(),
                max_pool2d(MaxPool {
                    stride: Some([2, 1].into()),
                    padding: 1.into(),
                    ..MaxPool::new([2, 3])
                }),
            ],
            vec![1, 4, 4],
        ),
        (
            "conv2d on conv2d, both under relu and max_pool2d",
            vec![
                conv2d(Conv {
                    padding: 1.into(),
                    ..Conv::new(2, 3)
                }),
                relu(),
                max_pool2d(MaxPool::new(2)),
                conv2d(Conv::new(2, 1)),
                relu(),
                max_pool2d(MaxPool::new([1, 2])),
            ],
            vec![1, 4, 5],
        ),
        (
            "residual whose body ends in tanh and max_pool1d",
            vec![
                conv1d(2, 2),
                residual(vec![padded(2), tanh(), max_pool1d()], vec![max_pool1d()]),
            ],
            vec![1, 7],
        ),
        (
            "tanh and max_pool1d over a residual",
            vec![
                conv1d(2, 2),
                residual(vec![padded(2), sigmoid()], vec![]),
                tanh(),
                max_pool1d(),
            ],
            vec![1, 7],
        ),
        (
            "parallel branches that end in gelu, sigmoid and max_pool1d",
            vec![
                conv1d(2, 2),
                parallel(
                    Combine::Cat,
                    vec![
                        vec![conv1d(1, 1), gelu(), max_pool1d()],
                        vec![sigmoid(), max_pool1d()],
                        vec![tanh(), conv1d(1, 1), sigmoid(), max_pool1d()],
                    ],
                ),
            ],
            vec![1, 7],
        ),
    ]
}

fn conv2d(conv: Conv<2>) -> LayerSpec {
    LayerSpec::Conv2d(conv)
}

fn max_pool2d(pool: MaxPool<2>) -> LayerSpec {
    LayerSpec::MaxPool2d(pool)
}

pub fn losses() -> Vec<LossSpec> {
    [Reduction::Mean, Reduction::Sum]
        .into_iter()
        .flat_map(|reduction| [cross_entropy(reduction), mse(reduction)])
        .collect()
}

/// Every key of every loss, on outputs in one and several positions, with their network.
fn special_losses() -> Vec<(LossSpec, Network)> {
    let dense = (
        "tanh",
        vec![linear(4, true), tanh(), linear(3, true)],
        vec![2],
    );
    let positions = (
        "outputs in positions",
        vec![
            LayerSpec::Conv1d(Conv::new(2, 2)),
            tanh(),
            LayerSpec::Conv1d(Conv::new(3, 2)),
        ],
        vec![2, 5],
    );
    let weight = Some(vec![0.5, 2.0, 0.0]);
    let weighted = |reduction, ignore_index| CrossEntropy {
        reduction,
        weight: weight.clone(),
        label_smoothing: 0.2,
        ignore_index,
    };
    let bce = |reduction, pos_weight| {
        LossSpec::BceWithLogits(BceWithLogits {
            reduction,
            weight: weight.clone(),
            pos_weight,
        })
    };
    let (mean, sum) = (Reduction::Mean, Reduction::Sum);
    let losses = [
        LossSpec::CrossEntropy(CrossEntropy {
            label_smoothing: 0.3,
            ..CrossEntropy::default()
        }),
        LossSpec::CrossEntropy(CrossEntropy {
            label_smoothing: 0.0,
            ..weighted(mean, -100)
        }),
        LossSpec::CrossEntropy(weighted(mean, 1)),
        LossSpec::CrossEntropy(weighted(sum, 0)),
        cross_entropy(mean),
        mse(mean),
        LossSpec::BceWithLogits(BceWithLogits::default()),
    ];
    let both = losses
        .into_iter()
        .flat_map(|loss| [(loss.clone(), dense.clone()), (loss, positions.clone())]);
    let dense_only = [bce(mean, Some(vec![2.0, 0.5, 3.0])), bce(sum, None)];
    both.chain(dense_only.map(|loss| (loss, dense.clone())))
        .collect()
}

/// All cases: networks, losses, reductions and batch sizes.
pub fn cases() -> Vec<(String, NetworkProblem)> {
    let all: Vec<(LossSpec, i64)> = losses()
        .into_iter()
        .flat_map(|loss| [(loss.clone(), 1), (loss, 5)])
        .collect();
    let some = vec![
        (cross_entropy(Reduction::Mean), 5),
        (mse(Reduction::Sum), 1),
    ];
    let dense = dense().into_iter().map(|network| (network, &all));
    let others = [
        convolutions(),
        linear_maps(),
        activations(),
        normalisations(),
        around_attention(),
        attentions(),
        transformers(),
        branches(),
        pooled_endings(),
    ];
    let others = others.into_iter().flatten().map(|network| (network, &some));
    let mut cases = Vec::new();
    for ((name, layers, input), ways) in dense.chain(others) {
        for (loss, batch) in ways {
            let case = format!("{name}, {loss:?}, batch {batch}");
            cases.push((case, problem(&layers, &input, *batch, loss.clone(), 7)));
        }
    }
    for (loss, (name, layers, input)) in special_losses() {
        let case = format!("{name}, {loss:?}");
        cases.push((case, problem(&layers, &input, 5, loss, 7)));
    }
    cases
}

/// Every network and every loss in one of them.
pub fn cases_once() -> impl Iterator<Item = (String, NetworkProblem)> {
    let mean = format!("{:?}, batch 5", cross_entropy(Reduction::Mean));
    let special = special_losses().len();
    let all = cases();
    let first = all.len() - special;
    let chosen = move |(index, case): (usize, (String, NetworkProblem))| {
        (index >= first || case.0.ends_with(&mean)).then_some(case)
    };
    all.into_iter().enumerate().filter_map(chosen)
}
