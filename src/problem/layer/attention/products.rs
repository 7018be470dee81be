//! Matrix products of which one factor is the same for all K vectors, without copies of `[R, T]` for each.

use tch::Tensor;

/// `a_k b`: `[N, heads, K, R, m] × [N, heads, m, d] -> [N, heads, K, R, d]`, with K among the rows.
pub(super) fn each_times(a: &Tensor, b: &Tensor) -> Tensor {
    let [n, heads, k, rows, _] = five(a);
    let product = a.flatten(2, 3).matmul(b);
    product.view([n, heads, k, rows, -1])
}

/// `a b_k`: `[N, heads, R, m] × [N, heads, K, m, d] -> [N, heads, K, R, d]`, with K among the columns.
pub(super) fn times_each(a: &Tensor, b: &Tensor) -> Tensor {
    let [n, heads, k, _, width] = five(b);
    let product = a.matmul(&b.movedim_int(2, 3).flatten(3, 4));
    product.view([n, heads, -1, k, width]).movedim_int(3, 2)
}

/// A factor once for each of K: `[N, heads, R, d] -> [N, heads, K, R, d]`, copied, and so for small ones.
pub(super) fn repeated(a: &Tensor, k: i64) -> Tensor {
    a.unsqueeze(2)
        .expand([-1, -1, k, -1, -1], false)
        .contiguous()
}

/// `sum_k + a_k b_k` in place of a contiguous sum.
pub(super) fn plus_products(sum: Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    let batch = |t: &Tensor| t.flatten(0, 2);
    let _ = batch(&sum).baddbmm_(&batch(a), &batch(b));
    sum
}

fn five(t: &Tensor) -> [i64; 5] {
    t.size().try_into().expect("[N, heads, K, ., .]")
}
