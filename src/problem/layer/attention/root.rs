//! A root of the own curvature of attention.

use super::core::{Core, row_sum};
use super::products::times_each;
use crate::problem::tensors::plus_product;
use tch::{Kind, Tensor};

/// Pairs of columns whose products are the form in [`AttentionCurvature`](super::curvature::AttentionCurvature).
///
/// `p (c x² + 2 x e)` is the product of `α x` and `(p/α) (c x + 2 e)`, a pair for every i and j. The columns
/// of both are about as long below for `α² = p (|c| + 2 |g_i|/|x|)` with `|x| = (|k_j − k̄_i| + |q_i|) scale`,
/// `k̄ = p k`.
///
/// `2⟨M, dq dkᵀ⟩` for `M = gS scale` is the sum over j and every feature f of the products of
/// `⟨M e_j, dq_f⟩ √(2/n)` and `dk_jf √(2n)`, `n = |M e_j|`.
#[derive(Debug)]
pub(super) struct Root {
    /// `α: [N, heads, R, T]`.
    scores: Tensor,
    /// `p c/α`.
    bent: Tensor,
    /// `2 p/α`.
    values: Tensor,
    /// `M e_j √(2/n)`: `[N, heads, R, T]`.
    queries: Tensor,
    /// `√(2n)`: `[N, heads, T, 1]`.
    keys: Tensor,
    /// Features of a head.
    width: i64,
}

impl Root {
    /// At fixed `g: [N, heads, R, d]` with `c: [N, heads, R, T]`.
    pub fn new(core: &Core, g: &Tensor, c: &Tensor) -> Self {
        let root = core.p.sqrt();
        let ratio = lengths(core, g, c).sqrt();
        // Where c and g are zero, x is left out as well: it would be nothing but noise.
        let values = &root / ratio.where_self(&ratio.gt(0.0), &ratio.ones_like());
        let m = &core.p * c * core.scale;
        let n = m.square().sum_dim_intlist(-2, true, None::<Kind>).sqrt();
        let some = n.where_self(&n.gt(0.0), &n.ones_like());
        Self {
            scores: root * ratio,
            bent: &values * c,
            values: values * 2.0,
            queries: m * (some / 2.0).rsqrt(),
            keys: (n * 2.0).sqrt().mt(),
            width: g.size()[3],
        }
    }

    /// How many pairs there are of the first and of the second kind, for a sample.
    fn counts(&self) -> [i64; 2] {
        let [_, heads, rows, keys] = self.values.size()[..] else {
            unreachable!("four axes")
        };
        [heads * rows * keys, heads * keys * self.width]
    }

    /// The shape of what the pairs take, `[N, W]`.
    pub fn shape(&self) -> Vec<i64> {
        vec![self.values.size()[0], self.counts().iter().sum()]
    }

    /// What pairs of either kind take of `v: [K, N, W]`: `[N, heads, K, R, T]` and `[N, heads, K, T, width]`.
    pub fn split(&self, v: &Tensor) -> [Tensor; 2] {
        let [scores, features] = &v.split_with_sizes(self.counts(), 2)[..] else {
            unreachable!("two kinds")
        };
        let shaped = |part: &Tensor, like: &[i64]| {
            let all = part.reshape([&v.size()[..2], &like[1..]].concat());
            all.movedim_int(0, 2)
        };
        let keys = [&self.keys.size()[..3], &[self.width]].concat();
        [shaped(scores, &self.values.size()), shaped(features, &keys)]
    }

    /// The first columns, of q and k; nothing is in v.
    pub fn first(&self, core: &Core, [v, features]: &[Tensor; 2]) -> [Tensor; 2] {
        let hs = core.adjoint_of_centred(signed(v, &self.scores));
        let [mut hq, hk] = core.adjoint_of_scores(&hs);
        hq += times_each(&self.queries, features);
        [hq, hk]
    }

    /// The second ones, of q, k and v.
    pub fn second(&self, core: &Core, g: &Tensor, [v, features]: &[Tensor; 2]) -> [Tensor; 3] {
        let hs = core.adjoint_of_centred(signed(v, &self.bent));
        let [hq, hk] = core.adjoint_of_scores(&hs);
        let hk = plus_product(hk, &self.keys.unsqueeze(2), features);
        let hv = signed(v, &self.values).mt().matmul(&g.unsqueeze(2));
        [hq, hk, hv]
    }
}

/// `v ∘ a` for K sign vectors v, in the order of its axes in memory.
fn signed(v: &Tensor, a: &Tensor) -> Tensor {
    let product = Tensor::empty(v.size(), (a.kind(), a.device()));
    v.mul_out(&product, &a.unsqueeze(2))
}

/// `|c| + 2 |g_i|/|x|: [N, heads, R, T]`, 1 where that is no number.
fn lengths(core: &Core, g: &Tensor, c: &Tensor) -> Tensor {
    let norm = |t: &Tensor| row_sum(&t.square()).sqrt();
    let distance = core.key_distances().sqrt();
    let x = (distance + norm(&core.q)) * core.scale.abs();
    let lengths = c.abs() + norm(g) * 2.0 / x;
    lengths.where_self(&lengths.isfinite(), &lengths.ones_like())
}
