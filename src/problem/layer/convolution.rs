//! The layer of every convolution, plain or transposed, in any number of dimensions.

use super::batched_columns;
use super::channel_bias::ChannelBias;
use super::correlation::{Correlation, MOST_FLOATS, chunks};
use super::sign_correlation::{add_tangent, mixed_form, pays};
use super::{ColumnPair, Init, Layer, Local, LocalParameters, ParameterShape};
use crate::problem::signs::Signs;
use crate::problem::vectors::Vectors;
use std::sync::OnceLock;
use tch::{Kind, Tensor};

/// `z = conv(x, W) + b`.
#[derive(Clone, Debug)]
pub(super) struct Convolution {
    pub map: Correlation,
    pub bias: bool,
}

pub(super) const WEIGHT: usize = 0;
pub(super) const BIAS: usize = 1;

impl Layer for Convolution {
    /// As torch.nn: `kaiming_uniform_(a=√5)` over the second axis of the weight and the kernel, and
    /// a bias from U(−1/√fan, 1/√fan).
    fn parameters(&self) -> Vec<ParameterShape> {
        let fan = self.map.fan_in();
        let weight = ParameterShape {
            name: "weight",
            shape: self.map.weight(),
            init: Init::kaiming_uniform(fan),
        };
        let bias = ParameterShape {
            name: "bias",
            shape: vec![self.map.output()[0]],
            init: Init::Uniform {
                bound: 1.0 / (fan as f64).sqrt(),
            },
        };
        [weight]
            .into_iter()
            .chain(self.bias.then_some(bias))
            .collect()
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        self.map.forward(x, &w[WEIGHT], w.get(BIAS))
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        Box::new(LocalConvolution {
            map: self.map.clone(),
            bias: ChannelBias {
                output: self.map.output().to_vec(),
            },
            x: x.shallow_clone(),
            weight: w[WEIGHT].shallow_clone(),
            columns: OnceLock::new(),
            gram: OnceLock::new(),
        })
    }
}

/// A convolution at the inputs `x: [N, *in]`.
pub(super) struct LocalConvolution {
    pub map: Correlation,
    bias: ChannelBias,
    pub x: Tensor,
    weight: Tensor,
    /// The columns of all samples, kept from their first use if they are not too large.
    columns: OnceLock<Tensor>,
    /// `rightᵀ right` of all samples, where it pays.
    pub gram: OnceLock<Tensor>,
}

impl Local for LocalConvolution {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        self.map.tangent(dx, &self.weight)
    }

    /// What signs of the weight give is added to what passes in place.
    fn tangent_along(&self, dx: Option<&Tensor>, dw: &[(usize, Vectors)]) -> Option<Tensor> {
        let mut z = dx.map(|dx| Local::tangent(self, dx));
        for &(i, dw) in dw {
            z = Some(match (dw, z) {
                (Vectors::Signs(dw), z) if i == WEIGHT && self.looks_up(dw) => {
                    let z = z.map_or_else(|| self.zeros(dw.count()), |z| z.contiguous());
                    add_tangent(&self.map, &self.x, dw, &z);
                    z
                }
                (dw, Some(z)) => z + self.tangent_of(i, dw),
                (dw, None) => self.tangent_of(i, dw),
            });
        }
        z
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        self.map.adjoint(gz, &self.weight)
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        Some(self)
    }
}

impl LocalConvolution {
    pub fn samples(&self) -> i64 {
        self.x.size()[0]
    }

    /// Zeros for K tangents of the output.
    fn zeros(&self, k: usize) -> Tensor {
        let size = [&[k as i64, self.samples()], self.map.output()].concat();
        Tensor::zeros(size, (self.x.kind(), self.x.device()))
    }

    /// Whether products go by columns instead of by other convolutions.
    fn takes_columns(&self) -> bool {
        self.x.device().is_cuda() && !self.map.transposed
    }

    /// The adjoint in the weight: `[K, N, *in], [N, *out] -> [K, *weight]`.
    fn weight_adjoint(&self, x: &Tensor, z: &Tensor) -> Tensor {
        match self.takes_columns() {
            true => batched_columns::weight_adjoint(&self.map, x, z),
            false => self.map.weight_adjoint(x, &z.unsqueeze(0)),
        }
    }

    /// Whether signs are multiplied by table lookup.
    fn looks_up(&self, dw: &Signs) -> bool {
        pays(&self.map, dw.count(), self.samples(), dw)
    }

    /// The columns of some samples of x: `[G, fan, length, T]`.
    pub fn columns(&self, start: i64, length: i64) -> Tensor {
        match self.columns.get() {
            Some(all) => all.narrow(2, start, length),
            None => self.map.columns(&self.x.narrow(0, start, length)),
        }
    }

    /// Lays out the columns of all samples for this use and others, if they are not too large.
    pub fn keep_columns(&self) {
        if !self.map.transposed && self.samples() * self.map.column_floats() <= MOST_FLOATS {
            self.columns.get_or_init(|| self.map.columns(&self.x));
        }
    }

    /// Sums over parts of the samples what `term(start, length)` gives: `at_once` floats, `floats`
    /// of them per sample.
    pub fn over_samples(
        &self,
        at_once: i64,
        floats: i64,
        term: impl Fn(i64, i64) -> Tensor,
    ) -> Tensor {
        chunks(at_once, self.samples(), floats)
            .map(|(start, length)| term(start, length))
            .reduce(|a, b| a + b)
            .expect("a batch has samples")
    }
}

impl LocalParameters for LocalConvolution {
    fn shape(&self, i: usize) -> Vec<i64> {
        match i {
            BIAS => self.bias.output[..1].to_vec(),
            _ => self.map.weight(),
        }
    }

    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        match i {
            BIAS => self.bias.tangent(dw, self.samples()),
            _ if self.map.transposed || !self.map.is_large() => self.map.with_weights(&self.x, dw),
            _ => {
                self.keep_columns();
                let parts = chunks(MOST_FLOATS, self.samples(), self.map.column_floats());
                let part = |(start, length)| {
                    self.map
                        .tangent_of_columns(&self.columns(start, length), dw)
                };
                Tensor::cat(&parts.map(part).collect::<Vec<_>>(), 1)
            }
        }
    }

    fn adjoint(&self, i: usize, gz: &Tensor) -> Tensor {
        match (i, self.map.transposed) {
            (BIAS, _) => self.bias.adjoint(gz),
            (_, true) => self.map.weight_adjoint(&self.x.unsqueeze(0), gz),
            (_, false) => {
                self.keep_columns();
                self.over_samples(MOST_FLOATS, self.map.column_floats(), |start, length| {
                    let columns = self.columns(start, length);
                    let gz = gz.narrow(1, start, length);
                    self.map.weight_adjoint_of_columns(&columns, &gz)
                })
            }
        }
    }

    fn mixed_input(&self, i: usize, g: &Tensor, dw: Vectors) -> Option<Tensor> {
        (i == WEIGHT).then(|| self.map.adjoint_with_weights(g, &dw.numbers()))
    }

    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        if i != WEIGHT {
            return None;
        }
        if self.map.transposed || self.takes_columns() || !self.map.is_large() {
            return Some(self.weight_adjoint(dx, g));
        }
        let g = g.unsqueeze(0);
        let of = |k| {
            let dx = dx.get(k);
            self.over_samples(MOST_FLOATS, self.map.column_floats(), |start, length| {
                let columns = self.map.columns(&dx.narrow(0, start, length));
                self.map
                    .weight_adjoint_of_columns(&columns, &g.narrow(1, start, length))
            })
        };
        Some(Tensor::cat(
            &(0..dx.size()[0]).map(of).collect::<Vec<_>>(),
            0,
        ))
    }

    fn mixed_form(&self, i: usize, g: &Tensor, dx: &Tensor, dw: Vectors) -> Option<Tensor> {
        if let (WEIGHT, Vectors::Signs(dw)) = (i, dw)
            && pays(&self.map, 1, self.samples(), dw)
        {
            return Some(mixed_form(&self.map, g, dx, dw));
        }
        let row = self.mixed_parameter(i, g, dx)?;
        Some(dw.dot(&row))
    }

    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        match i {
            BIAS => self.bias.diagonal_of_columns(s, sign),
            _ => self.squares(s, sign),
        }
    }

    /// `Σ_nt d_not x_n[c, t + δ]²`: the adjoint in the weight, at x².
    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        match i {
            BIAS => self.bias.diagonal_of_diagonal(d),
            _ => {
                let squares = self.x.square().unsqueeze(0);
                self.weight_adjoint(&squares, d).squeeze_dim(0)
            }
        }
    }

    /// `Σ_nt (Σ_o d_not) Σ_δ (Σ_c x_n[c, t + δ]²)`, in every group.
    fn trace_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        match i {
            BIAS => d.sum(Kind::Double),
            _ => {
                let window = self.map.of_channel_sums();
                let ones = Tensor::ones(window.weight(), (d.kind(), d.device()));
                let squares = self.map.channel_sums(&self.x.square());
                let seen = window.forward(&squares, &ones, None);
                (seen * self.map.channel_sums(d)).sum(Kind::Double)
            }
        }
    }

    /// Positions share the weight.
    fn trace_factor(&self, i: usize) -> Option<Tensor> {
        match i {
            BIAS => self.bias.trace_factor(&self.x),
            _ => None,
        }
    }

    fn trace_of_columns(&self, i: usize, s: &ColumnPair) -> Tensor {
        match i {
            BIAS => self.bias.trace_of_columns(s),
            _ => self.norms(s),
        }
    }

    /// By `rightᵀ right`, where making it takes less work than it saves.
    fn expect_columns(&self, count: u64) {
        let ([left, right], positions) = (self.sides(), self.map.positions());
        let saved = count as f64 * (left * (right - positions)) as f64;
        let fits = self.samples() * self.map.groups * positions * positions <= MOST_FLOATS;
        if fits && saved > (positions * right) as f64 {
            self.gram.get_or_init(|| self.laid_out_gram());
        }
    }

    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        match i {
            BIAS => self.bias.sample_tangent(dw),
            _ if self.takes_columns() => {
                batched_columns::with_sample_weights(&self.map, &self.x, dw)
            }
            _ => self.map.with_sample_weights(&self.x, dw),
        }
    }
}
