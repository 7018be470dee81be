//! The exact Hessian diagonal, without probes.

use crate::problem::layer::Residual;
use crate::problem::{Linearization, LinearizedLayer};
use tch::{Kind, Tensor};

/// The most numbers of one chunk of columns, so that memory stays bounded.
const CHUNK: i64 = 1 << 22;

/// The diagonal of `H`, one tensor of its shape per parameter.
///
/// Every block is `Σ_n J_wᵀ H_n J_w` with `H_n` the Hessian of sample n at the layer's output, and
/// `H_n` is a sum of rank-one terms: the columns of the loss's root, and one column `√|r| e_a` with
/// the sign of `r` for every curved entry a of a higher layer, all pulled down by the adjoints
/// (BackPACK's DiagHessian: Dangel, Kunstner, Hennig, ICLR 2020, arXiv:1912.10985). A layer's
/// curvature that stands directly over a parameter acts as a diagonal and needs no column.
///
/// Cost: one backward pass of as many columns as the network has outputs, plus, where parameters
/// lie further below, as many as the curved layer has entries; in chunks of bounded memory.
/// Valid where every curved layer acts entry by entry and no layer couples samples.
pub fn diagonal(at: &Linearization) -> Vec<Tensor> {
    let mut sum = Accumulator {
        at,
        diagonal: Vec::new(),
    };
    sum.diagonal.resize_with(at.parameter_count(), || None);
    let top = at.layers().len();
    sum.columns(top, at.loss().columns(), None);
    sum.residuals();
    sum.diagonal
        .into_iter()
        .map(|d| d.expect("the loss's columns reach every parameter"))
        .collect()
}

/// The exact trace per parameter, summed in float64.
pub fn traces(diagonal: &[Tensor]) -> Vec<f64> {
    let trace = |d: &Tensor| d.sum(Kind::Double).double_value(&[]);
    diagonal.iter().map(trace).collect()
}

struct Accumulator<'a> {
    at: &'a Linearization,
    diagonal: Vec<Option<Tensor>>,
}

impl Accumulator<'_> {
    /// Pulls signed columns `s: [Q, N, *]` that stand at the input of layer `above` down.
    fn columns(&mut self, above: usize, s: Tensor, sign: Option<&Tensor>) {
        let mut s = s;
        for index in (0..above).rev() {
            let layer = &self.at.layers()[index];
            self.add(layer, |layer, i| {
                layer.parameters().diagonal_of_columns(i, &s, sign)
            });
            if index > 0 {
                s = layer.local.adjoint(&s);
            }
        }
    }

    /// The curvature of every layer: carried down as a diagonal while the layers are diagonal,
    /// then taken by the parameters it meets, then turned into columns for those below.
    fn residuals(&mut self) {
        let mut carried: Option<Tensor> = None;
        for index in (0..self.at.layers().len()).rev() {
            let layer = &self.at.layers()[index];
            if let Some(d) = carried.take() {
                self.add(layer, |layer, i| {
                    layer.parameters().diagonal_of_diagonal(i, &d)
                });
                if index == 0 {
                    return;
                }
                carried = layer.local.diagonal_adjoint(&d);
                if carried.is_none() {
                    self.unit_columns(index, &d);
                }
            }
            if let Residual::Diagonal(r) = &layer.residual {
                carried = Some(match carried {
                    Some(d) => d + r,
                    None => r.shallow_clone(),
                });
            }
        }
    }

    /// Pulls `diag(d)`, `d: [N, *out]` at the output of `layer`, below that layer, as columns.
    fn unit_columns(&mut self, layer: usize, d: &Tensor) {
        let size = d.size();
        let entries: i64 = size[1..].iter().product();
        let flat = d.flatten(1, -1);
        let widest = entries.max(self.widest_below(layer));
        let chunk = (CHUNK / (size[0] * widest).max(1)).clamp(1, entries);
        for first in (0..entries).step_by(chunk as usize) {
            let count = chunk.min(entries - first);
            let part = flat.narrow(1, first, count);
            let options = (d.kind(), d.device());
            let s = Tensor::zeros([count, size[0], entries], options);
            let diagonal = s.narrow(2, first, count).diagonal(0, 0, 2);
            diagonal.shallow_clone().copy_(&part.abs().sqrt());
            let s = s.reshape([&[count], size.as_slice()].concat());
            let s = self.at.layers()[layer].local.adjoint(&s);
            self.columns(layer, s, Some(&part.sign().tr()));
        }
    }

    fn widest_below(&self, layer: usize) -> i64 {
        let width = |l: &LinearizedLayer| l.gradient.size()[1..].iter().product::<i64>();
        self.at.layers()[..layer]
            .iter()
            .map(width)
            .max()
            .unwrap_or(1)
    }

    fn add(&mut self, layer: &LinearizedLayer, term: impl Fn(&LinearizedLayer, usize) -> Tensor) {
        for (i, index) in layer.indices.clone().enumerate() {
            let term = term(layer, i);
            self.diagonal[index] = Some(match self.diagonal[index].take() {
                Some(sum) => sum + term,
                None => term,
            });
        }
    }
}
