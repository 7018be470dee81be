//! Diagonal blocks of few rows, laid out once instead of multiplied with again and again.

use super::Partition;
use super::chunks::{chunks, widest};
use super::part::Part;
use crate::problem::{LinearizedLayer, Vectors};
use tch::{Kind, Tensor};

/// The diagonal blocks of a matrix, those of few rows laid out.
///
/// R products with unit vectors give all of such a block, of a bias say, and `O(R²)` a vector is all
/// it takes from then on. Memory: `R²` numbers.
pub(super) struct DenseBlocks<'a> {
    partition: &'a Partition,
    laid_out: Vec<Option<DenseBlock>>,
}

/// A diagonal block that is laid out.
pub(super) struct DenseBlock {
    /// The entries, `[R, R]`.
    matrix: Tensor,
    /// The shapes of the block's parameters.
    shapes: Vec<Vec<i64>>,
}

/// Blocks of more rows are not laid out: these are 4 MiB in float32.
const MOST_ROWS: i64 = 1024;

/// Bytes for tangents of unit vectors at once.
const BYTES: u64 = 1 << 26;

impl<'a> DenseBlocks<'a> {
    /// The blocks of the sum of `parts`, for about `vectors` products in all.
    pub fn new(parts: &[Part<'_>], partition: &'a Partition, vectors: u64) -> Self {
        let numel = |&index: &usize| {
            let (layer, i) = at(parts, index);
            layer.numel(i)
        };
        let lay_out = |block: &[usize]| {
            let rows: i64 = block.iter().map(numel).sum();
            let pays = rows <= MOST_ROWS && 2 * rows as u64 <= vectors;
            pays.then(|| DenseBlock::new(parts, block, rows))
        };
        Self {
            laid_out: partition.blocks().map(lay_out).collect(),
            partition,
        }
    }

    /// The parameters of every block, and its entries where it is laid out.
    pub fn blocks(&self) -> impl Iterator<Item = (&[usize], Option<&DenseBlock>)> {
        let dense = self.laid_out.iter().map(Option::as_ref);
        self.partition.blocks().zip(dense)
    }
}

impl DenseBlock {
    fn new(parts: &[Part<'_>], block: &[usize], rows: i64) -> Self {
        let shapes = block.iter().map(|&index| {
            let (layer, i) = at(parts, index);
            layer.parameters().shape(i)
        });
        let shapes: Vec<Vec<i64>> = shapes.collect();
        let like = parts[0].at.loss().gradient();
        let units = Tensor::eye(rows, (like.kind(), like.device()));
        let columns = |(first, count)| {
            let units = split(&units.narrow(0, first, count), &shapes);
            let units: Vec<Vectors> = units.iter().map(Vectors::Numbers).collect();
            let columns = parts
                .iter()
                .map(|part| joined(&part.product(block, &units)));
            columns.reduce(|a, b| a + b).expect("at least one part")
        };
        // Of slices the first one is the largest.
        let (first, widest) = (parts[0].at, widest(parts[0].at.layers()));
        let columns: Vec<Tensor> = chunks(first, rows, widest, BYTES).map(columns).collect();
        Self {
            matrix: Tensor::cat(&columns, 0),
            shapes,
        }
    }

    /// The block times K vectors, one `[K, *shape]` for each of its parameters.
    pub fn multiply(&self, v: &[Vectors]) -> Vec<Tensor> {
        split(&joined(&numbers(v)).matmul(&self.matrix), &self.shapes)
    }

    /// The block's quadratic forms: `[K]` in float64.
    pub fn quadratic(&self, v: &[Vectors]) -> Tensor {
        let v = joined(&numbers(v));
        let terms = (v.matmul(&self.matrix) * v).to_kind(Kind::Double);
        terms.sum_dim_intlist(1, false, None::<Kind>)
    }
}

/// The layer of parameter `index`, and its number within that layer.
fn at<'a>(parts: &[Part<'a>], index: usize) -> (&'a LinearizedLayer, usize) {
    let at = parts[0].at;
    let (layer, i) = at.locate(index);
    (&at.layers()[layer], i)
}

fn numbers(v: &[Vectors]) -> Vec<Tensor> {
    v.iter().map(|v| v.numbers()).collect()
}

/// Vectors with one `[K, *shape]` for each parameter as `[K, R]`.
fn joined(v: &[Tensor]) -> Tensor {
    let flat: Vec<Tensor> = v.iter().map(|v| v.flatten(1, -1)).collect();
    Tensor::cat(&flat, 1)
}

/// Vectors `[K, R]` with one `[K, *shape]` for each parameter.
fn split(v: &Tensor, shapes: &[Vec<i64>]) -> Vec<Tensor> {
    let sizes: Vec<i64> = shapes.iter().map(|shape| shape.iter().product()).collect();
    let shaped =
        |(part, shape): (&Tensor, &Vec<i64>)| part.reshape([&[-1], shape.as_slice()].concat());
    let parts = v.split_with_sizes(&sizes, 1);
    parts.iter().zip(shapes).map(shaped).collect()
}
