//! Hessian-vector products by libtorch's own double backward: the reference.

use super::{Blocks, Product};
use crate::problem::Problem;
use tch::Tensor;

/// `H v = ∂⟨∂ℓ/∂w, v⟩/∂w`, one vector at a time (Pearlmutter, Neural Computation 6:1, 1994).
///
/// Trusts none of the layer rules. Cost: one differentiable gradient when built, then per vector
/// one backward pass through its graph (`Full`), or one per parameter (`Parameter`).
pub struct Autodiff {
    parameters: Vec<Tensor>,
    gradient: Vec<Tensor>,
    blocks: Blocks,
}

impl Autodiff {
    /// Builds the graph of the gradient.
    pub fn new(problem: &Problem, blocks: Blocks) -> Self {
        let leaf = |p: &Tensor| p.detach().set_requires_grad(true);
        let parameters: Vec<Tensor> = problem.parameters.iter().map(leaf).collect();
        let loss = problem.loss_at(&parameters);
        let gradient = Tensor::run_backward(&[loss], &parameters, true, true);
        Self {
            parameters,
            gradient,
            blocks,
        }
    }

    fn full(&self, v: &[Tensor]) -> Vec<Tensor> {
        let terms = self
            .gradient
            .iter()
            .zip(v)
            .map(|(g, v)| (g * v).sum(g.kind()));
        let inner: Tensor = terms
            .reduce(|a, b| a + b)
            .expect("a network has parameters");
        differentiate(&inner, &self.parameters)
    }

    fn block(&self, index: usize, v: &Tensor) -> Tensor {
        let g = &self.gradient[index];
        let inner = (g * v).sum(g.kind());
        differentiate(&inner, &self.parameters[index..=index]).remove(0)
    }
}

/// The gradient of `inner`; zero where it does not depend on a parameter.
fn differentiate(inner: &Tensor, parameters: &[Tensor]) -> Vec<Tensor> {
    if !inner.requires_grad() {
        return parameters.iter().map(Tensor::zeros_like).collect();
    }
    Tensor::run_backward(&[inner], parameters, true, false)
        .into_iter()
        .zip(parameters)
        .map(|(hv, p)| if hv.defined() { hv } else { p.zeros_like() })
        .collect()
}

impl Product for Autodiff {
    fn multiply(&self, v: &[Tensor]) -> Vec<Tensor> {
        let count = v.first().map_or(0, |v| v.size()[0]);
        let rows: Vec<Vec<Tensor>> = (0..count)
            .map(|k| match self.blocks {
                Blocks::Full => {
                    let v: Vec<Tensor> = v.iter().map(|v| v.get(k)).collect();
                    self.full(&v)
                }
                Blocks::Parameter => (0..v.len()).map(|i| self.block(i, &v[i].get(k))).collect(),
            })
            .collect();
        (0..v.len())
            .map(|i| Tensor::stack(&rows.iter().map(|row| &row[i]).collect::<Vec<_>>(), 0))
            .collect()
    }
}
