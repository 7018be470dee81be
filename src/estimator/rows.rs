//! Vectors over all parameters as rows of one matrix, for estimators that need inner products.

use super::Probe;
use super::Sampling;
use super::sampling::access;
use super::stream::{PhiloxStream, Space};
use crate::curvature::{Access, Blocks, Operator, ProductKind};
use crate::error::UserError;
use crate::problem::MatrixKind;
use crate::problem::ProblemSpec;
use tch::Tensor;

/// Probes `first..first + count`: one `[count, *shape]` per parameter.
pub(super) fn draw(
    stream: &PhiloxStream,
    operator: &Operator<'_>,
    probe: Probe,
    first: u64,
    count: u64,
) -> Vec<Tensor> {
    let shapes = operator.shapes().iter().enumerate();
    let one = |(index, shape): (usize, &Vec<i64>)| {
        stream.draw(probe, Space::Parameter(index), first, count, shape)
    };
    shapes.map(one).collect()
}

/// How many numbers parameters of these shapes hold together.
pub(super) fn size(shapes: &[Vec<i64>]) -> i64 {
    shapes
        .iter()
        .map(|shape| shape.iter().product::<i64>())
        .sum()
}

/// One `[K, *shape]` per parameter as rows `[K, n]`.
pub(super) fn join(v: &[Tensor]) -> Tensor {
    let rows: Vec<Tensor> = v.iter().map(|v| v.reshape([v.size()[0], -1])).collect();
    Tensor::cat(&rows, 1)
}

/// Rows `[K, n]` as one `[K, *shape]` per parameter.
pub(super) fn split(rows: &Tensor, shapes: &[Vec<i64>]) -> Vec<Tensor> {
    let numel: Vec<i64> = shapes.iter().map(|shape| shape.iter().product()).collect();
    let parts = rows.split_with_sizes(&numel, 1);
    let shaped =
        |(part, shape): (&Tensor, &Vec<i64>)| part.reshape([&[-1], shape.as_slice()].concat());
    parts.iter().zip(shapes).map(shaped).collect()
}

/// A times every row of `[K, n]`.
pub(super) fn times(operator: &Operator<'_>, rows: &Tensor) -> Tensor {
    join(&operator.multiply(&split(rows, operator.shapes())))
}

/// How `blocks` and `product` reach a matrix whose products are needed, not its forms alone.
///
/// # Errors
/// Those of [`access`], and `product = "forward"`.
pub(super) fn product_access(
    problem: &ProblemSpec,
    shared: &Sampling,
    matrix: Option<MatrixKind>,
    blocks: Option<Blocks>,
    product: Option<ProductKind>,
) -> Result<Access, UserError> {
    match product {
        Some(ProductKind::Forward) => Err(UserError::new(
            "product",
            "found \"forward\", which gives vᵀAv alone; this estimator needs A v",
            "write product = \"hmp\", or leave it out",
        )),
        _ => access(problem, shared, matrix, blocks, product, ProductKind::Hmp),
    }
}

/// What `read(state, count)` says after each of `counts` probes (rising), `draw(state, first, count)`
/// having added them in chunks of at most `v_batch`.
pub(super) fn at_each<S, T>(
    counts: &[u64],
    v_batch: u64,
    state: &mut S,
    mut draw: impl FnMut(&mut S, u64, u64),
    read: impl Fn(&S, u64) -> T,
) -> Vec<T> {
    let mut drawn = 0;
    let mut results = Vec::with_capacity(counts.len());
    for &count in counts {
        while drawn < count {
            let chunk = v_batch.min(count - drawn);
            draw(state, drawn, chunk);
            drawn += chunk;
        }
        results.push(read(state, count));
    }
    results
}
