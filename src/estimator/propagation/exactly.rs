//! What of every parameter's trace is known without a pass.

use super::noise::Noise;
use crate::curvature::{chunks, widest};
use crate::problem::layer::{ColumnPair, PartialTrace};
use crate::problem::{Added, Linearization, LinearizedLayer, NonDiagonalCurvature};
use tch::{Kind, Tensor};

/// The part of every parameter's trace that needs no noise, and where the noise is left out for it.
pub(super) struct Exactly {
    /// Of every parameter: `[parameters]` in float64, on the problem's device.
    pub known: Tensor,
    /// The topmost layer with parameters, where all of its trace is known.
    pub topmost: Option<usize>,
    /// Diagonal curvature to be added as noise below the output of a layer, which has seen it.
    pub noise: Vec<Option<Noise>>,
    /// The layers whose parameters have seen the curvature of layers right above them, between which
    /// only sums stand.
    pub seen: Vec<bool>,
    /// The layers whose output a single layer takes in. Where several do, noise from one of them comes
    /// back through another, so that it is no longer independent of the rest.
    pub alone: Vec<bool>,
}

impl Exactly {
    /// In chunks of about `bytes`.
    pub fn of(at: &Linearization, bytes: u64) -> Self {
        let device = at.loss().gradient().device();
        let mut exactly = Self {
            known: Tensor::zeros([at.parameter_count() as i64], (Kind::Double, device)),
            topmost: None,
            noise: at.layers().iter().map(|_| None).collect(),
            seen: vec![false; at.layers().len()],
            alone: alone(at.layers()),
        };
        exactly.take_diagonals(at);
        exactly.take_partial_traces(at);
        exactly.take_topmost(at, bytes);
        exactly
    }

    /// Whether the traces of a layer's parameters are sampled.
    pub fn samples(&self, at: &Linearization, index: usize) -> bool {
        self.topmost != Some(index) && !at.layers()[index].indices.is_empty()
    }

    /// Carries every layer's curvature down while it stays a diagonal: exact for the parameters it
    /// meets, noise for what lies below the first layer that mixes entries.
    fn take_diagonals(&mut self, at: &Linearization) {
        at.propagate_diagonals(|d| {
            self.know(d.layer, |layer, i| {
                layer.parameters().trace_of_diagonal(i, &d.entries)
            });
            if d.ends {
                self.noise[d.index] = Some(Noise::of(&d.entries));
            }
        });
    }

    /// Carries the partial trace of every other curvature to the layers below it, through sums of
    /// outputs alone.
    fn take_partial_traces(&mut self, at: &Linearization) {
        let mut partial: Vec<Seen> = at.layers().iter().map(|_| Seen::Nothing).collect();
        for own in at.non_diagonal_curvatures() {
            partial[own.below].add(&Seen::of(&own));
        }
        for index in (0..=at.top()).rev() {
            let layer = &at.layers()[index];
            let here = std::mem::replace(&mut partial[index], Seen::Nothing);
            if layer.hands_on() {
                for source in layer.sources().filter(|&source| self.alone[source]) {
                    partial[source].add(&here);
                }
            }
            let Seen::Partial(b) = here else { continue };
            let trace = |i| layer.parameters().trace_of_partial(i, &b);
            let all: Option<Vec<Tensor>> = (0..layer.indices.len()).map(trace).collect();
            if let Some(traces) = all.filter(|all| !all.is_empty()) {
                self.know(layer, |_, i| traces[i].shallow_clone());
                self.seen[index] = true;
            }
        }
    }

    /// The topmost block from the loss's Hessian, if no noise reaches it: from its diagonal where the
    /// layer sees no more of it, else from all columns of its root.
    fn take_topmost(&mut self, at: &Linearization, bytes: u64) {
        let topmost = at.layers().iter().rposition(|l| !l.indices.is_empty());
        let Some(topmost) = topmost else { return };
        let noisy = self.noise[topmost + 1..].iter().any(Option::is_some);
        if noisy || at.non_diagonal_curvatures().any(|own| own.below >= topmost) {
            return;
        }
        self.topmost = Some(topmost);
        let layer = &at.layers()[topmost];
        if let Some((_, d)) = at.seen_diagonal() {
            self.know(layer, |layer, i| {
                layer.parameters().trace_of_diagonal(i, &d)
            });
            return;
        }
        let (all, widest) = (at.loss().column_count(), widest(&at.layers()[topmost..]));
        for (first, count) in chunks(at, all, widest, bytes) {
            let columns = at.loss().columns(first, count);
            at.propagate_adjoints(at.top(), columns, Some(&[topmost]), |index, layer, s| {
                if index == topmost {
                    let pair = ColumnPair::twice(s);
                    self.know(layer, |layer, i| {
                        layer
                            .parameters()
                            .trace_of_columns(i, &pair)
                            .sum(Kind::Double)
                    });
                }
                Added::default()
            });
        }
    }

    fn know(&mut self, layer: &LinearizedLayer, part: impl Fn(&LinearizedLayer, usize) -> Tensor) {
        for (i, &index) in layer.indices.iter().enumerate() {
            let mut own = self.known.get(index as i64);
            own += part(layer, i);
        }
    }
}

/// Which layers have an output that a single layer takes in.
fn alone(layers: &[LinearizedLayer]) -> Vec<bool> {
    let mut takers = vec![0; layers.len()];
    let sources = layers.iter().flat_map(LinearizedLayer::sources);
    sources.for_each(|source| takers[source] += 1);
    takers.into_iter().map(|takers| takers < 2).collect()
}

/// What is known of the curvature that stands at an output, but for what came through other layers.
enum Seen {
    /// There is none.
    Nothing,
    Partial(PartialTrace),
    /// There is some of which no partial trace is known.
    Unknown,
}

impl Seen {
    fn of(own: &NonDiagonalCurvature<'_>) -> Self {
        let partial = own.matrix.partial_trace();
        partial.map_or(Self::Unknown, Self::Partial)
    }

    fn add(&mut self, other: &Self) {
        let sum = match (&*self, other) {
            (_, Self::Nothing) => return,
            (Self::Nothing, Self::Partial(b)) => Some(b.shallow_clone()),
            (Self::Partial(a), Self::Partial(b)) => a.plus(b),
            (Self::Unknown, _) | (_, Self::Unknown) => None,
        };
        *self = sum.map_or(Self::Unknown, Self::Partial);
    }
}
