//! The exact diagonal of a matrix over the parameters, without probes.

mod modes;

use super::block_form::block_form;
use super::{chunk_memory, chunks, widest};
use crate::problem::{
    Added, Diagonal, Linearization, LinearizedLayer, NonDiagonalCurvature, Vectors,
};
use modes::{Modes, SquareRoot};
use tch::{Device, Kind, Tensor};

/// The diagonal of the matrix, one tensor of its shape per parameter.
///
/// Every block is `Σ_n J_wᵀ H_n J_w` with `H_n` the Hessian of sample n at the layer's output, and
/// `H_n` is a sum of rank-one terms: the columns of the loss's root, and one column `√|r| e_a` with
/// the sign of `r` for every curved entry a of a higher layer, all propagated down as adjoints
/// (BackPACK's DiagHessian: Dangel, Kunstner, Hennig, ICLR 2020, arXiv:1912.10985), and likewise
/// the columns of a signed root of every layer's curvature that is no diagonal. A layer's curvature
/// that stands directly over a parameter acts as a diagonal and needs no column, as does the loss's
/// Hessian over a layer whose outputs share parameters only across terms of the loss. A parameter with fewer
/// entries than there are columns has the tangents of its unit vectors propagated up instead,
/// whichever is less work; so has one that several layers share, whose uses act on each other.
///
/// Cost: one backward pass of as many columns as the network has outputs, plus, where parameters
/// lie below a curved layer and a mixing one, as many as the curved layer has entries, or a
/// tangent pass for every entry of the parameter. Valid where no layer couples samples.
pub fn diagonal(at: &Linearization) -> Vec<Tensor> {
    diagonal_within(at, chunk_memory(Device::Cpu, None))
}

/// The exact diagonal as [`diagonal`] has it, in chunks of columns that take about `bytes` at most.
pub fn diagonal_within(at: &Linearization, bytes: u64) -> Vec<Tensor> {
    let seen = at.seen_diagonal();
    let reached_by_loss = seen.as_ref().map_or(at.top() + 1, |(layer, _)| *layer);
    let roots = square_roots(at, reached_by_loss);
    let mut sum = Accumulator {
        at,
        modes: Modes::cheapest(at, &roots),
        bytes,
        diagonal: (0..at.parameter_count()).map(|_| None).collect(),
    };
    if let Some((layer, d)) = &seen {
        sum.add(&at.layers()[*layer], |layer, i| {
            layer.parameters().diagonal_of_diagonal(i, d)
        });
    }
    sum.loss_columns(reached_by_loss);
    at.non_diagonal_curvatures()
        .for_each(|own| sum.root_columns(&own));
    at.propagate_diagonals(|d| {
        sum.add(d.layer, |layer, i| {
            layer.parameters().diagonal_of_diagonal(i, &d.entries)
        });
        if d.ends {
            sum.unit_columns(&d);
        }
    });
    sum.forward_mode();
    let reached = |d: Option<Tensor>| d.expect("every parameter is reached");
    sum.diagonal.into_iter().map(reached).collect()
}

/// What [`diagonal`] costs by count of multiplications, in columns `[N, *]` that go through the whole network once.
///
/// Cost: one propagation of diagonals; no column is propagated. The same for any number of samples.
pub fn cost_in_columns(at: &Linearization) -> f64 {
    let reached_by_loss = at.seen_diagonal().map_or(at.top() + 1, |(layer, _)| layer);
    let whole: f64 = at.layers().iter().map(LinearizedLayer::work).sum();
    Modes::least_work(at, &square_roots(at, reached_by_loss)) / whole
}

/// Roots of all curvature that acts on parameters through more than diagonals; the layers below number
/// `reached_by_loss` depend on that of the loss.
fn square_roots(at: &Linearization, reached_by_loss: usize) -> Vec<SquareRoot> {
    let mut roots = vec![SquareRoot {
        layer: at.top(),
        above: reached_by_loss,
        columns: at.loss().column_count(),
    }];
    at.propagate_diagonals(|d| {
        if d.ends {
            let columns = d.layer.features();
            roots.push(SquareRoot {
                layer: d.index,
                above: d.index,
                columns,
            });
        }
    });
    roots.extend(at.non_diagonal_curvatures().map(|own| SquareRoot {
        layer: own.below,
        above: own.below + 1,
        columns: own.matrix.signs().size()[1..].iter().product(),
    }));
    roots
}

/// The exact trace per parameter, summed in float64.
pub fn traces(diagonal: &[Tensor]) -> Vec<f64> {
    let traces: Vec<Tensor> = diagonal.iter().map(|d| d.sum(Kind::Double)).collect();
    let traces = Tensor::stack(&traces, 0);
    Vec::try_from(traces).expect("a vector of float64")
}

struct Accumulator<'a> {
    at: &'a Linearization,
    modes: Modes,
    bytes: u64,
    diagonal: Vec<Option<Tensor>>,
}

impl Accumulator<'_> {
    /// Adds what the columns of the loss's root give for the layers below number `above`.
    fn loss_columns(&mut self, above: usize) {
        let (at, all) = (self.at, self.at.loss().column_count());
        let goals = self.modes.reverse_layers(at, above);
        if goals.is_empty() {
            return;
        }
        for (first, count) in self.chunks(all, widest(at.layers())) {
            let columns = at.loss().columns(first, count);
            self.columns(at.top(), &goals, columns, None);
        }
    }

    /// Adds what the columns of a root of a layer's own curvature give for the layers below it.
    fn root_columns(&mut self, own: &NonDiagonalCurvature<'_>) {
        let goals = self.modes.reverse_layers(self.at, own.below + 1);
        if goals.is_empty() {
            return;
        }
        let all = own.matrix.signs().size()[1..].iter().product();
        for (first, count) in self.chunks(all, widest(&self.at.layers()[..=own.layer])) {
            let (s, sign) = own.matrix.columns(first, count);
            self.columns(own.below, &goals, s, Some(&sign));
        }
    }

    /// Adds what the columns of a root of `diag(d)` give for the layers below its own, which has taken
    /// it in as a diagonal.
    fn unit_columns(&mut self, d: &Diagonal<'_>) {
        let goals = self.modes.reverse_layers(self.at, d.index);
        if goals.is_empty() {
            return;
        }
        let size = d.entries.size();
        let flat = d.entries.flatten(1, -1);
        let widest = widest(&self.at.layers()[..=d.index]);
        for (first, count) in self.chunks(flat.size()[1], widest) {
            let part = flat.narrow(1, first, count);
            let s = Tensor::zeros(
                [&[count], flat.size().as_slice()].concat(),
                (flat.kind(), flat.device()),
            );
            let diagonal = s.narrow(2, first, count).diagonal(0, 0, 2);
            diagonal.shallow_clone().copy_(&part.abs().sqrt());
            let s = s.reshape([&[count], size.as_slice()].concat());
            self.columns(d.index, &goals, s, Some(&part.sign().tr()));
        }
    }

    /// Propagates signed columns `s: [Q, N, *]` at the output of layer `from` down to the layers
    /// `goals`, and adds what they give there.
    fn columns(&mut self, from: usize, goals: &[usize], s: Tensor, sign: Option<&Tensor>) {
        let at = self.at;
        at.propagate_adjoints(from, s, Some(goals), |index, layer, s| {
            if goals.contains(&index) {
                self.add(layer, |layer, i| {
                    layer.parameters().diagonal_of_columns(i, s, sign)
                });
            }
            Added::default()
        });
    }

    /// Sets the diagonals of the parameters in forward mode.
    fn forward_mode(&mut self) {
        let at = self.at;
        for (l, layer) in at.layers().iter().enumerate() {
            for (i, &index) in layer.indices.iter().enumerate() {
                if self.modes.reverse[index] || at.locate(index).0 != l {
                    continue;
                }
                let all: i64 = at.layers()[l..].iter().map(LinearizedLayer::features).sum();
                let parts = self.chunks(layer.numel(i), all);
                let forms = parts.map(|(first, count)| self.unit_forms(index, first, count));
                let shape = layer.parameters().shape(i);
                let forms: Vec<Tensor> = forms.collect();
                self.diagonal[index] = Some(Tensor::cat(&forms, 0).reshape(shape));
            }
        }
    }

    /// The diagonal entries `e_kᵀ H e_k` of entries `first..first + count` of a parameter.
    fn unit_forms(&self, index: usize, first: i64, count: i64) -> Tensor {
        let (l, i) = self.at.locate(index);
        let layer = &self.at.layers()[l];
        let like = self.at.loss().gradient();
        let units = Tensor::zeros([count, layer.numel(i)], (like.kind(), like.device()));
        let _ = units.narrow(1, first, count).diagonal(0, 0, 1).fill_(1.0);
        let units = units.reshape([&[count], layer.parameters().shape(i).as_slice()].concat());
        block_form(self.at, &[index], &[Vectors::Numbers(&units)]).to_kind(like.kind())
    }

    fn chunks(&self, total: i64, numbers: i64) -> impl Iterator<Item = (i64, i64)> + use<> {
        chunks(self.at, total, numbers, self.bytes)
    }

    /// Adds to the diagonals of a layer's parameters in reverse mode.
    fn add(&mut self, layer: &LinearizedLayer, term: impl Fn(&LinearizedLayer, usize) -> Tensor) {
        for (i, &index) in layer.indices.iter().enumerate() {
            if !self.modes.reverse[index] {
                continue;
            }
            let term = term(layer, i);
            self.diagonal[index] = Some(match self.diagonal[index].take() {
                Some(sum) => sum + term,
                None => term,
            });
        }
    }
}
