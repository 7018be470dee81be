//! Passes of random columns down a network.

use super::exactly::Exactly;
use super::noise::Noise;
use crate::estimator::Probe;
use crate::estimator::stream::{PhiloxStream, Space};
use crate::problem::layer::ColumnPair;
use crate::problem::{Added, Adjoints, Linearization};
use tch::Tensor;

/// What every pass over one linearisation shares.
pub(super) struct Passes {
    at: Linearization,
    stream: PhiloxStream,
    exactly: Exactly,
}

/// The first or the second columns of pairs on their way down.
struct Column<'a> {
    /// Without the noise of layers right above, which parameters leave out that have seen its curvature.
    settled: Adjoints<'a>,
    /// With it, where there is any.
    all: Adjoints<'a>,
}

/// A column at the output of one layer.
struct Here {
    settled: Option<Tensor>,
    all: Option<Tensor>,
}

impl Column<'_> {
    fn shallow_clone(&self) -> Self {
        Self {
            settled: self.settled.shallow_clone(),
            all: self.all.shallow_clone(),
        }
    }

    fn take(&mut self, index: usize) -> Here {
        Here {
            settled: self.settled.take(index),
            all: self.all.take(index),
        }
    }
}

impl Here {
    /// The column with everything in it.
    fn whole(&self) -> Option<&Tensor> {
        self.all.as_ref().or(self.settled.as_ref())
    }

    /// Adds noise of a layer right above, in its place.
    fn add_from_above(&mut self, mut noise: Tensor) {
        if let Some(whole) = self.whole() {
            noise += whole;
        }
        self.all = Some(noise);
    }

    /// Adds noise of which the parameters here have seen the curvature: a root times signs v.
    fn add_below(&mut self, root: &Tensor, v: &Tensor) {
        self.settled = Some(plus_noise(self.settled.take(), root, v));
        let all = self.all.take();
        self.all = all.map(|all| plus_noise(Some(all), root, v));
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
            all: at.adjoints(None),
        };
        let root = signs(Space::Loss, &at.loss().root_shape());
        column.settled.add(at.top(), at.loss().root(&root));
        let mut columns = vec![column];
        for index in (lowest..=at.top()).rev() {
            if columns.len() == 1 && self.parts_columns(index) {
                columns.push(columns[0].shallow_clone());
            }
            let take = |column: &mut Column<'_>| column.take(index);
            let mut here: Vec<Here> = columns.iter_mut().map(take).collect();
            self.add_pairs(index, &mut here, &signs);
            self.add_traces(&traces, index, &here);
            if let Some(noise) = &exactly.noise[index] {
                let v = signs(Space::DiagonalCurvature(index), &noise.shape());
                let roots = here.iter_mut().zip(noise.roots());
                roots.for_each(|(here, root)| here.add_below(root, &v));
            }
            let both = columns.iter_mut().zip(here);
            both.for_each(|(column, here)| self.hand_down(index, column, here));
        }
        traces
    }

    /// Whether curvature at the output of layer `index` makes the columns of a pair different.
    fn parts_columns(&self, index: usize) -> bool {
        let mut general = self.at.non_diagonal_curvatures();
        let noise = self.exactly.noise[index].as_ref();
        noise.is_some_and(Noise::is_indefinite) || general.any(|own| own.below == index)
    }

    /// Takes a column from the output of layer `index` to its input.
    fn hand_down(&self, index: usize, column: &mut Column<'_>, here: Here) {
        let layer = &self.at.layers()[index];
        match &here {
            Here {
                settled,
                all: Some(all),
            } if layer.hands_on() => {
                for source in layer.sources() {
                    let whole = all.shallow_clone();
                    if !self.exactly.alone[source] {
                        column.settled.add(source, whole);
                        continue;
                    }
                    column.all.add(source, whole);
                    if let Some(settled) = settled {
                        column.settled.add(source, settled.shallow_clone());
                    }
                }
            }
            _ => {
                if let Some(whole) = here.whole() {
                    column.settled.propagate(index, whole, Added::default());
                }
            }
        }
    }

    /// Adds the curvature that is no diagonal and stands at the output of layer `index`, as noise.
    fn add_pairs(&self, index: usize, here: &mut [Here], signs: &impl Fn(Space, &[i64]) -> Tensor) {
        let standing = self.at.non_diagonal_curvatures();
        for own in standing.filter(|own| own.below == index) {
            let shape = own.matrix.pair_shape();
            let v = signs(Space::NonDiagonalCurvature(own.layer), &shape);
            let pair = here.iter_mut().zip(own.matrix.pair(&v));
            pair.for_each(|(here, noise)| here.add_from_above(noise));
        }
    }

    /// Adds `Σ_n ⟨J_nᵀ a_n, J_nᵀ b_n⟩` to the rows of the parameters of layer `index`, for pairs at its output.
    fn add_traces(&self, traces: &Tensor, index: usize, here: &[Here]) {
        if !self.exactly.samples(&self.at, index) {
            return;
        }
        let sampled = |here: &Here| {
            let part = match self.exactly.seen[index] {
                true => here.settled.as_ref(),
                false => here.whole(),
            };
            part.map(Tensor::shallow_clone)
        };
        let mut sampled = here.iter().map(sampled);
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
