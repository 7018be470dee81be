//! One linearisation with what is laid out of it for its diagonal blocks.

use super::Partition;
use super::block_form::block_form;
use super::block_product::block_product;
use super::output_jacobian::OutputJacobian;
use crate::problem::{Linearization, Vectors};
use tch::Tensor;

/// A linearisation of a problem, or of a part of its samples, as the products with blocks see it.
pub(super) struct Part<'a> {
    pub at: &'a Linearization,
    jacobian: OutputJacobian,
}

impl<'a> Part<'a> {
    /// For about `vectors` vectors in every block of `partition`.
    pub fn each(parts: &'a [Linearization], partition: &Partition, vectors: u64) -> Vec<Self> {
        let of = |at| Self {
            at,
            jacobian: OutputJacobian::new(at, partition, vectors),
        };
        parts.iter().map(of).collect()
    }

    /// The form of K vectors in the parameters of a block: `[K]` in float64.
    pub fn form(&self, block: &[usize], v: &[Vectors]) -> Tensor {
        match self.jacobian.covers(self.at, block) {
            true => self.jacobian.form(self.at, block, v),
            false => block_form(self.at, block, v),
        }
    }

    /// The block times K vectors, one `[K, *shape]` for each of its parameters.
    pub fn product(&self, block: &[usize], v: &[Vectors]) -> Vec<Tensor> {
        match self.jacobian.covers(self.at, block) {
            true => self.jacobian.product(self.at, block, v),
            false => block_product(self.at, block, v),
        }
    }
}
