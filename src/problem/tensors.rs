//! Small operations on tensors that layers, losses and the passes through a network share.

use tch::{Kind, Tensor};

/// The distance from 1 to the next number of a floating-point kind.
pub fn epsilon(kind: Kind) -> f64 {
    match kind {
        Kind::Double => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    }
}

/// The sum of two tensors, of which an absent one is zero.
pub(crate) fn sum_present(a: Option<Tensor>, b: Option<Tensor>) -> Option<Tensor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

/// `sum + a ∘ b` in place of `sum`.
pub(super) fn plus_product(mut sum: Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    let _ = sum.addcmul_(a, b);
    sum
}

/// The sums over the entries of every sample, in the working precision: `[K, N, *] -> [K, N]` in
/// float64.
pub(super) fn sum_entries(x: &Tensor) -> Tensor {
    x.flatten(2, -1)
        .sum_dim_intlist(-1, false, None::<Kind>)
        .to_kind(Kind::Double)
}

/// The same values of a flat `[N, features]` with the samples along contiguous memory.
///
/// One matrix product over all probes puts tangents out that way; elementwise maps of both then run
/// along contiguous memory.
pub(super) fn samples_innermost(z: Tensor) -> Tensor {
    match z.dim() {
        2 => z.tr().contiguous().tr(),
        _ => z,
    }
}

/// Unit vectors `first..first + count` of the entries of a sample, the same for all N samples:
/// `[count, N, *w]` for `shape = [N, *w]`, of the kind and on the device of `like`. Memory: that of
/// one sample.
pub(crate) fn unit_vectors(first: i64, count: i64, shape: &[i64], like: &Tensor) -> Tensor {
    let all = shape[1..].iter().product::<i64>();
    let units = Tensor::zeros([count, all], (like.kind(), like.device()));
    let ones = units.narrow(1, first, count).diagonal(0, 0, 1);
    let _ = ones.shallow_clone().fill_(1.0);
    units
        .reshape([&[count, 1], &shape[1..]].concat())
        .expand([&[count], shape].concat(), false)
}
