//! The layer of every convolution, plain or transposed, in any number of dimensions.

use super::channel_bias::ChannelBias;
use super::correlation::{Correlation, MOST_FLOATS, chunks};
use super::{Init, Layer, Local, LocalParameters, ParameterShape};
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// `z = conv(x, W) + b`.
#[derive(Clone, Debug)]
pub(super) struct Convolution {
    pub map: Correlation,
    pub bias: bool,
}

/// Floats of columns that are made and used before they leave a core's second cache.
const SECOND_CACHE: i64 = 1 << 19;

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
struct LocalConvolution {
    map: Correlation,
    bias: ChannelBias,
    x: Tensor,
    weight: Tensor,
    /// The columns of all samples, kept from their first use if they are not too large.
    columns: OnceLock<Tensor>,
    /// `rightᵀ right` of all samples, where it pays.
    gram: OnceLock<Tensor>,
}

impl Local for LocalConvolution {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        self.map.tangent(dx, &self.weight)
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        self.map.adjoint(gz, &self.weight)
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        Some(self)
    }
}

/// `(∂z_n/∂W)ᵀ s_qn` is `left rightᵀ`, with `left: [N G, Q L, T]` from s and `right: [N G, R, T]`
/// from x: channels and columns in a plain convolution, columns and channels in a transposed one.
impl LocalConvolution {
    fn samples(&self) -> i64 {
        self.x.size()[0]
    }

    fn left(&self, s: &Tensor) -> Tensor {
        match self.map.transposed {
            false => self.map.rows(s),
            true => {
                let columns = self.map.columns(&s.flatten(0, 1));
                self.map.column_rows(&columns, s.size()[0])
            }
        }
    }

    fn right(&self, start: i64, length: i64) -> Tensor {
        match self.map.transposed {
            false => self.map.column_rows(&self.columns(start, length), 1),
            true => self.map.rows(&self.x.narrow(0, start, length).unsqueeze(0)),
        }
    }

    /// How many rows `left` and `right` have for every sample and column: `[L, R]`.
    fn sides(&self) -> [i64; 2] {
        let channels = self.map.b[0] / self.map.groups;
        match self.map.transposed {
            false => [channels, self.map.fan_in()],
            true => [self.map.fan_in(), channels],
        }
    }

    /// The columns of some samples of x: `[G, fan, length, T]`.
    fn columns(&self, start: i64, length: i64) -> Tensor {
        match self.columns.get() {
            Some(all) => all.narrow(2, start, length),
            None => self.map.columns(&self.x.narrow(0, start, length)),
        }
    }

    /// Lays out the columns of all samples for this use and others, if they are not too large.
    fn keep_columns(&self) {
        if !self.map.transposed && self.samples() * self.map.column_floats() <= MOST_FLOATS {
            self.columns.get_or_init(|| self.map.columns(&self.x));
        }
    }

    /// `rightᵀ right` of all samples: `[N G, T, T]`.
    fn gram(&self) -> Tensor {
        let part = |(start, length)| {
            let right = self.right(start, length);
            right.transpose(1, 2).bmm(&right)
        };
        let parts = chunks(MOST_FLOATS, self.samples(), self.map.column_floats());
        Tensor::cat(&parts.map(part).collect::<Vec<_>>(), 0)
    }

    /// Sums over parts of the samples what `term(start, length)` gives: `at_once` floats, `floats`
    /// of them per sample.
    fn over_samples(&self, at_once: i64, floats: i64, term: impl Fn(i64, i64) -> Tensor) -> Tensor {
        chunks(at_once, self.samples(), floats)
            .map(|(start, length)| term(start, length))
            .reduce(|a, b| a + b)
            .expect("a batch has samples")
    }

    /// `Σ_qn sign_qn ((∂z_n/∂W)ᵀ s_qn)²`: `[*weight]`.
    fn squares(&self, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let (q, g, [left, right]) = (s.size()[0], self.map.groups, self.sides());
        let floats = g * (left * right * q + self.map.column_floats());
        self.keep_columns();
        let sum = self.over_samples(MOST_FLOATS, floats, |start, length| {
            let product = self
                .left(&s.narrow(1, start, length))
                .bmm(&self.right(start, length).transpose(1, 2))
                .square()
                .view([length, g, q, left, right]);
            let signed = match sign {
                Some(sign) => {
                    let sign = sign.narrow(1, start, length).tr();
                    product * sign.reshape([length, 1, q, 1, 1])
                }
                None => product,
            };
            signed.sum_dim_intlist([0, 2].as_slice(), false, None::<Kind>)
        });
        let sum = match self.map.transposed {
            false => sum,
            true => sum.transpose(1, 2),
        };
        sum.reshape(self.map.weight())
    }

    /// `Σ_n ‖left rightᵀ‖²`, or by the smaller matrix `⟨left (rightᵀ right), left⟩`.
    fn norms(&self, s: &Tensor) -> Tensor {
        let (k, g, [left, right]) = (s.size()[0], self.map.groups, self.sides());
        let gram = self.gram.get();
        let wide = gram.map_or(right, |_| self.map.positions());
        let floats = g * left * wide * k + self.map.column_floats();
        let at_once = match gram.is_none() && self.x.device() == Device::Cpu {
            true => SECOND_CACHE,
            false => MOST_FLOATS,
        };
        self.over_samples(at_once, floats, |start, length| {
            let s = self.left(&s.narrow(1, start, length));
            let sums = match gram {
                Some(gram) => (s.bmm(&gram.narrow(0, start * g, length * g)) * s)
                    .reshape([length * g, k, -1])
                    .sum_dim_intlist(-1, false, None::<Kind>),
                // MKL is faster with the larger factor first.
                None => (self.right(start, length).bmm(&s.transpose(1, 2)).square())
                    .view([length * g, right, k, left])
                    .sum_dim_intlist([1, 3].as_slice(), false, None::<Kind>),
            };
            sums.sum_dim_intlist(0, false, Kind::Double)
        })
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
            _ => self.map.with_weights(&self.x, dw),
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

    fn mixed_input(&self, i: usize, g: &Tensor, dw: &Tensor) -> Option<Tensor> {
        (i == WEIGHT).then(|| self.map.adjoint_with_weights(g, dw))
    }

    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        (i == WEIGHT).then(|| self.map.weight_adjoint(dx, &g.unsqueeze(0)))
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
                self.map
                    .weight_adjoint(&squares, &d.unsqueeze(0))
                    .squeeze_dim(0)
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

    fn trace_of_columns(&self, i: usize, s: &Tensor) -> Tensor {
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
            self.gram.get_or_init(|| self.gram());
        }
    }

    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        match i {
            BIAS => self.bias.sample_tangent(dw),
            _ => self.map.with_sample_weights(&self.x, dw),
        }
    }
}
