//! What the topmost layer with parameters sees of the loss's Hessian.

use super::linearization::Linearization;
use tch::Tensor;

impl Linearization {
    /// The topmost layer with parameters, and the diagonal of the loss's Hessian at its output,
    /// `[N, *out]`, if the diagonals of its parameters depend on no more of it.
    ///
    /// So it is where every output has parameters of its own, and where outputs that share a parameter
    /// are in different terms of the loss, as the positions of a language model are. Layers above
    /// it may only change the order of entries. Cost: nothing that grows with pairs of outputs.
    pub fn seen_diagonal(&self) -> Option<(usize, Tensor)> {
        let mut index = self.top();
        let mut diagonal = self.loss().hessian_diagonal().unsqueeze(0);
        let mut terms = self.loss().terms().unsqueeze(0).unsqueeze(0);
        while self.layers()[index].indices.is_empty() {
            let layer = &self.layers()[index];
            if !layer.local.reorders() {
                return None;
            }
            diagonal = layer.local.adjoint(&diagonal);
            terms = layer.local.adjoint(&terms);
            index = layer.input.only()?;
        }
        let layer = &self.layers()[index];
        let sees =
            layer.sees_diagonals_only() || layer.parameters().separates(&terms.get(0).get(0));
        sees.then(|| (index, diagonal.squeeze_dim(0)))
    }
}
