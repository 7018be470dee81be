//! Curvature propagation: the trace of every layer from random columns pulled down once.

use super::samples::prefixes;
use super::stream::{PhiloxStream, Space};
use super::{Columns, Estimate, EstimatorConfig, Expanded, Probe, Sampling, Start, Task, one_pass};
use crate::error::UserError;
use crate::lists::{Batches, Counts, Seeds};
use crate::problem::layer::Residual;
use crate::problem::{Linearization, LinearizedLayer, ProblemSpec, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tch::{Kind, Tensor};

/// `kind = "propagation"`: V random passes, each an unbiased estimate of every parameter's trace.
///
/// A pass pulls one random column `c` per sample down, `c cᵀ` having the Hessian `H_n` at the
/// current place as its mean: it starts as the loss's root times signs, each adjoint maps it, and a
/// layer's curvature `diag(r)` is added as `√|r| ∘ v` with fresh signs v, to a second column where
/// r is negative (Martens, Sutskever, Swersky, ICML 2012, arXiv:1206.6464, whose complex square
/// root has these two columns as its real and imaginary part). A block's trace is then
/// `Σ_n ‖J_nᵀ c_n‖²` of the first less that of the second. Two things are taken exactly instead of
/// sampled: the curvature that stands directly over a parameter, and the whole topmost block.
///
/// Cost of a pass: two backward passes for the activations, none for parameters beyond norms.
/// Valid for any sign of curvature where every curved layer acts entry by entry and no layer
/// couples samples; standard errors are those of the mean over passes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Propagation {
    /// Passes, instead of `[sampling]`'s.
    #[serde(default, rename = "V", skip_serializing_if = "Option::is_none")]
    pub v: Option<Counts>,
    /// Passes at once, instead of `[sampling]`'s.
    #[serde(default, rename = "V_batch", skip_serializing_if = "Option::is_none")]
    pub v_batch: Option<Batches>,
    /// Instead of `[sampling]`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
}

impl EstimatorConfig for Propagation {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        one_pass::expand(
            shared,
            problem,
            &self.v,
            &self.v_batch,
            &self.seeds,
            PropagationTask,
        )
    }
}

#[derive(Clone, Debug)]
struct PropagationTask;

impl Task for PropagationTask {
    fn columns(&self) -> Columns {
        Columns {
            probe: Some("rademacher".into()),
            stream: Some("philox".into()),
            ..Columns::of("propagation")
        }
    }

    fn run(&self, subject: &Subject, start: &Start, counts: &[u64], v_batch: u64) -> Vec<Estimate> {
        let clock = Instant::now();
        let at = subject.network().linearize();
        let passes = Passes::new(&at, start.philox(subject));
        prefixes(clock, counts, v_batch, |first, count| {
            passes.draw(first, count)
        })
    }
}

/// What every pass over one linearisation shares.
pub(crate) struct Passes<'a> {
    at: &'a Linearization,
    stream: PhiloxStream,
    /// The part of every parameter's trace that is known exactly.
    known: Vec<f64>,
    /// Layers below this one are sampled; it and those above are known.
    topmost: usize,
    /// Curvature to be added as noise at the output of a layer: `[N, *out]`.
    noise: Vec<Option<Noise>>,
}

/// `√r⁺` and `√r⁻` of a curvature `r = r⁺ − r⁻`; the latter only where something is negative.
struct Noise {
    positive: Tensor,
    negative: Option<Tensor>,
}

impl<'a> Passes<'a> {
    /// Walks down once, without noise.
    pub(crate) fn new(at: &'a Linearization, stream: PhiloxStream) -> Self {
        let topmost = (at.layers().iter())
            .rposition(|layer| !layer.indices.is_empty())
            .unwrap_or(0);
        let mut passes = Self {
            at,
            stream,
            known: vec![0.0; at.parameter_count()],
            topmost,
            noise: Vec::new(),
        };
        passes.noise.resize_with(at.layers().len(), || None);
        passes.take_diagonals();
        passes.take_topmost();
        passes
    }

    /// Carries every layer's curvature down while it stays a diagonal: exact for the parameters it
    /// meets, noise for what lies below the first layer that mixes entries.
    fn take_diagonals(&mut self) {
        let mut carried: Option<Tensor> = None;
        for (index, layer) in self.at.layers().iter().enumerate().rev() {
            if let Some(d) = carried.take() {
                self.know(layer, |layer, i| {
                    layer
                        .parameters()
                        .diagonal_of_diagonal(i, &d)
                        .sum(Kind::Double)
                });
                carried = layer.local.diagonal_adjoint(&d);
                if carried.is_none() && index > 0 {
                    self.noise[index] = Some(Noise::of(&d));
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

    /// The topmost block from all columns of the loss's root.
    fn take_topmost(&mut self) {
        let mut columns = self.at.loss().columns();
        for layer in self.at.layers()[self.topmost + 1..].iter().rev() {
            columns = layer.local.adjoint(&columns);
        }
        let layer = &self.at.layers()[self.topmost];
        self.know(layer, |layer, i| {
            layer
                .parameters()
                .trace_of_columns(i, &columns)
                .sum(Kind::Double)
        });
    }

    fn know(&mut self, layer: &LinearizedLayer, part: impl Fn(&LinearizedLayer, usize) -> Tensor) {
        for (i, index) in layer.indices.clone().enumerate() {
            self.known[index] += part(layer, i).double_value(&[]);
        }
    }

    /// Passes `first..first + count`: `[parameters, count]` in float64.
    pub(crate) fn draw(&self, first: u64, count: u64) -> Tensor {
        let device = self.at.loss().gradient().device();
        let known = Tensor::from_slice(&self.known)
            .to_device(device)
            .unsqueeze(1);
        let traces = known.repeat([1, count as i64]);
        if self.topmost == 0 {
            return traces;
        }
        let signs = |space, shape: &[i64]| {
            self.stream
                .draw(Probe::Rademacher, space, first, count, shape)
        };
        let gradient = self.at.loss().gradient();
        let mut positive = self.at.loss().root(&signs(Space::Loss, &gradient.size()));
        let mut negative: Option<Tensor> = None;
        for (index, layer) in self.at.layers().iter().enumerate().rev() {
            if index < self.topmost {
                for (i, parameter) in layer.indices.clone().enumerate() {
                    let maps = layer.parameters();
                    let mut row = traces.get(parameter as i64);
                    row += maps.trace_of_columns(i, &positive);
                    if let Some(negative) = &negative {
                        row -= maps.trace_of_columns(i, negative);
                    }
                }
            }
            if index == 0 {
                break;
            }
            if let Some(noise) = &self.noise[index] {
                let v = signs(Space::Residual(index), &noise.positive.size());
                positive += &noise.positive * &v;
                if let Some(root) = &noise.negative {
                    let own = root * &v;
                    negative = Some(match negative {
                        Some(negative) => negative + own,
                        None => own,
                    });
                }
            }
            positive = layer.local.adjoint(&positive);
            negative = negative.map(|negative| layer.local.adjoint(&negative));
        }
        traces
    }
}

impl Noise {
    fn of(r: &Tensor) -> Self {
        let negative = r.clamp_max(0.0).neg();
        let any = negative.max().double_value(&[]) > 0.0;
        Self {
            positive: r.clamp_min(0.0).sqrt(),
            negative: any.then(|| negative.sqrt()),
        }
    }
}
