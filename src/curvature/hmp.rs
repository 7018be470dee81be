//! The batched Hessian-matrix product: K vectors at once by layer rules, without an autograd graph.

use super::dense::DenseBlocks;
use super::part::Part;
use super::product::add;
use super::{Partition, Product};
use crate::problem::{Linearization, Signs, Vectors};
use tch::Tensor;

/// `H V` for K vectors at once: tangents propagated up, through the loss's Hessian, adjoints
/// propagated down.
///
/// One such pass per block, from its lowest layer to the output and back: Pearlmutter's R-operator
/// (Neural Computation 6:1, 1994, doi:10.1162/neco.1994.6.1.147) written per layer,
/// `h_x ← Jᵀ h_z + r ∘ dx + (∂(Jᵀg)/∂w) dw` and `h_w = J_wᵀ h_z + (∂(Jᵀg)/∂w)ᵀ dx`, v being zero
/// outside the block. For one parameter of layer l the block is `J_lᵀ H_{z_l} J_l`, into which the
/// layer's own gradient does not enter: what BackPACK's HMP multiplies with (Dangel, Kunstner,
/// Hennig, ICLR 2020, arXiv:1912.10985). Other matrices than the Hessian leave out r and g.
///
/// Memory: `O(K (P + N Σ features))`; no graph is kept.
pub struct Hmp<'a> {
    parts: Vec<Part<'a>>,
    blocks: DenseBlocks<'a>,
}

impl<'a> Hmp<'a> {
    /// The product of the linearised problem.
    pub fn new(at: &'a Linearization, blocks: &'a Partition) -> Self {
        Self::of_parts(std::slice::from_ref(at), blocks, 0)
    }

    /// The sum over problems that make up one, see [`NetworkProblem::slices`](crate::problem::NetworkProblem::slices),
    /// for about `vectors` vectors in all: blocks of far fewer rows are laid out, by products.
    pub fn of_parts(parts: &'a [Linearization], blocks: &'a Partition, vectors: u64) -> Self {
        let parts = Part::each(parts, blocks, vectors);
        Self {
            blocks: DenseBlocks::new(&parts, blocks, vectors),
            parts,
        }
    }

    /// The diagonal block of some parameters times K vectors, one `[K, *shape]` for each of them.
    pub fn block(&self, block: &[usize], v: &[Tensor]) -> Vec<Tensor> {
        self.block_of(block, &v.iter().map(Vectors::Numbers).collect::<Vec<_>>())
    }

    fn block_of(&self, block: &[usize], v: &[Vectors]) -> Vec<Tensor> {
        let parts = self.parts.iter().map(|part| part.product(block, v));
        parts.reduce(add).expect("at least one part")
    }

    fn of(&self, v: &[Vectors]) -> Vec<Tensor> {
        let mut product: Vec<Option<Tensor>> = v.iter().map(|_| None).collect();
        for (block, dense) in self.blocks.blocks() {
            let own: Vec<Vectors> = block.iter().map(|&i| v[i]).collect();
            let parts = match dense {
                Some(dense) => dense.multiply(&own),
                None => self.block_of(block, &own),
            };
            for (&index, part) in block.iter().zip(parts) {
                product[index] = Some(part);
            }
        }
        let of_a_block = |part: Option<Tensor>| part.expect("every parameter is in a block");
        product.into_iter().map(of_a_block).collect()
    }
}

impl Product for Hmp<'_> {
    fn multiply(&self, v: &[Tensor]) -> Vec<Tensor> {
        self.of(&v.iter().map(Vectors::Numbers).collect::<Vec<_>>())
    }

    /// Tangents along the weights without a multiplication, and no vector laid out in numbers but
    /// where the Hessian of the layer itself multiplies it.
    fn multiply_signs(&self, v: &[Signs]) -> Vec<Tensor> {
        self.of(&v.iter().map(Vectors::Signs).collect::<Vec<_>>())
    }

    fn takes_signs(&self) -> bool {
        true
    }
}
