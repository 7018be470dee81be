//! Products by libtorch's own double backward: the reference.

use super::{Partition, Product};
use crate::problem::loss::LocalLoss;
use crate::problem::{Curvature, NetworkProblem};
use tch::Tensor;

/// `H v = ∂⟨∂ℓ/∂w, v⟩/∂w`, one vector at a time (Pearlmutter, Neural Computation 6:1, 1994), or
/// `Jᵀ G J v` for other matrices, with `J v = ∂⟨Jᵀ u, v⟩/∂u`.
///
/// Trusts none of the layer rules, and of the losses' only those for G. Cost: one differentiable
/// gradient when built, then per vector and block one backward pass through its graph, and another
/// through the network's for `Jᵀ`.
pub struct Autodiff<'a> {
    parameters: Vec<Tensor>,
    /// The gradient of the loss, differentiable in the parameters; or `Jᵀ u`, differentiable in u.
    gradient: Vec<Tensor>,
    gauss_newton: Option<GaussNewton>,
    blocks: &'a Partition,
}

/// The outputs f of the network, u of their shape, and G.
struct GaussNewton {
    outputs: Tensor,
    u: Tensor,
    matrix: Box<dyn LocalLoss>,
}

impl<'a> Autodiff<'a> {
    /// Builds the graph of the gradient.
    ///
    /// # Panics
    /// For another matrix than the Hessian on more than one batch.
    pub fn new(problem: &NetworkProblem, curvature: Curvature, blocks: &'a Partition) -> Self {
        let parameters = problem.leaves();
        let (value, gauss_newton) = match curvature {
            Curvature::Hessian => (problem.loss_at(&parameters), None),
            _ => {
                let outputs = problem.outputs_at(&parameters);
                let matrix = problem.output_matrix(&outputs.detach(), curvature);
                let u = outputs.zeros_like().set_requires_grad(true);
                let value = (&outputs * &u).sum(outputs.kind());
                (value, Some(GaussNewton { outputs, u, matrix }))
            }
        };
        let gradient = Tensor::run_backward(&[value], &parameters, true, true);
        let gradient = or_zero(gradient, parameters.iter());
        Self {
            parameters,
            gradient,
            gauss_newton,
            blocks,
        }
    }

    /// The entries in a block of the product with v, which is zero outside the block.
    fn block(&self, block: &[usize], v: &[Tensor]) -> Vec<Tensor> {
        let terms = block.iter().zip(v).map(|(&index, v)| {
            let g = &self.gradient[index];
            (g * v).sum(g.kind())
        });
        let inner = terms.reduce(|a, b| a + b).expect("a block has parameters");
        let own: Vec<&Tensor> = block.iter().map(|&index| &self.parameters[index]).collect();
        match &self.gauss_newton {
            None => differentiate(&inner, &own),
            Some(GaussNewton { outputs, u, matrix }) => {
                let df = differentiate(&inner, &[u]).remove(0);
                let h = matrix.hessian(&df.unsqueeze(0)).squeeze_dim(0);
                differentiate(&(outputs * h).sum(outputs.kind()), &own)
            }
        }
    }
}

/// The gradient of `inner`; zero where it does not depend on a parameter.
fn differentiate(inner: &Tensor, parameters: &[&Tensor]) -> Vec<Tensor> {
    if !inner.requires_grad() {
        return parameters.iter().map(|p| p.zeros_like()).collect();
    }
    let gradient = Tensor::run_backward(&[inner], parameters, true, false);
    or_zero(gradient, parameters.iter().copied())
}

/// The gradient, with zeros for parameters on which nothing depends.
fn or_zero<'a>(gradient: Vec<Tensor>, parameters: impl Iterator<Item = &'a Tensor>) -> Vec<Tensor> {
    let defined = |(g, p): (Tensor, &Tensor)| if g.defined() { g } else { p.zeros_like() };
    gradient.into_iter().zip(parameters).map(defined).collect()
}

impl Product for Autodiff<'_> {
    fn multiply(&self, v: &[Tensor]) -> Vec<Tensor> {
        let product: Vec<Tensor> = v.iter().map(Tensor::zeros_like).collect();
        for k in 0..v.first().map_or(0, |v| v.size()[0]) {
            for block in self.blocks.blocks() {
                let parts: Vec<Tensor> = block.iter().map(|&index| v[index].get(k)).collect();
                for (&index, part) in block.iter().zip(self.block(block, &parts)) {
                    product[index].get(k).copy_(&part);
                }
            }
        }
        product
    }
}
