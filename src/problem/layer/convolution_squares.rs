//! Squares of what columns give in the weight of a convolution.

use super::ColumnPair;
use super::convolution::LocalConvolution;
use super::correlation::{MOST_FLOATS, chunks};
use tch::{Device, Kind, Tensor};

/// Floats of columns that are made and used before they leave a core's second cache.
const SECOND_CACHE: i64 = 1 << 19;

/// `(∂z_n/∂W)ᵀ s_qn` is `left rightᵀ`, with `left: [N G, Q L, T]` from s and `right: [N G, R, T]`
/// from x: channels and columns in a plain convolution, columns and channels in a transposed one.
impl LocalConvolution {
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
    pub fn sides(&self) -> [i64; 2] {
        let channels = self.map.b[0] / self.map.groups;
        match self.map.transposed {
            false => [channels, self.map.fan_in()],
            true => [self.map.fan_in(), channels],
        }
    }

    /// `rightᵀ right` of all samples: `[N G, T, T]`.
    pub fn laid_out_gram(&self) -> Tensor {
        let part = |(start, length)| {
            let right = self.right(start, length);
            right.transpose(1, 2).bmm(&right)
        };
        let parts = chunks(MOST_FLOATS, self.samples(), self.map.column_floats());
        Tensor::cat(&parts.map(part).collect::<Vec<_>>(), 0)
    }

    /// `Σ_qn sign_qn ((∂z_n/∂W)ᵀ s_qn)²`: `[*weight]`.
    pub fn squares(&self, s: &Tensor, sign: Option<&Tensor>) -> Tensor {
        let (q, g, [left, right]) = (s.size()[0], self.map.groups, self.sides());
        let positions = self.map.positions();
        let pairs = positions <= q;
        let floats = match pairs {
            true => g * (left + right) * positions * positions,
            false => g * left * right * q,
        };
        self.keep_columns();
        let floats = floats + self.map.column_floats();
        let sum = self.over_samples(MOST_FLOATS, floats, |start, length| {
            let sign = sign.map(|sign| sign.narrow(1, start, length));
            let columns = self.left(&s.narrow(1, start, length));
            let columns = columns.view([length, g, q, left, -1]);
            match pairs {
                true => squares_by_pairs(&columns, &self.right(start, length), sign),
                false => squares_by_columns(&columns, &self.right(start, length), sign),
            }
        });
        let sum = match self.map.transposed {
            false => sum,
            true => sum.transpose(1, 2),
        };
        sum.reshape(self.map.weight())
    }

    /// `Σ_n ⟨left(a) rightᵀ, left(b) rightᵀ⟩`, or by the smaller matrix `⟨left(a) (rightᵀ right), left(b)⟩`.
    pub fn norms(&self, s: &ColumnPair) -> Tensor {
        let (k, g, [left, right]) = (s.first.size()[0], self.map.groups, self.sides());
        let gram = self.gram.get();
        let wide = gram.map_or(right, |_| self.map.positions());
        let floats = g * left * wide * k + self.map.column_floats();
        let at_once = match gram.is_none() && self.x.device() == Device::Cpu {
            true => SECOND_CACHE,
            false => MOST_FLOATS,
        };
        self.over_samples(at_once, floats, |start, length| {
            let s = s.map(|s| self.left(&s.narrow(1, start, length)));
            let sums = match gram {
                Some(gram) => {
                    let [a, b] = s.both();
                    (a.bmm(&gram.narrow(0, start * g, length * g)) * b)
                        .reshape([length * g, k, -1])
                        .sum_dim_intlist(-1, false, None::<Kind>)
                }
                None => {
                    // MKL is faster with the larger factor first.
                    let of_x = self.right(start, length);
                    let products = s.map(|s| of_x.bmm(&s.transpose(1, 2)));
                    (products.product().view([length * g, right, k, left])).sum_dim_intlist(
                        [1, 3].as_slice(),
                        false,
                        None::<Kind>,
                    )
                }
            };
            sums.sum_dim_intlist(0, false, Kind::Double)
        })
    }
}

/// `Σ_nq sign_qn (left rightᵀ)²`, product by product: `left: [n, G, Q, L, T]`, `right: [n G, R, T]`,
/// `sign: [Q, n]`, to `[G, L, R]`.
fn squares_by_columns(left: &Tensor, right: &Tensor, sign: Option<Tensor>) -> Tensor {
    let [n, g, q, l] = first_sizes(left);
    let rows = left.reshape([n * g, q * l, -1]);
    let product = rows.bmm(&right.transpose(1, 2)).square();
    let product = product.view([n, g, q, l, -1]);
    let signed = match sign {
        Some(sign) => product * sign.tr().reshape([n, 1, q, 1, 1]),
        None => product,
    };
    signed.sum_dim_intlist([0, 2].as_slice(), false, None::<Kind>)
}

/// The same by pairs of positions, `Σ_tt' (Σ_q sign left_t left_t') right_t right_t'`: less work where
/// there are no more positions than columns, which are then summed first.
fn squares_by_pairs(left: &Tensor, right: &Tensor, sign: Option<Tensor>) -> Tensor {
    let [n, g, q, l] = first_sizes(left);
    let signed = match sign {
        Some(sign) => left * sign.tr().reshape([n, 1, q, 1, 1]),
        None => left.shallow_clone(),
    };
    let left = left
        .permute([0, 1, 3, 4, 2])
        .matmul(&signed.permute([0, 1, 3, 2, 4]));
    let left = left.reshape([n, g, l, -1]).permute([1, 2, 0, 3]);
    let right = right.unsqueeze(-1) * right.unsqueeze(-2);
    let right = right
        .reshape([n, g, right.size()[1], -1])
        .permute([1, 0, 3, 2]);
    left.reshape([g, l, -1])
        .bmm(&right.reshape([g, -1, right.size()[3]]))
}

fn first_sizes(t: &Tensor) -> [i64; 4] {
    t.size()[..4].try_into().expect("five axes")
}
