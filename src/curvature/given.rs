//! Products with a given matrix.

use super::Product;
use crate::problem::matrix::Matrix;
use tch::Tensor;

/// `A V` for K vectors `[K, n]` takes one matrix product, or one scaling where A is diagonal.
impl Product for Matrix {
    fn multiply(&self, v: &[Tensor]) -> Vec<Tensor> {
        let [v] = v else {
            unreachable!("a matrix has one parameter")
        };
        vec![match self.entries.dim() {
            1 => v * &self.entries,
            _ => v.matmul(&self.entries),
        }]
    }
}
