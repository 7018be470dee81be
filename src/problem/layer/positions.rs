//! The linear layer at every position of a sample, all of which share its weight.

use super::correlation::{MOST_FLOATS, chunks};
use super::position_products::{each, plus_products};
use super::weights::{BIAS, LinearWeights, WEIGHT};
use super::{ColumnPair, Layer, Local, LocalParameters, ParameterShape, PartialTrace};
use crate::libtorch::linear;
use crate::problem::inner_products::dot;
use crate::problem::tensors::sum_entries;
use crate::problem::vectors::{Vectors, numbers_of};
use std::sync::OnceLock;
use tch::{Kind, Tensor};

/// `z = x Wᵀ + b` on the last axis of `x: [N, *positions, in]`.
#[derive(Clone, Debug)]
pub(super) struct AtPositions(pub LinearWeights);

impl Layer for AtPositions {
    fn tied(&self) -> Option<&str> {
        self.0.tied.as_deref()
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        self.0.parameters()
    }

    fn at_one_place(&self, axis: i64) -> Option<Box<dyn Layer>> {
        (axis < -1).then(|| Box::new(self.clone()) as Box<dyn Layer>)
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        x.linear(&w[WEIGHT], w.get(BIAS))
    }

    fn at(&self, x: &Tensor, w: &[Tensor], z: &Tensor) -> Box<dyn Local> {
        Box::new(LocalAtPositions {
            x: x.flatten(1, -2).contiguous(),
            weight: w[WEIGHT].shallow_clone(),
            output: z.size(),
            gram: OnceLock::new(),
        })
    }
}

/// At T positions of N samples.
struct LocalAtPositions {
    /// `[N, T, in]`.
    x: Tensor,
    /// `[out, in]`.
    weight: Tensor,
    /// The shape of the output, `[N, *positions, out]`.
    output: Vec<i64>,
    /// `x xᵀ: [N, T, T]`, kept from its first use if it is not too large.
    gram: OnceLock<Tensor>,
}

impl Local for LocalAtPositions {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        linear(dx, &self.weight)
    }

    /// Each term is added in the product that forms it.
    fn tangent_along(&self, dx: Option<&Tensor>, dw: &[(usize, Vectors)]) -> Option<Tensor> {
        let mut sum = dx.map(|dx| Local::tangent(self, dx));
        if let Some(dw) = numbers_of(WEIGHT, dw) {
            sum = Some(match sum {
                Some(z) => plus_products(z, &self.x, &dw.transpose(1, 2)),
                None => LocalParameters::tangent(self, WEIGHT, &dw),
            });
        }
        if let Some(db) = numbers_of(BIAS, dw) {
            let db = LocalParameters::tangent(self, BIAS, &db);
            match &mut sum {
                Some(z) => *z += db,
                None => sum = Some(db),
            }
        }
        sum
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        linear(gz, &self.weight.tr())
    }

    /// `gz W + g dW`, the second added in the product that forms it.
    fn adjoint_along(&self, gz: &Tensor, g: &Tensor, dw: &[(usize, Vectors)]) -> Tensor {
        let passed = Local::adjoint(self, gz);
        match numbers_of(WEIGHT, dw) {
            Some(dw) => plus_products(passed, g, &dw),
            None => passed,
        }
    }

    fn parameters(&self) -> Option<&dyn LocalParameters> {
        Some(self)
    }
}

impl LocalAtPositions {
    fn samples(&self) -> i64 {
        self.x.size()[0]
    }

    fn positions(&self) -> i64 {
        self.x.size()[1]
    }

    /// `[K, N T, features] -> [K, N, *positions, features]`.
    fn in_shape(&self, z: &Tensor) -> Tensor {
        let (k, features) = (z.size()[0], z.size()[2]);
        let places = &self.output[..self.output.len() - 1];
        z.reshape([&[k], places, &[features]].concat())
    }

    /// `[K, N, *positions, features] -> [K, N, T, features]`.
    fn by_sample(&self, z: &Tensor) -> Tensor {
        z.flatten(2, -2)
    }

    /// `x xᵀ` of some samples: `[length, T, T]`.
    fn gram(&self, start: i64, length: i64) -> Tensor {
        let of = |x: &Tensor| x.bmm(&x.transpose(1, 2));
        let t = self.positions();
        match self.samples() * t * t <= MOST_FLOATS {
            true => {
                let all = self.gram.get_or_init(|| of(&self.x));
                all.narrow(0, start, length)
            }
            false => of(&self.x.narrow(0, start, length)),
        }
    }

    /// Whether traces of columns come by `⟨a bᵀ, x xᵀ⟩` rather than by the products `aᵀ x` and `bᵀ x`
    /// themselves: it is less work, and makes smaller matrices.
    fn by_positions(&self, s: &ColumnPair) -> bool {
        let (t, columns) = (self.positions(), if s.second.is_some() { 2 } else { 1 });
        let (out, inputs) = (self.weight.size()[0], self.weight.size()[1]);
        t <= columns * inputs && t * t <= columns * out * inputs
    }

    /// `Σ_n ⟨a_knᵀ x_n, b_knᵀ x_n⟩` and, for the bias, `Σ_n ⟨Σ_t a_knt, Σ_t b_knt⟩` from `a bᵀ`:
    /// `[K, N, T, out] -> [K]` in float64.
    fn traces_by_positions(&self, s: &ColumnPair) -> [Tensor; 2] {
        let (k, t) = (s.first.size()[0], self.positions());
        let part = |(start, length)| {
            let s = s.map(|s| s.narrow(1, start, length).flatten(0, 1));
            let [a, b] = s.both();
            let pairs = a.bmm(&b.transpose(1, 2)).view([k, -1]);
            let of_weight = dot(&pairs, &self.gram(start, length).reshape([1, -1]));
            let of_bias = pairs.sum_dim_intlist(1, false, None::<Kind>);
            [of_weight, of_bias.to_kind(Kind::Double)]
        };
        let parts = chunks(MOST_FLOATS, self.samples(), k * t * t).map(part);
        let both = parts.reduce(|[a, b], [c, d]| [a + c, b + d]);
        both.expect("a batch has samples")
    }

    /// `Σ_n ⟨a_knᵀ x_n, b_knᵀ x_n⟩` from both: `[K, N, T, out] -> [K]` in float64.
    fn norms(&self, s: &ColumnPair) -> Tensor {
        let k = s.first.size()[0];
        let (out, inputs) = (self.weight.size()[0], self.weight.size()[1]);
        let part = |(start, length)| {
            let s = s.map(|s| s.narrow(1, start, length).flatten(0, 1));
            let x = self.x.narrow(0, start, length).unsqueeze(0);
            let x = x.expand([k, -1, -1, -1], false).flatten(0, 1);
            let products = s.map(|s| s.transpose(1, 2).bmm(&x).view([k, length, out, inputs]));
            sum_entries(&products.product()).sum_dim_intlist(1, false, None::<Kind>)
        };
        let parts = chunks(MOST_FLOATS, self.samples(), k * out * inputs).map(part);
        parts.reduce(|a, b| a + b).expect("a batch has samples")
    }

    /// `Σ_qn sign_qn (s_qnᵀ x_n)²`: `[Q, N, T, out] -> [out, in]`.
    fn squares(&self, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let q = s.size()[0];
        let (out, inputs) = (self.weight.size()[0], self.weight.size()[1]);
        let part = |(start, length)| {
            let s = s.narrow(1, start, length).permute([1, 0, 3, 2]);
            let rows = s.reshape([length, q * out, -1]);
            let product = rows.bmm(&self.x.narrow(0, start, length));
            let squares = product.square().view([length, q, out, inputs]);
            let signed = match sign {
                Some(sign) => {
                    let sign = sign.narrow(1, start, length).tr();
                    squares * sign.reshape([length, q, 1, 1])
                }
                None => squares,
            };
            signed.sum_dim_intlist([0, 1].as_slice(), false, None::<Kind>)
        };
        let parts = chunks(MOST_FLOATS, self.samples(), q * out * inputs).map(part);
        parts.reduce(|a, b| a + b).expect("a batch has samples")
    }
}

impl LocalParameters for LocalAtPositions {
    fn shape(&self, i: usize) -> Vec<i64> {
        let size = self.weight.size();
        match i {
            BIAS => size[..1].to_vec(),
            _ => size,
        }
    }

    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        let k = dw.size()[0];
        match i {
            BIAS => {
                let ones = vec![1; self.output.len() - 1];
                let rows = dw.reshape([&[k], ones.as_slice(), &[-1]].concat());
                rows.expand([&[k], self.output.as_slice()].concat(), false)
            }
            _ => self.in_shape(&each(&self.x, k).bmm(&dw.transpose(1, 2))),
        }
    }

    fn adjoint(&self, i: usize, gz: &Tensor) -> Tensor {
        let gz = gz.flatten(1, -2);
        match i {
            BIAS => gz.sum_dim_intlist(1, false, None::<Kind>),
            _ => gz.transpose(1, 2).bmm(&each(&self.x, gz.size()[0])),
        }
    }

    /// `g dW`.
    fn mixed_input(&self, i: usize, g: &Tensor, dw: Vectors) -> Option<Tensor> {
        (i == WEIGHT).then(|| {
            let dw = dw.numbers();
            self.in_shape(&each(g, dw.size()[0]).bmm(&dw))
        })
    }

    /// `gᵀ dx`.
    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        let g = each(g, dx.size()[0]).transpose(1, 2);
        (i == WEIGHT).then(|| g.bmm(&dx.flatten(1, -2)))
    }

    fn adjoint_with_mixed(&self, i: usize, gz: &Tensor, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        let g = each(g, dx.size()[0]).transpose(1, 2);
        (i == WEIGHT)
            .then(|| LocalParameters::adjoint(self, i, gz).baddbmm_(&g, &dx.flatten(1, -2)))
    }

    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let s = self.by_sample(s);
        if i == WEIGHT {
            return self.squares(&s, sign);
        }
        let squares = s.sum_dim_intlist(2, false, None::<Kind>).square();
        let signed = match sign {
            Some(sign) => squares * sign.unsqueeze(-1),
            None => squares,
        };
        signed.sum_dim_intlist([0, 1].as_slice(), false, None::<Kind>)
    }

    /// `[a, j] = Σ_nt d_nta x_ntj²`, and `[a] = Σ_nt d_nta` for the bias.
    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        let d = d.flatten(0, -2);
        match i {
            BIAS => d.sum_dim_intlist(0, false, None::<Kind>),
            _ => d.tr().matmul(&self.x.flatten(0, 1).square()),
        }
    }

    /// `Σ_nt (Σ_a d_nta) ‖x_nt‖²`.
    fn trace_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        let sums = d.flatten(1, -2).sum_dim_intlist(2, false, Kind::Double);
        let partial = PartialTrace::At(sums);
        let trace = self.trace_of_partial(i, &partial);
        trace.expect("a partial trace over the layer's positions")
    }

    fn trace_of_partial(&self, i: usize, partial: &PartialTrace) -> Option<Tensor> {
        if partial.positions() != self.positions() {
            return None;
        }
        let trace = match (i, partial) {
            (BIAS, PartialTrace::At(b) | PartialTrace::Between(b)) => b.shallow_clone(),
            (_, PartialTrace::At(b)) => {
                let squares = self.x.square();
                b * squares.sum_dim_intlist(2, false, Kind::Double)
            }
            (_, PartialTrace::Between(b)) => b * self.gram(0, self.samples()),
        };
        Some(trace.sum(Kind::Double))
    }

    /// Positions share the parameters, unless there is one alone.
    fn trace_factor(&self, i: usize) -> Option<Tensor> {
        let alone = self.positions() == 1;
        alone.then(|| match i {
            BIAS => self
                .x
                .new_ones([self.samples()], (self.x.kind(), self.x.device())),
            _ => (self.x.square()).sum_dim_intlist([1, 2].as_slice(), false, None::<Kind>),
        })
    }

    /// Outputs of the same feature share parameters, at every position.
    fn separates(&self, terms: &Tensor) -> bool {
        let (sorted, _) = terms.flatten(0, -2).sort(0, false);
        let equal = sorted.diff(1, 0, None::<&Tensor>, None::<&Tensor>).eq(0);
        !bool::try_from(equal.any()).expect("a truth value")
    }

    fn trace_of_columns(&self, i: usize, s: &ColumnPair) -> Tensor {
        let s = s.map(|s| self.by_sample(s));
        if i == BIAS {
            let sums = s.map(|s| s.sum_dim_intlist(2, false, None::<Kind>));
            return sum_entries(&sums.product()).sum_dim_intlist(1, false, None::<Kind>);
        }
        match self.by_positions(&s) {
            true => self.traces_by_positions(&s)[WEIGHT].shallow_clone(),
            false => self.norms(&s),
        }
    }

    fn traces_of_columns(&self, count: usize, s: &ColumnPair) -> Vec<Tensor> {
        match self.by_positions(s) {
            true => self
                .traces_by_positions(&s.map(|s| self.by_sample(s)))
                .into(),
            false => (0..count).map(|i| self.trace_of_columns(i, s)).collect(),
        }
    }

    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor {
        let z = match i {
            BIAS => dw
                .unsqueeze(2)
                .expand([-1, -1, self.positions(), -1], false),
            _ => self.x.unsqueeze(0).matmul(&dw.transpose(-1, -2)),
        };
        self.in_shape(&z.flatten(1, 2))
    }
}
