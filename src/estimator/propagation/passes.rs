//! Passes of random columns down a network.

use super::exactly::Exactly;
use super::noise::Noise;
use crate::estimator::Probe;
use crate::estimator::stream::{PhiloxStream, Space};
use crate::problem::layer::ColumnPair;
use crate::problem::{Adjoints, Linearization, sum_present};
use tch::Tensor;

/// What every pass over one linearisation shares.
pub(super) struct Passes {
    at: Linearization,
    stream: PhiloxStream,
    exactly: Exactly,
}

/// The first or the second columns of pairs on their way down.
struct Column<'a> {
    /// All of them but what is `fresh`.
    settled: Adjoints<'a>,
    /// The noise of layers right above, which parameters leave out that have seen its curvature.
    fresh: Adjoints<'a>,
}

impl Column<'_> {
    fn shallow_clone(&self) -> Self {
        Self {
            settled: self.settled.shallow_clone(),
            fresh: self.fresh.shallow_clone(),
        }
    }
}

impl Passes {
    /// Takes what is known exactly, in chunks of about `bytes`, for about `all` passes.
    pub fn new(at: Linearization, stream: PhiloxStream, all: u64, bytes: u64) -> Self {
        let exactly = Exactly::of(&at, bytes);
        for (index, layer) in at.layers().iter().enumerate() {
            if exactly.samples(&at, index) {
                layer.parameters().expect_columns(all);
            }
        }
        Self {
            at,
            stream,
            exactly,
        }
    }

    /// Passes `first..first + count`: `[parameters, count]` in float64.
    pub fn draw(&self, first: u64, count: u64) -> Tensor {
        let (at, exactly) = (&self.at, &self.exactly);
        let traces = exactly.known.unsqueeze(1).repeat([1, count as i64]);
        let sampled = |&index: &usize| exactly.samples(at, index);
        let Some(lowest) = (0..=at.top()).find(sampled) else {
            return traces;
        };
        let signs = |space, shape: &[i64]| {
            self.stream
                .draw(Probe::Rademacher, space, first, count, shape)
        };
        let mut column = Column {
            settled: at.adjoints(None),
            fresh: at.adjoints(None),
        };
        let root = signs(Space::Loss, &at.loss().root_shape());
        column.settled.add(at.top(), at.loss().root(&root));
        let mut columns = vec![column];
        for index in (lowest..=at.top()).rev() {
            if columns.len() == 1 && self.parts_columns(index) {
                columns.push(columns[0].shallow_clone());
            }
            self.add_pairs(index, &mut columns, &signs);
            let noise = exactly.noise[index].as_ref();
            let v = noise.map(|noise| signs(Space::DiagonalCurvature(index), &noise.shape()));
            self.step(index, &mut columns, noise.zip(v.as_ref()), &traces);
        }
        traces
    }

    /// Whether curvature at the output of layer `index` makes the columns of a pair different.
    fn parts_columns(&self, index: usize) -> bool {
        let mut general = self.at.non_diagonal_curvatures();
        let noise = self.exactly.noise[index].as_ref();
        noise.is_some_and(Noise::is_indefinite) || general.any(|own| own.below == index)
    }

    /// Takes pairs from the output of layer `index` to its input, with noise from signs added to them
    /// there, and adds their part to the traces of the layer's parameters.
    ///
    /// Of pairs with two equal columns, one is in `columns`.
    fn step(
        &self,
        index: usize,
        columns: &mut [Column<'_>],
        noise: Option<(&Noise, &Tensor)>,
        traces: &Tensor,
    ) {
        let take = |column: &mut Column<'_>| [column.settled.take(index), column.fresh.take(index)];
        let taken: Vec<[Option<Tensor>; 2]> = columns.iter_mut().map(take).collect();
        self.add_traces(traces, index, &taken);
        for (i, (column, [settled, fresh])) in columns.iter_mut().zip(taken).enumerate() {
            let settled = match noise {
                Some((noise, v)) => Some(plus_noise(settled, noise.roots()[i], v)),
                None => settled,
            };
            self.hand_down(index, column, settled, fresh);
        }
    }

    /// Takes a column from the output of layer `index` to its input.
    fn hand_down(
        &self,
        index: usize,
        column: &mut Column<'_>,
        settled: Option<Tensor>,
        fresh: Option<Tensor>,
    ) {
        let layer = &self.at.layers()[index];
        if !layer.hands_on() {
            if let Some(all) = sum_present(settled, fresh) {
                column.settled.propagate(index, &all, None);
            }
            return;
        }
        if let Some(fresh) = fresh {
            for source in layer.sources() {
                let adjoints = match self.exactly.alone[source] {
                    true => &mut column.fresh,
                    false => &mut column.settled,
                };
                adjoints.add(source, fresh.shallow_clone());
            }
        }
        if let Some(settled) = settled {
            column.settled.propagate(index, &settled, None);
        }
    }

    /// Adds the curvature that is no diagonal and stands at the output of layer `index`, as noise.
    fn add_pairs(
        &self,
        index: usize,
        columns: &mut [Column<'_>],
        signs: &impl Fn(Space, &[i64]) -> Tensor,
    ) {
        let standing = self.at.non_diagonal_curvatures();
        for own in standing.filter(|own| own.below == index) {
            let shape = own.matrix.pair_shape();
            let v = signs(Space::NonDiagonalCurvature(own.layer), &shape);
            for (column, noise) in columns.iter_mut().zip(own.matrix.pair(&v)) {
                column.fresh.add(index, noise);
            }
        }
    }

    /// Adds `Σ_n ⟨J_nᵀ a_n, J_nᵀ b_n⟩` to the rows of the parameters of layer `index`, for pairs of which
    /// `settled` and `fresh` parts stand at its output.
    fn add_traces(&self, traces: &Tensor, index: usize, columns: &[[Option<Tensor>; 2]]) {
        if !self.exactly.samples(&self.at, index) {
            return;
        }
        let own = |t: &Option<Tensor>| t.as_ref().map(Tensor::shallow_clone);
        let sampled = |[settled, fresh]: &[Option<Tensor>; 2]| match self.exactly.seen[index] {
            true => own(settled),
            false => sum_present(own(settled), own(fresh)),
        };
        let mut sampled = columns.iter().map(sampled);
        let Some(first) = sampled.next().flatten() else {
            return;
        };
        let second = sampled.next().flatten();
        let pair = ColumnPair { first, second };
        let layer = &self.at.layers()[index];
        let own = (layer.parameters()).traces_of_columns(layer.indices.len(), &pair);
        for (&parameter, trace) in layer.indices.iter().zip(own) {
            let mut row = traces.get(parameter as i64);
            row += trace;
        }
    }
}

/// A column, of which an absent one is zero, plus noise from a root and signs v.
fn plus_noise(column: Option<Tensor>, root: &Tensor, v: &Tensor) -> Tensor {
    match column {
        // One pass over memory, but slower than two passes where the column lies in another order than v.
        Some(column) if column.is_contiguous() => column.addcmul(root, v),
        Some(column) => (root * v).g_add_(&column),
        None => root * v,
    }
}
