//! Quadratic forms from one tangent pass, without a product.

use super::dense::DenseBlocks;
use super::part::Part;
use super::{Partition, Quadratic};
use crate::problem::{Linearization, Signs, Vectors};
use tch::{Kind, Tensor};

/// `vᵀHv` of K vectors at once from one tangent pass up and the gradients of the one stored
/// backward pass; no adjoint per probe.
///
/// With tangents `dx, dz` of the direction v, and `g, r` stored, the second derivative of the loss
/// along v is `Σ_n df_nᵀ H_n df_n + Σ_layers ⟨r ∘ dx, dx⟩ + 2 Σ_layers ⟨g, (∂²z/∂x∂w)[dx, dw]⟩`.
/// One pass per block from its lowest layer up; the sum cannot be split within it. The last term
/// vanishes for a block of one parameter in one layer, and, as r does, for other matrices than the Hessian.
///
/// About half the cost of [`Hmp`](super::Hmp), and memory `O(K N Σ features)`. Sums over a sample's
/// features, and entries of blocks laid out, are in the working precision, all else in float64.
pub struct Forward<'a> {
    parts: Vec<Part<'a>>,
    by_parameter: bool,
    blocks: DenseBlocks<'a>,
}

impl<'a> Forward<'a> {
    /// The quadratic form of the linearised problem.
    pub fn new(at: &'a Linearization, blocks: &'a Partition) -> Self {
        Self::of_parts(std::slice::from_ref(at), blocks, 0)
    }

    /// The sum over problems that make up one, see [`NetworkProblem::slices`](crate::problem::NetworkProblem::slices),
    /// for about `vectors` vectors in all: blocks of far fewer rows are laid out, by products.
    pub fn of_parts(parts: &'a [Linearization], blocks: &'a Partition, vectors: u64) -> Self {
        let parts = Part::each(parts, blocks, vectors);
        Self {
            by_parameter: blocks.by_parameter(),
            // A form takes half of what a product does.
            blocks: DenseBlocks::new(&parts, blocks, vectors / 2),
            parts,
        }
    }

    /// The form of v at the parameters of a block, zero elsewhere: `[K]`.
    fn block(&self, block: &[usize], v: &[Vectors]) -> Tensor {
        let forms = self.parts.iter().map(|part| part.form(block, v));
        forms.reduce(|a, b| a + b).expect("at least one part")
    }

    fn of(&self, v: &[Vectors]) -> Tensor {
        let rows = self.blocks.blocks().map(|(block, dense)| {
            let v: Vec<Vectors> = block.iter().map(|&index| v[index]).collect();
            match dense {
                Some(dense) => dense.quadratic(&v),
                None => self.block(block, &v),
            }
        });
        let rows = Tensor::stack(&rows.collect::<Vec<_>>(), 0);
        match self.by_parameter {
            true => rows,
            false => rows.sum_dim_intlist(0, true, None::<Kind>),
        }
    }
}

impl Quadratic for Forward<'_> {
    fn quadratic(&self, v: &[Tensor]) -> Tensor {
        self.of(&v.iter().map(Vectors::Numbers).collect::<Vec<_>>())
    }

    fn quadratic_of_signs(&self, v: &[Signs]) -> Tensor {
        self.of(&v.iter().map(Vectors::Signs).collect::<Vec<_>>())
    }

    fn prefers_signs(&self) -> bool {
        true
    }
}
