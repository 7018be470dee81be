//! Vectors for tokens.

use super::per_dimension::PerDimension;
use super::{
    ColumnPair, Init, Layer, LayerConfig, LayerError, Local, LocalParameters, ParameterShape,
    PartialTrace,
};
use crate::problem::tensors::sum_entries;
use crate::problem::vectors::Vectors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// `z[.., :] = W[x[..], :]` for whole numbers x from 0 to `num_embeddings − 1`, of any shape
/// (torch.nn.Embedding). It takes the data themselves.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// How many tokens there are.
    pub num_embeddings: i64,
    /// Entries of each one's vector.
    pub embedding_dim: i64,
    /// A token whose vector stays as it is: no derivative is taken by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_idx: Option<i64>,
}

impl LayerConfig for Embedding {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        PerDimension([self.num_embeddings]).checked("num_embeddings", 1)?;
        PerDimension([self.embedding_dim]).checked("embedding_dim", 1)?;
        if let Some(padding) = self.padding_idx
            && !(0..self.num_embeddings).contains(&padding)
        {
            return Err(LayerError {
                expected: format!(
                    "`padding_idx` from 0 to {}, found {padding}",
                    self.num_embeddings - 1
                ),
                remedy: "leave it out where no token pads".into(),
            });
        }
        let table = EmbeddingLayer {
            spec: self.clone(),
            positions: input.iter().product(),
        };
        Ok((Box::new(table), [input, &[self.embedding_dim]].concat()))
    }
}

#[derive(Debug)]
struct EmbeddingLayer {
    spec: Embedding,
    positions: i64,
}

impl Layer for EmbeddingLayer {
    fn parameters(&self) -> Vec<ParameterShape> {
        vec![ParameterShape {
            name: "weight",
            shape: vec![self.spec.num_embeddings, self.spec.embedding_dim],
            init: Init::Normal {
                zero: self.spec.padding_idx,
            },
        }]
    }

    fn tokens(&self) -> Option<i64> {
        Some(self.spec.num_embeddings)
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        let padding = self.spec.padding_idx.unwrap_or(-1);
        Tensor::embedding(&w[0], &x.to_kind(Kind::Int64), padding, false, false)
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        let tokens = x.to_kind(Kind::Int64).reshape([-1, self.positions]);
        let counts = match self.spec.padding_idx {
            Some(padding) => tokens.not_equal(padding),
            None => tokens.ones_like(),
        };
        Box::new(LocalEmbedding {
            counts: counts.to_kind(w[0].kind()).unsqueeze(-1),
            tokens,
            table: w[0].size(),
            output: [x.size().as_slice(), &[self.spec.embedding_dim]].concat(),
        })
    }
}

/// T positions of N samples with D entries each, V tokens.
struct LocalEmbedding {
    /// The token at every position, `[N, T]`.
    tokens: Tensor,
    /// 0 where the token pads, else 1: `[N, T, 1]`.
    counts: Tensor,
    /// The shape of the weight, `[V, D]`.
    table: Vec<i64>,
    /// The shape of the output, `[N, *positions, D]`.
    output: Vec<i64>,
}

impl Local for LocalEmbedding {
    fn tangent(&self, _dx: &Tensor) -> Tensor {
        unreachable!("an embedding takes the data themselves")
    }

    fn adjoint(&self, _gz: &Tensor) -> Tensor {
        unreachable!("an embedding takes the data themselves")
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        Some(self)
    }
}

impl LocalEmbedding {
    /// `[K, N, *positions, D] -> [K, N, T, D]`, 0 where tokens pad.
    fn counted(&self, z: &Tensor) -> Tensor {
        let (n, t) = self.tokens.size2().expect("[N, T]");
        z.reshape([z.size()[0], n, t, self.table[1]]) * &self.counts
    }

    fn in_shape(&self, z: &Tensor) -> Tensor {
        z.reshape([&z.size()[..1], self.output.as_slice()].concat())
    }

    /// Sums rows of `[K, N T, D]` by token: `[K, V, D]`.
    fn by_token(&self, rows: &Tensor) -> Tensor {
        let size = [&rows.size()[..1], self.table.as_slice()].concat();
        let zeros = Tensor::zeros(size, (rows.kind(), rows.device()));
        zeros.index_add(1, &self.tokens.flatten(0, -1), rows)
    }

    /// Which positions of a sample have the same token: `[N, T, T]`.
    fn same(&self) -> Tensor {
        let tokens = &self.tokens;
        tokens.unsqueeze(2).eq_tensor(&tokens.unsqueeze(1))
    }

    /// Sums over the positions of a sample with the same token, at the first of them; zero at the
    /// others: `[K, N, T, D] -> [K, N, T, D]`.
    fn within_samples(&self, z: &Tensor) -> Tensor {
        let same = self.same().to_kind(z.kind());
        let earlier = same.tril(-1).sum_dim_intlist(-1, true, None::<Kind>);
        (same * earlier.eq(0.0).to_kind(z.kind())).matmul(z)
    }
}

impl LocalParameters for LocalEmbedding {
    fn shape(&self, _i: usize) -> Vec<i64> {
        self.table.clone()
    }

    fn tangent(&self, _i: usize, dw: &Tensor) -> Tensor {
        let rows = dw.index_select(1, &self.tokens.flatten(0, -1));
        self.in_shape(&self.counted(&rows))
    }

    fn adjoint(&self, _i: usize, gz: &Tensor) -> Tensor {
        self.by_token(&self.counted(gz).flatten(1, 2))
    }

    fn mixed_input(&self, _i: usize, _g: &Tensor, _dw: Vectors) -> Option<Tensor> {
        None
    }

    fn mixed_parameter(&self, _i: usize, _g: &Tensor, _dx: &Tensor) -> Option<Tensor> {
        None
    }

    fn diagonal_of_columns(&self, _i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let squares = self.within_samples(&self.counted(s)).square();
        let signed = match sign {
            Some(sign) => squares * sign.unsqueeze(-1).unsqueeze(-1),
            None => squares,
        };
        let sums = signed.sum_dim_intlist(0, true, None::<Kind>);
        self.by_token(&sums.flatten(1, 2)).squeeze_dim(0)
    }

    fn diagonal_of_diagonal(&self, _i: usize, d: &Tensor) -> Tensor {
        let d = self.counted(&d.unsqueeze(0));
        self.by_token(&d.flatten(1, 2)).squeeze_dim(0)
    }

    /// Positions of the same token share its vector.
    fn trace_of_partial(&self, _i: usize, partial: &PartialTrace) -> Option<Tensor> {
        if partial.positions() != self.tokens.size()[1] {
            return None;
        }
        let counts = self.counts.to_kind(Kind::Double);
        let seen = match partial {
            PartialTrace::At(b) => b * counts.squeeze_dim(2),
            PartialTrace::Between(b) => b * self.same() * counts,
        };
        Some(seen.sum(Kind::Double))
    }

    /// With one token per sample every output entry has a parameter of its own.
    fn trace_factor(&self, _i: usize) -> Option<Tensor> {
        let alone = self.tokens.size()[1] == 1;
        alone.then(|| self.counts.flatten(0, -1))
    }

    fn trace_of_columns(&self, _i: usize, s: &ColumnPair) -> Tensor {
        let sums = s.map(|s| self.within_samples(&self.counted(s)));
        sum_entries(&sums.product()).sum_dim_intlist(1, false, None::<Kind>)
    }

    fn sample_tangent(&self, _i: usize, dw: &Tensor) -> Tensor {
        let index = self
            .tokens
            .unsqueeze(-1)
            .expand([-1, -1, self.table[1]], false);
        let index = index.unsqueeze(0).expand([dw.size()[0], -1, -1, -1], false);
        self.in_shape(&self.counted(&dw.gather(2, &index, false)))
    }
}
