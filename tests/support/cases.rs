//! The table of networks that drives all tests of products, rules and estimators.

use super::*;
use curvature_runner::problem::layer::{Conv, MaxPool};

/// A name, the layers, and the shape of a sample.
type Network = (&'static str, Vec<LayerSpec>, Vec<i64>);

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

/// Networks of all other layers, each with two losses and batches.
fn others() -> Vec<Network> {
    vec![
        (
            "conv2d",
            vec![conv2d(Conv::new(2, 3)), flatten(), linear(3, true)],
            vec![2, 5, 4],
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

/// All cases: networks, losses, reductions and batch sizes.
pub fn cases() -> Vec<(String, Problem)> {
    let all: Vec<(LossSpec, i64)> = losses()
        .into_iter()
        .flat_map(|loss| [(loss.clone(), 1), (loss, 5)])
        .collect();
    let some = vec![
        (cross_entropy(Reduction::Mean), 5),
        (mse(Reduction::Sum), 1),
    ];
    let dense = dense().into_iter().map(|network| (network, &all));
    let others = others().into_iter().map(|network| (network, &some));
    let mut cases = Vec::new();
    for ((name, layers, input), ways) in dense.chain(others) {
        for (loss, batch) in ways {
            let case = format!("{name}, {loss:?}, batch {batch}");
            cases.push((case, problem(&layers, &input, *batch, loss.clone(), 7)));
        }
    }
    cases
}
