//! The exact Hessian diagonal, without probes.

use crate::problem::{Diagonal, Linearization, LinearizedLayer};
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
    let all_columns = at.loss().columns(0, at.loss().column_count());
    sum.columns(at.top(), at.layers().len(), all_columns, None);
    at.carry(|d| {
        sum.add(d.layer, |layer, i| {
            layer.parameters().diagonal_of_diagonal(i, &d.entries)
        });
        if d.ends {
            sum.unit_columns(&d);
        }
    });
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
    /// Pulls signed columns `s: [Q, N, *]` down that stand at the output of layer `from`; layers
    /// below number `seen` have not yet seen what they stand for.
    fn columns(&mut self, from: usize, seen: usize, s: Tensor, sign: Option<&Tensor>) {
        let at = self.at;
        at.pull(from, s, None, |index, layer, s| {
            if index < seen {
                self.add(layer, |layer, i| {
                    layer.parameters().diagonal_of_columns(i, s, sign)
                });
            }
            None
        });
    }

    /// `diag(d)` as columns for the layers below its own.
    fn unit_columns(&mut self, d: &Diagonal<'_>) {
        let size = d.entries.size();
        let entries: i64 = size[1..].iter().product();
        let flat = d.entries.flatten(1, -1);
        let widest = entries.max(self.widest_below(d.index));
        let chunk = (CHUNK / (size[0] * widest).max(1)).clamp(1, entries);
        for first in (0..entries).step_by(chunk as usize) {
            let count = chunk.min(entries - first);
            let part = flat.narrow(1, first, count);
            let options = (flat.kind(), flat.device());
            let s = Tensor::zeros([count, size[0], entries], options);
            let diagonal = s.narrow(2, first, count).diagonal(0, 0, 2);
            diagonal.shallow_clone().copy_(&part.abs().sqrt());
            let s = s.reshape([&[count], size.as_slice()].concat());
            self.columns(d.index, d.index, s, Some(&part.sign().tr()));
        }
    }

    fn widest_below(&self, layer: usize) -> i64 {
        let width = |l: &LinearizedLayer| l.gradient.size()[1..].iter().product::<i64>();
        let widths = self.at.layers()[..layer].iter().map(width);
        widths.max().unwrap_or(1)
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
