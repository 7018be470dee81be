//! Networks with attention, for the table of cases.

use super::cases::Network;
use super::*;
use curvature_runner::problem::layer::{
    Attention, Bias, ClassToken, Conv, Embedding, Gelu, LayerNorm, Linear, ParallelBlock, Permute,
    PositionalEmbedding, RmsNorm, Rotary, Select, Silu,
};

pub fn attention(attention: Attention) -> LayerSpec {
    LayerSpec::Attention(attention)
}

fn causal(heads: i64) -> Attention {
    Attention {
        causal: true,
        ..Attention::new(heads)
    }
}

fn rotary() -> Option<Rotary> {
    Some(Rotary { base: 100.0 })
}

fn permute(dims: &[i64]) -> LayerSpec {
    let dims = dims.to_vec();
    LayerSpec::Permute(Permute { dims })
}

fn select(dim: i64, index: i64) -> LayerSpec {
    LayerSpec::Select(Select { dim, index })
}

fn layer_norm(size: i64) -> LayerSpec {
    LayerSpec::LayerNorm(LayerNorm::new(&[size]))
}

fn rms_norm(size: i64) -> LayerSpec {
    LayerSpec::RmsNorm(RmsNorm::new(&[size]))
}

fn positions() -> LayerSpec {
    LayerSpec::PositionalEmbedding(PositionalEmbedding::default())
}

pub fn embedding(tokens: i64, dim: i64) -> LayerSpec {
    LayerSpec::Embedding(Embedding {
        num_embeddings: tokens,
        embedding_dim: dim,
        padding_idx: None,
    })
}

/// Attention under and over single layers: one head and many, shared keys, causal or not.
pub fn attentions() -> Vec<Network> {
    vec![
        (
            "attention, one head",
            vec![
                linear(6, true),
                attention(Attention::new(1)),
                flatten(),
                linear(2, true),
            ],
            vec![3, 2],
        ),
        (
            "attention, two heads, causal, last",
            vec![
                linear(12, true),
                tanh(),
                linear(12, false),
                attention(causal(2)),
            ],
            vec![3, 2],
        ),
        (
            "attention, four heads on two of keys, rotated, not causal",
            vec![
                linear(16, true),
                attention(Attention {
                    kv_heads: Some(2),
                    rotary: rotary(),
                    ..Attention::new(4)
                }),
                tanh(),
                linear(2, false),
                flatten(),
            ],
            vec![2, 2],
        ),
        (
            "attention, three heads on one of keys, causal, scaled",
            vec![
                linear(10, true),
                attention(Attention {
                    kv_heads: Some(1),
                    scale: Some(-1.5),
                    ..causal(3)
                }),
                linear(2, true),
                flatten(),
            ],
            vec![3, 2],
        ),
        (
            "attention over a single position",
            vec![
                linear(12, true),
                attention(Attention {
                    rotary: rotary(),
                    ..causal(2)
                }),
                linear(2, true),
                flatten(),
            ],
            vec![1, 3],
        ),
        (
            "attention over a convolution",
            vec![
                LayerSpec::Conv1d(Conv::new(6, 2)),
                permute(&[0, 2, 1]),
                attention(Attention::new(2)),
                linear(2, true),
                select(1, -1),
            ],
            vec![2, 4],
        ),
        (
            "attention over an embedding, and over attention",
            vec![
                embedding(4, 6),
                attention(causal(1)),
                linear(6, true),
                attention(Attention::new(2)),
                select(1, 0),
                linear(3, false),
            ],
            vec![3],
        ),
        (
            "attention on the data",
            vec![
                attention(causal(1)),
                linear(3, true),
                attention(Attention::new(1)),
                flatten(),
            ],
            vec![3, 6],
        ),
        (
            "attention whose input other layers take in, too",
            vec![
                linear(6, true),
                parallel(
                    Combine::Cat,
                    vec![vec![attention(causal(2))], vec![tanh(), linear(2, false)]],
                ),
                tanh(),
                flatten(),
                linear(2, true),
            ],
            vec![2, 2],
        ),
    ]
}

fn tied(to: &str, out: i64, bias: bool) -> LayerSpec {
    LayerSpec::Linear(Linear {
        tied: Some(to.into()),
        ..Linear::new(out, bias)
    })
}

/// Parameters that several layers share: embedding and output, layers in a row, three of them, one of
/// them within a branch.
pub fn sharing() -> Vec<Network> {
    vec![
        (
            "embedding and output",
            vec![
                embedding(3, 4),
                residual(
                    vec![
                        layer_norm(4),
                        linear(12, true),
                        attention(causal(2)),
                        linear(4, true),
                    ],
                    vec![],
                ),
                layer_norm(4),
                tied("0.weight", 3, false),
                permute(&[0, 2, 1]),
            ],
            vec![3],
        ),
        (
            "layers in a row, a bias each",
            vec![
                linear(3, true),
                tanh(),
                tied("0.weight", 3, true),
                sigmoid(),
                tied("0.weight", 3, false),
                linear(2, true),
            ],
            vec![3],
        ),
        (
            "at positions, within a branch",
            vec![
                linear(4, false),
                residual(vec![tanh(), tied("0.weight", 4, true)], vec![]),
                flatten(),
                linear(2, true),
            ],
            vec![2, 4],
        ),
    ]
}

/// Whole blocks with residuals.
pub fn transformers() -> Vec<Network> {
    vec![
        (
            "GPT",
            vec![
                embedding(3, 4),
                positions(),
                residual(
                    vec![
                        layer_norm(4),
                        linear(12, true),
                        attention(causal(2)),
                        linear(4, true),
                    ],
                    vec![],
                ),
                residual(
                    vec![
                        layer_norm(4),
                        linear(5, true),
                        LayerSpec::Gelu(Gelu::default()),
                        linear(4, false),
                    ],
                    vec![],
                ),
                layer_norm(4),
                linear(3, false),
                permute(&[0, 2, 1]),
            ],
            vec![3],
        ),
        (
            "BERT",
            vec![
                embedding(3, 4),
                positions(),
                layer_norm(4),
                residual(
                    vec![
                        linear(12, true),
                        attention(Attention::new(2)),
                        linear(4, true),
                    ],
                    vec![],
                ),
                layer_norm(4),
                residual(
                    vec![
                        linear(5, true),
                        LayerSpec::Gelu(Gelu::default()),
                        linear(4, true),
                    ],
                    vec![],
                ),
                layer_norm(4),
                select(1, 0),
                linear(2, true),
            ],
            vec![3],
        ),
        (
            "Llama",
            vec![
                embedding(3, 4),
                residual(
                    vec![
                        rms_norm(4),
                        linear(8, false),
                        attention(Attention {
                            kv_heads: Some(1),
                            rotary: rotary(),
                            ..causal(2)
                        }),
                        linear(4, false),
                    ],
                    vec![],
                ),
                residual(
                    vec![
                        rms_norm(4),
                        parallel(
                            Combine::Multiply,
                            vec![
                                vec![linear(5, false), LayerSpec::Silu(Silu {})],
                                vec![linear(5, false)],
                            ],
                        ),
                        linear(4, false),
                    ],
                    vec![],
                ),
                rms_norm(4),
                linear(3, false),
                permute(&[0, 2, 1]),
            ],
            vec![3],
        ),
        (
            "BERT: queries, keys and values from layers of their own",
            vec![
                embedding(3, 4),
                LayerSpec::Bias(Bias {}),
                linear(4, false),
                LayerSpec::PositionalEmbedding(PositionalEmbedding { frozen: true }),
                positions(),
                layer_norm(4),
                residual(
                    vec![
                        LayerSpec::Parallel(ParallelBlock {
                            dim: -1,
                            ..ParallelBlock::new(
                                vec![
                                    vec![linear(4, true)],
                                    vec![linear(4, false)],
                                    vec![linear(4, true)],
                                ],
                                Combine::Cat,
                            )
                        }),
                        attention(Attention::new(2)),
                        linear(4, true),
                    ],
                    vec![],
                ),
                layer_norm(4),
                select(1, 0),
                linear(3, false),
                tanh(),
                LayerSpec::Bias(Bias {}),
                linear(2, true),
            ],
            vec![3],
        ),
        (
            "ViT",
            vec![
                LayerSpec::Conv2d(Conv {
                    stride: 2.into(),
                    ..Conv::new(4, 2)
                }),
                LayerSpec::Flatten(Flatten {
                    start_dim: 2,
                    end_dim: 3,
                }),
                permute(&[0, 2, 1]),
                LayerSpec::ClassToken(ClassToken {}),
                positions(),
                residual(
                    vec![
                        layer_norm(4),
                        linear(12, false),
                        attention(Attention::new(2)),
                        linear(4, true),
                    ],
                    vec![],
                ),
                layer_norm(4),
                select(1, 0),
                linear(3, true),
            ],
            vec![1, 4, 2],
        ),
    ]
}
