//! Matrix products at all positions of all samples, of which one factor is the same for all K vectors.

use tch::Tensor;

/// All positions of all samples, once for each of K: `[N, *positions, features] -> [K, N T, features]`, without a copy.
pub(super) fn each(t: &Tensor, k: i64) -> Tensor {
    let rows = t.flatten(0, -2).unsqueeze(0);
    rows.expand([k, -1, -1], false)
}

/// `sum_k + t b_k` at every position in place of the sum: `[K, N, *positions, out]`, `t: [N, *positions, in]`
/// and `b: [K, in, out]`.
pub(super) fn plus_products(sum: Tensor, t: &Tensor, b: &Tensor) -> Tensor {
    let size = sum.size();
    let rows = sum.flatten(1, -2).baddbmm_(&each(t, size[0]), b);
    rows.view(size.as_slice())
}
