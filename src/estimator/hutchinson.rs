//! Hutchinson's trace estimator.

use super::samples::{chunks, prefixes};
use super::sampling::{batches, counts, seeds};
use super::stream::{PhiloxStream, Space, StreamKind, TorchStream};
use super::{Columns, Estimate, EstimatorConfig, Expanded, Probe, Sampling, Start, Task, written};
use crate::curvature::{Autodiff, Blocks, Forward, Hmp, Quadratic};
use crate::error::UserError;
use crate::lists::{Batch, Batches, Counts, Seed, Seeds};
use crate::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;
use tch::Tensor;

/// `kind = "hutchinson"`: `tr A ≈ (1/V) Σ_k v_kᵀ A v_k` with independent probes, `E[v vᵀ] = I`.
///
/// Unbiased for every square A, indefinite ones too; V products. Girard (Numer. Math. 56, 1989),
/// Hutchinson (Comm. Stat. Sim. 18:3, 1989, doi:10.1080/03610918908812806). The standard error is
/// that of the mean of V independent quadratic forms.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hutchinson {
    /// Which entries the product sees.
    pub blocks: Blocks,
    /// How it is computed.
    #[serde(default)]
    pub product: ProductKind,
    /// Instead of `[sampling]`'s.
    #[serde(default, rename = "V", skip_serializing_if = "Option::is_none")]
    pub v: Option<Counts>,
    /// Instead of `[sampling]`'s.
    #[serde(default, rename = "V_batch", skip_serializing_if = "Option::is_none")]
    pub v_batch: Option<Batches>,
    /// Instead of `[sampling]`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// Instead of `[sampling]`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// How quadratic forms `vᵀHv` are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductKind {
    /// One double-backward product at a time.
    Autodiff,
    /// V_batch products at once by layer rules.
    Hmp,
    /// V_batch quadratic forms at once from one tangent pass, without a product.
    #[default]
    Forward,
}

impl EstimatorConfig for Hutchinson {
    fn expand(&self, shared: &Sampling) -> Result<Expanded, UserError> {
        let probe = self.probe.unwrap_or(shared.probe);
        let batches = match self.product {
            ProductKind::Autodiff => vec![None],
            ProductKind::Hmp | ProductKind::Forward => batches(&self.v_batch, &shared.v_batch)?,
        };
        let seeds = seeds(&self.seeds, &shared.seeds)?;
        check_stream(shared.stream, probe, &seeds, &batches)?;
        Ok(Expanded {
            task: Arc::new(HutchinsonTask {
                blocks: self.blocks,
                product: self.product,
                probe,
                stream: shared.stream,
            }),
            batches,
            counts: counts(&self.v, &shared.v, "V", "[1000]")?,
            seeds: seeds.into_iter().map(Some).collect(),
        })
    }
}

/// Refuses what a stream does not define.
fn check_stream(
    stream: StreamKind,
    probe: Probe,
    seeds: &[Seed],
    batches: &[Option<Batch>],
) -> Result<(), UserError> {
    match stream {
        StreamKind::Torch if batches.contains(&Some(Batch::Auto)) => Err(UserError::new(
            "sampling.stream",
            "V_batch = \"auto\" with stream \"torch\", whose probes depend on V_batch: the result would depend on the machine",
            "use stream = \"philox\", or write V_batch = [10]",
        )),
        StreamKind::Torch if probe != Probe::Rademacher => Err(UserError::new(
            "sampling.stream",
            format!(
                "stream \"torch\" draws signs only, found probe \"{}\"",
                written(probe)
            ),
            "use stream = \"philox\" for this probe",
        )),
        StreamKind::Philox if seeds.contains(&Seed::Continue) => Err(UserError::new(
            "sampling.stream",
            "seeds = \"continue\" goes on in PyTorch's global stream, found stream \"philox\"",
            "use stream = \"torch\", or give seeds",
        )),
        _ => Ok(()),
    }
}

/// Hutchinson's estimator over one product.
#[derive(Clone, Debug)]
struct HutchinsonTask {
    blocks: Blocks,
    product: ProductKind,
    probe: Probe,
    stream: StreamKind,
}

impl Task for HutchinsonTask {
    fn columns(&self) -> Columns {
        Columns {
            estimator: "hutchinson".into(),
            blocks: Some(written(self.blocks)),
            product: Some(written(self.product)),
            probe: Some(written(self.probe)),
            stream: Some(written(self.stream)),
        }
    }

    fn run(&self, problem: &Problem, start: &Start, counts: &[u64], v_batch: u64) -> Vec<Estimate> {
        let clock = Instant::now();
        let sampling = (start, counts, v_batch);
        match self.product {
            ProductKind::Autodiff => {
                let form = Autodiff::new(problem, self.blocks);
                self.sample(clock, problem, &form, sampling)
            }
            ProductKind::Hmp => {
                let at = problem.linearize();
                self.sample(clock, problem, &Hmp::new(&at, self.blocks), sampling)
            }
            ProductKind::Forward => {
                let at = problem.linearize();
                self.sample(clock, problem, &Forward::new(&at, self.blocks), sampling)
            }
        }
    }
}

impl HutchinsonTask {
    fn sample(
        &self,
        clock: Instant,
        problem: &Problem,
        form: &dyn Quadratic,
        (start, counts, v_batch): (&Start, &[u64], u64),
    ) -> Vec<Estimate> {
        let shapes: Vec<Vec<i64>> = problem.parameters.iter().map(Tensor::size).collect();
        let (kind, device) = (problem.kind(), problem.device());
        match start {
            Start::Torch(generator) => {
                let stream = TorchStream::new(generator.clone(), shapes, kind, device);
                chunks(clock, counts, v_batch, stream, |v| form.quadratic(v))
            }
            Start::Philox(seed) => {
                let stream = PhiloxStream::new(*seed, kind, device);
                prefixes(clock, counts, v_batch, |first, count| {
                    let probe = |(index, shape): (usize, &Vec<i64>)| {
                        stream.draw(self.probe, Space::Parameter(index), first, count, shape)
                    };
                    let v: Vec<Tensor> = shapes.iter().enumerate().map(probe).collect();
                    form.quadratic(&v)
                })
            }
        }
    }
}
