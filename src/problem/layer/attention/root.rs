//! A signed root of the own curvature of attention.

use super::core::{Core, row_sum};
use crate::problem::tensors::plus_product;
use tch::{Kind, Tensor};

/// Columns of a root of the form in [`AttentionCurvature`](super::curvature::AttentionCurvature).
///
/// `p (c x² + 2 x e)` is a form of two variables for every i and j. Scaled to `X = s x`, `E = e/s`, it has
/// the matrix `[[c/s², 1], [1, 0]]` with eigenvalues t and `−1/t` for `t − 1/t = c/s²`: one column of
/// each sign, along `(t, 1)` and `(1, −t)`. The scale `s² = |g_i| / ((|k_j − k̄_i| + |q_i|) scale)`,
/// `k̄ = p k`, makes X and E weigh about the same below.
///
/// `2⟨M, dq dkᵀ⟩` for `M = gS scale` is `2 Σ_j ⟨M e_j, dq_f⟩ dk_jf` for every feature f: two columns
/// `(M e_j/√n, ±√n e_j)/√2` with `n = |M e_j|` for every j and f.
#[derive(Debug)]
pub(super) struct Root {
    /// What a sign is multiplied with in x, for columns of either sign: `[N, heads, R, T]`.
    scores: [Tensor; 2],
    /// Likewise in e, `[N, heads, R, T]`.
    values: Tensor,
    /// `M e_j/√(2n)`: `[N, heads, R, T]`.
    queries: Tensor,
    /// `√(n/2)`: `[N, heads, T, 1]`.
    keys: Tensor,
    /// `−√(n/2)`.
    opposite: Tensor,
    /// Features of a head.
    width: i64,
}

impl Root {
    /// At fixed `g: [N, heads, R, d]` with `c: [N, heads, R, T]`.
    pub fn new(core: &Core, g: &Tensor, c: &Tensor) -> Self {
        let squared = scale(core, g);
        let a = c / &squared;
        // |c/s²| = t − 1/t for the eigenvalue t of its sign, from which the other follows.
        let t = (a.abs() + (a.square() + 4.0).sqrt()) / 2.0;
        let weight = (&core.p / &t).sqrt() / (t.square() + 1.0).sqrt();
        let (large, small) = (t.square(), t.ones_like());
        let positive = a.ge(0.0);
        let s = squared.sqrt();
        let along = |larger: &Tensor| &weight * large.where_self(larger, &small) * &s;
        let m = &core.p * c * core.scale;
        let n = m.square().sum_dim_intlist(-2, true, None::<Kind>).sqrt();
        let keys = (&n / 2.0).sqrt().mt();
        let some = n.where_self(&n.gt(0.0), &n.ones_like());
        Self {
            scores: [along(&positive), along(&positive.logical_not()).neg()],
            values: &weight * t / s,
            queries: m / (some * 2.0).sqrt(),
            opposite: keys.neg(),
            keys,
            width: g.size()[3],
        }
    }

    /// How many columns each sign has of the first and of the second kind, for a sample.
    fn counts(&self) -> (i64, i64) {
        let [_, heads, rows, keys] = self.values.size()[..] else {
            unreachable!("four axes")
        };
        (heads * rows * keys, heads * keys * self.width)
    }

    /// The shape of what the root takes, `[N, W]`.
    pub fn shape(&self) -> Vec<i64> {
        let (pairs, features) = self.counts();
        vec![self.values.size()[0], 2 * (pairs + features)]
    }

    /// First all columns of positive sign: `[N, W]`.
    pub fn signs(&self) -> Tensor {
        let (pairs, features) = self.counts();
        let ones = Tensor::ones(
            [self.values.size()[0], pairs + features],
            (self.values.kind(), self.values.device()),
        );
        Tensor::cat(&[&ones, &ones.neg()], 1)
    }

    /// `R v` for q, k and v, of the columns of positive and of those of negative sign: `v: [K, N, W]`.
    pub fn columns_by_sign(&self, core: &Core, g: &Tensor, v: &Tensor) -> [[Tensor; 3]; 2] {
        let (pairs, features) = self.counts();
        let parts = v.split_with_sizes([pairs, features, pairs, features], 2);
        let shaped = |part: &Tensor, like: &[i64]| {
            let shape = [&part.size()[..2], &like[1..]].concat();
            part.reshape(shape)
        };
        let keys = [&self.keys.size()[..3], &[self.width]].concat();
        [0, 1].map(|sign| {
            let pair = shaped(&parts[2 * sign], &self.values.size());
            let feature = shaped(&parts[2 * sign + 1], &keys);
            let x = &self.scores[sign] * &pair;
            let mean = row_sum(&x).neg();
            let hs = plus_product(x, &core.p, &mean);
            let (mut hq, mut hk) = core.adjoint_of_scores(&hs);
            hq += self.queries.matmul(&feature);
            let along = if sign == 0 {
                &self.keys
            } else {
                &self.opposite
            };
            hk = plus_product(hk, along, &feature);
            [hq, hk, (pair * &self.values).mt().matmul(g)]
        })
    }
}

/// `s²: [N, heads, R, T]`, 1 where neither x nor e is anything.
fn scale(core: &Core, g: &Tensor) -> Tensor {
    let norm = |t: &Tensor| row_sum(&t.square()).sqrt();
    let distance = core.key_distances().sqrt();
    let below = (distance + norm(&core.q)) * core.scale.abs();
    let squared = norm(g) / below;
    let usable = squared.isfinite().logical_and(&squared.gt(0.0));
    squared.where_self(&usable, &squared.ones_like())
}
