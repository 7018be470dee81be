//! The heads of an attention layer at one point.

use super::products::{each_times, plus_products, repeated, times_each};
use crate::problem::tensors::plus_product;
use tch::{Kind, Tensor};

/// `o = p v`, `p = softmax s` by rows, `s = q kᵀ scale`, over the last two axes of
/// `q: [N, heads, R, d]`, `k, v: [N, heads, T, d]`.
///
/// K tangents or adjoints of these have K within the heads, `[N, heads, K, ., .]`.
#[derive(Debug)]
pub(super) struct Core {
    pub q: Tensor,
    pub k: Tensor,
    pub v: Tensor,
    /// `[N, heads, R, T]`.
    pub p: Tensor,
    /// `[N, heads, R, d]`.
    pub o: Tensor,
    pub scale: f64,
    /// `q scale`, `k scale`.
    scaled: [Tensor; 2],
}

/// A score that leaves nothing of its weight beside any other: without infinities a row of nothing
/// else has derivatives, too.
const LEAST: f64 = -1e30;

impl Core {
    /// `hidden`: which scores are left out.
    pub fn new([q, k, v]: [Tensor; 3], hidden: Option<&Tensor>, scale: f64) -> Self {
        let [q, k, v] = [q, k, v].map(|t| t.contiguous());
        let scaled = [&q * scale, &k * scale];
        let s = q.matmul(&scaled[1].mt());
        let softmax = |s: &Tensor| s.softmax(-1, None::<Kind>);
        let p = match hidden {
            Some(hidden) => {
                let p = softmax(&s.masked_fill(hidden, LEAST));
                p.masked_fill(hidden, 0.0)
            }
            None => softmax(&s),
        };
        Self {
            o: p.matmul(&v),
            q,
            k,
            v,
            p,
            scale,
            scaled,
        }
    }

    /// The same tensors once more.
    pub fn shallow_clone(&self) -> Self {
        Self {
            q: self.q.shallow_clone(),
            k: self.k.shallow_clone(),
            v: self.v.shallow_clone(),
            p: self.p.shallow_clone(),
            o: self.o.shallow_clone(),
            scale: self.scale,
            scaled: self.scaled.each_ref().map(Tensor::shallow_clone),
        }
    }

    /// `t − Σ_j p t` by rows: the scores' distance from their mean, and, times p, the derivative of
    /// softmax.
    pub fn centred(&self, t: &Tensor) -> Tensor {
        t - row_sum(&(&self.p * t))
    }

    /// `|k_j − k̄_i|²` with `k̄ = p k`, without a tensor of all differences: `[N, heads, R, T]`.
    pub fn key_distances(&self) -> Tensor {
        let mean = self.p.matmul(&self.k);
        let inner = mean.matmul(&self.k.mt());
        let squares = row_sum(&self.k.square()).mt() - inner * 2.0 + row_sum(&mean.square());
        squares.clamp_min(0.0)
    }

    /// `p ∘ (t − Σ_j p t)` in place of t: the derivative of softmax.
    pub fn through_softmax(&self, mut t: Tensor) -> Tensor {
        let p = self.weights();
        t *= &p;
        let sums = row_sum(&t).neg();
        plus_product(t, &p, &sums)
    }

    /// The adjoint of the scores from that of `x = ds − Σ_j p ds`: `hx − p Σ_j hx`.
    pub fn adjoint_of_centred(&self, hx: Tensor) -> Tensor {
        let sums = row_sum(&hx).neg();
        plus_product(hx, &self.weights(), &sums)
    }

    /// p for all of K.
    pub fn weights(&self) -> Tensor {
        self.p.unsqueeze(2)
    }

    /// `ds = (dq kᵀ + q dkᵀ) scale`.
    pub fn tangent_of_scores(&self, dq: &Tensor, dk: &Tensor) -> Tensor {
        let [q, k] = &self.scaled;
        let ds = each_times(dq, &k.mt());
        plus_products(ds, &repeated(q, dk.size()[2]), &dk.mt())
    }

    /// `dp = p ∘ (ds − Σ_j p ds)`.
    pub fn tangent_of_weights(&self, dq: &Tensor, dk: &Tensor) -> Tensor {
        self.through_softmax(self.tangent_of_scores(dq, dk))
    }

    /// `do = dp v + p dv`.
    pub fn tangent_of_output(&self, dp: &Tensor, dv: &Tensor) -> Tensor {
        each_times(dp, &self.v) + times_each(&self.p, dv)
    }

    /// What an adjoint of the scores is for q and k: `hS k scale` and `hSᵀ q scale`.
    pub fn adjoint_of_scores(&self, hs: &Tensor) -> [Tensor; 2] {
        let [q, k] = &self.scaled;
        [each_times(hs, k), hs.mt().matmul(&q.unsqueeze(2))]
    }
}

/// Sums over the last axis, which stays.
pub(super) fn row_sum(t: &Tensor) -> Tensor {
    t.sum_dim_intlist(-1, true, None::<Kind>)
}
