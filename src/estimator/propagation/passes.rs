//! Passes of random columns down a network.

use super::exactly::Exactly;
use super::noise::Noise;
use crate::estimator::Probe;
use crate::estimator::stream::{PhiloxStream, Space};
use crate::problem::{Adjoints, Linearization, sum_present};
use tch::Tensor;

/// What every pass over one linearisation shares.
pub(super) struct Passes {
    at: Linearization,
    stream: PhiloxStream,
    exactly: Exactly,
}

/// The columns of one sign on their way down.
struct Column<'a> {
    sign: f64,
    /// All of them but what is `fresh`.
    settled: Adjoints<'a>,
    /// The noise of layers right above, which parameters leave out that have seen its curvature.
    fresh: Adjoints<'a>,
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
        let mut columns = [1.0, -1.0].map(|sign| Column {
            sign,
            settled: at.adjoints(None),
            fresh: at.adjoints(None),
        });
        let root = signs(Space::Loss, &at.loss().root_shape());
        columns[0].settled.add(at.top(), at.loss().root(&root));
        for index in (lowest..=at.top()).rev() {
            self.add_roots(index, &mut columns, &signs);
            let noise = exactly.noise[index].as_ref();
            let v = noise.map(|noise| signs(Space::DiagonalCurvature(index), &noise.shape()));
            let noise = noise.zip(v.as_ref());
            for column in &mut columns {
                self.step(index, column, noise, &traces);
            }
        }
        traces
    }

    /// Takes a column from the output of layer `index` to its input, with noise from signs added to it
    /// there, and adds its part to the traces of the layer's parameters.
    fn step(
        &self,
        index: usize,
        column: &mut Column<'_>,
        noise: Option<(&Noise, &Tensor)>,
        traces: &Tensor,
    ) {
        let layer = &self.at.layers()[index];
        let (settled, fresh) = (column.settled.take(index), column.fresh.take(index));
        let seen = self.exactly.seen[index];
        if self.exactly.samples(&self.at, index) {
            let part = match seen {
                true => settled.as_ref().map(Tensor::shallow_clone),
                false => sum(&settled, &fresh),
            };
            if let Some(part) = part {
                self.add_traces(traces, index, &part, column.sign);
            }
        }
        let settled = match noise {
            Some((noise, v)) => noise.onto(settled, column.sign, v),
            None => settled,
        };
        if layer.hands_on() {
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
        } else if let Some(all) = sum_present(settled, fresh) {
            column.settled.propagate(index, &all, None);
        }
    }

    /// Adds the curvature that is no diagonal and stands at the output of layer `index`, as noise.
    fn add_roots(
        &self,
        index: usize,
        [positive, negative]: &mut [Column<'_>; 2],
        signs: &impl Fn(Space, &[i64]) -> Tensor,
    ) {
        let standing = self.at.non_diagonal_curvatures();
        for own in standing.filter(|own| own.below == index) {
            let shape = own.matrix.root_shape();
            let v = signs(Space::NonDiagonalCurvature(own.layer), &shape);
            let [plus, minus] = own.matrix.roots(&v);
            positive.fresh.add(index, plus);
            negative.fresh.add(index, minus);
        }
    }

    /// Adds `± Σ_n ‖J_nᵀ c_n‖²` to the rows of a layer's parameters.
    fn add_traces(&self, traces: &Tensor, index: usize, column: &Tensor, sign: f64) {
        let layer = &self.at.layers()[index];
        for (i, &parameter) in layer.indices.iter().enumerate() {
            let mut row = traces.get(parameter as i64);
            row += layer.parameters().trace_of_columns(i, column) * sign;
        }
    }
}

/// The sum of two columns, of which an absent one is zero.
fn sum(a: &Option<Tensor>, b: &Option<Tensor>) -> Option<Tensor> {
    let own = |t: &Option<Tensor>| t.as_ref().map(Tensor::shallow_clone);
    sum_present(own(a), own(b))
}
