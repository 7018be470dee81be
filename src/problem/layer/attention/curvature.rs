//! The own curvature of attention.

use super::core::{Core, row_sum};
use super::heads::Heads;
use super::products::{each_times, plus_products, repeated, times_each};
use super::root::Root;
use crate::problem::layer::{PartialTrace, Symmetric};
use crate::problem::tensors::plus_product;
use std::sync::OnceLock;
use tch::{Kind, Tensor};

/// `2⟨gS, dq dkᵀ⟩ scale + Σ_ij p_ij (c_ij x_ij² + 2 x_ij e_ij)` at fixed `g = ∂ℓ/∂o`, with
/// `c = gP − Σ_j p gP` for `gP = g vᵀ`, `gS = p ∘ c`, and along a tangent `x = ds − Σ_j p ds`,
/// `e = g dvᵀ`.
///
/// Work for a vector: `O(heads R T d)`. Memory: five numbers for every weight `p_ij`, for all vectors.
#[derive(Debug)]
pub(super) struct AttentionCurvature {
    core: Core,
    heads: Heads,
    /// `[N, heads, R, d]`.
    g: Tensor,
    /// `[N, heads, R, T]`.
    c: Tensor,
    /// `gS scale`.
    coupling: Tensor,
    /// Made when the first column is asked for.
    root: OnceLock<Root>,
}

impl AttentionCurvature {
    pub fn new(core: Core, heads: Heads, g: Tensor) -> Self {
        let c = core.centred(&g.matmul(&core.v.mt()));
        Self {
            coupling: &core.p * &c * core.scale,
            c,
            core,
            heads,
            g,
            root: OnceLock::new(),
        }
    }

    /// `gS`.
    fn gradient_of_scores(&self) -> Tensor {
        &self.core.p * &self.c
    }

    fn root_parts(&self) -> &Root {
        self.root
            .get_or_init(|| Root::new(&self.core, &self.g, &self.c))
    }

    /// The product, with `dp` as in the tangent and `dgS = dp ∘ c + p ∘ (e − Σ_j (dp ∘ c + p ∘ e))`:
    /// `((dgS k + gS dk) scale, (dgSᵀ q + gSᵀ dq) scale, dpᵀ g)`. An adjoint h of the output adds `h vᵀ`
    /// to e, and `pᵀ h` to the last.
    fn below(&self, dx: &Tensor, h: Option<&Tensor>) -> Tensor {
        let core = &self.core;
        let [dq, dk, dv] = self.heads.split_each(dx);
        let (dp, g) = (
            core.tangent_of_weights(&dq, &dk),
            repeated(&self.g, dv.size()[2]),
        );
        let h = h.map(|h| self.heads.rows_each(h));
        let mut e = match &h {
            Some(h) => plus_products(each_times(h, &core.v.mt()), &g, &dv.mt()),
            None => g.matmul(&dv.mt()),
        };
        e *= core.weights();
        let bent = plus_product(e, &dp, &self.c.unsqueeze(2));
        let mean = row_sum(&bent).neg();
        let [mut hq, mut hk] = core.adjoint_of_scores(&plus_product(bent, &core.weights(), &mean));
        hq += times_each(&self.coupling, &dk);
        hk += times_each(&self.coupling.mt(), &dq);
        let mut hv = dp.mt().matmul(&g);
        if let Some(h) = &h {
            hv += times_each(&core.p.mt(), h);
        }
        self.heads.join_each([&hq, &hk, &hv])
    }

    /// The form itself, without a column down again, and the tangents of weights and values.
    fn form(&self, dx: &Tensor) -> (Tensor, [Tensor; 2]) {
        let core = &self.core;
        let [dq, dk, dv] = self.heads.split_each(dx);
        let (p, each) = (core.weights(), |t: &Tensor| t.unsqueeze(2));
        let mut x = core.tangent_of_scores(&dq, &dk);
        let mean = row_sum(&(&x * &p));
        x -= mean;
        let dp = &x * p;
        let e = each(&self.g).matmul(&dv.mt()) * 2.0;
        let form = plus_product(e, &x, &each(&self.c)) * &dp;
        let coupled = plus_product(form, &dq.matmul(&dk.mt()), &each(&(&self.coupling * 2.0)));
        let form = coupled
            .sum_dim_intlist([1, 3, 4].as_slice(), false, None::<Kind>)
            .tr()
            .to_kind(Kind::Double);
        (form, [dp, dv])
    }

    /// The first columns of pairs: `[K, N, T, features]`.
    fn first(&self, v: &[Tensor; 2]) -> Tensor {
        let [hq, hk] = self.root_parts().first(&self.core, v);
        let hv = hk.new_zeros([1], (hk.kind(), hk.device())).expand_as(&hk);
        self.heads.join_each([&hq, &hk, &hv])
    }

    /// The second ones.
    fn second(&self, v: &[Tensor; 2]) -> Tensor {
        let [hq, hk, hv] = self.root_parts().second(&self.core, &self.g, v);
        self.heads.join_each([&hq, &hk, &hv])
    }
}

impl Symmetric for AttentionCurvature {
    fn apply(&self, dx: &Tensor) -> Tensor {
        self.below(dx, None)
    }

    fn apply_with_adjoint(&self, dx: &Tensor, hz: &Tensor) -> Option<Tensor> {
        Some(self.below(dx, Some(hz)))
    }

    /// Between queries of the same position `Σ_j p c |k_j − k̄_i|² scale²`, and between keys
    /// `Σ_i |q_i|² (pc − pc pᵀ − p pcᵀ) scale²`, with `k̄ = p k`, for every pair of entries that are
    /// rotated together times the cosine of their angle between both positions.
    fn partial_trace(&self) -> Option<PartialTrace> {
        let core = &self.core;
        let square = core.scale * core.scale;
        let pc = self.gradient_of_scores().to_kind(Kind::Double);
        let p = core.p.to_kind(Kind::Double);
        let distances = core.key_distances().to_kind(Kind::Double);
        let queries = (&pc * distances).sum_dim_intlist(-1, false, None::<Kind>);
        let squares = core.q.to_kind(Kind::Double).square();
        let t = p.size()[3];
        let own = (&pc * row_sum(&squares)).sum_dim_intlist(-2, false, None::<Kind>);
        let coupled = self.heads.each_angle(&squares, t, |lengths| {
            let sums = (&p * lengths).mt().matmul(&pc);
            &sums + sums.mt()
        });
        let keys = own.diag_embed(0, -2, -1) - coupled;
        // Queries that share keys stand below each other, a row at every position for each.
        let sharing = self.heads.count * self.heads.sharing;
        let queries = queries.reshape([queries.size()[0], sharing, -1]);
        let queries = self.heads.at_positions(&queries, -1);
        let over_heads = |b: Tensor| b.sum_dim_intlist(1, false, None::<Kind>);
        let queries = over_heads(queries).diag_embed(0, 1, 2);
        Some(PartialTrace::Between((over_heads(keys) + queries) * square))
    }

    fn quadratic(&self, dx: &Tensor) -> Tensor {
        self.form(dx).0
    }

    fn quadratic_with_tangent(&self, dx: &Tensor) -> (Tensor, Option<Tensor>) {
        let (form, [dp, dv]) = self.form(dx);
        let tangent = self.core.tangent_of_output(&dp, &dv);
        (form, Some(self.heads.merge_each(&tangent)))
    }

    fn pair(&self, v: &Tensor) -> [Tensor; 2] {
        let parts = self.root_parts().split(v);
        [self.first(&parts), self.second(&parts)]
    }

    fn pair_shape(&self) -> Vec<i64> {
        self.root_parts().shape()
    }

    /// Two for every pair a and b: `(a + b)/2` and, of negative sign, `(a − b)/2`.
    fn signs(&self) -> Tensor {
        let ones = self.core.p.new_ones(
            self.pair_shape(),
            (self.core.p.kind(), self.core.p.device()),
        );
        Tensor::cat(&[&ones, &ones.neg()], 1)
    }

    fn root(&self, v: &Tensor) -> Tensor {
        let [plus, minus] = &v.chunk(2, 2)[..] else {
            unreachable!("two halves")
        };
        let (sum, difference) = ((plus + minus) / 2.0, (plus - minus) / 2.0);
        let parts = |v: &Tensor| self.root_parts().split(v);
        self.first(&parts(&sum)) + self.second(&parts(&difference))
    }
}
