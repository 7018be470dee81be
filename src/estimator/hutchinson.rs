//! Hutchinson's trace estimator.

use super::cores::{Cores, ReadOnly};
use super::estimator_spec::{Shares, estimator_spec};
use super::rows::draw;
use super::samples::{chunks, estimates, sample, term};
use super::stream::{PhiloxStream, Space, StreamKind, TorchStream};
use super::{
    BatchSum, Budget, Estimate, EstimatorConfig, Expanded, Probe, Sampled, Sampling, Setting,
    Start, Task, Term, batch_sum, written,
};
use crate::curvature::{Operator, OperatorSpec, ProductKind};
use crate::error::UserError;
use crate::lists::{Seed, VBatch};
use crate::problem::{Network, NetworkProblem, Problem, ProblemSpec};
use std::sync::Arc;
use std::time::Instant;
use tch::Tensor;

estimator_spec! {
    /// `kind = "hutchinson"`: `tr A ≈ (1/V) Σ_k v_kᵀ A v_k` with independent probes, `E[v vᵀ] = I`.
    ///
    /// Unbiased for every square A, indefinite ones too; V products. On data in several batches the
    /// same probe multiplies them all. Girard (Numer. Math. 56, 1989),
    /// Hutchinson (Comm. Stat. Sim. 18:3, 1989, doi:10.1080/03610918908812806). The standard error is
    /// that of the mean of V independent quadratic forms.
    #[derive(Default)]
    pub struct Hutchinson shares [operator, sampling, probe] {
    }
}

impl EstimatorConfig for Hutchinson {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        let probe = options.probe(shared);
        let operator_spec = options.operator(problem, shared, ProductKind::Forward)?;
        let batches = options.products_at_once(shared)?;
        let seeds = options.seeds(shared)?;
        let budget = options.budget(shared, 1000)?;
        check_stream(shared.stream, probe, &seeds, &batches, &budget)?;
        Ok(Expanded {
            task: Arc::new(HutchinsonTask {
                operator_spec,
                probe,
                stream: shared.stream,
            }),
            batches,
            budget,
            seeds: seeds.into_iter().map(Some).collect(),
        })
    }
}

/// Refuses what a stream does not define.
fn check_stream(
    stream: StreamKind,
    probe: Probe,
    seeds: &[Seed],
    batches: &[Option<VBatch>],
    budget: &Budget,
) -> Result<(), UserError> {
    match stream {
        StreamKind::Torch if batches.contains(&Some(VBatch::Auto)) => Err(UserError::new(
            "sampling.stream",
            "V_batch = \"auto\" with stream \"torch\", whose probes depend on V_batch: the result would depend on the machine",
            "use stream = \"philox\", or write V_batch = [10]",
        )),
        StreamKind::Torch if matches!(budget, Budget::Tolerance(_)) => Err(UserError::new(
            "sampling.stream",
            "a tolerance with stream \"torch\", whose probes depend on how many are drawn at once",
            "use stream = \"philox\", or give V instead of a tolerance",
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

/// Hutchinson's estimator over one operator.
#[derive(Clone, Debug)]
struct HutchinsonTask {
    operator_spec: OperatorSpec,
    probe: Probe,
    stream: StreamKind,
}

impl Task for HutchinsonTask {
    fn check(&self, network: Option<&Network>, _size: i64) -> Result<(), UserError> {
        self.operator_spec.check(network)
    }

    fn setting(&self) -> Setting {
        Setting::over(&self.operator_spec, "hutchinson").drawing(self.probe, self.stream)
    }

    fn batch_sum(&self, budget: &Budget) -> Option<&dyn BatchSum> {
        (budget.is_given() && self.stream == StreamKind::Philox).then_some(self)
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        let philox = matches!(start, Start::Philox(_));
        let sum = self.batch_sum(budget).filter(|_| philox);
        if let Some(estimates) = batch_sum::run(sum, problem, start, budget, v_batch) {
            return estimates;
        }
        let clock = Instant::now();
        let cores = Cores::of(problem, budget, v_batch);
        let _quiet = cores.quiet(problem);
        self.operator_spec
            .open(problem, budget.least(), |operator| {
                self.sample(clock, operator, start, budget, cores)
            })
    }
}

impl HutchinsonTask {
    fn sample(
        &self,
        clock: Instant,
        operator: &Operator<'_>,
        start: &Start,
        budget: &Budget,
        cores: Cores,
    ) -> Vec<Estimate> {
        let (kind, device) = (operator.kind(), operator.device());
        match start {
            Start::Torch(generator) => {
                let shapes = operator.shapes().to_vec();
                let stream = TorchStream::new(generator.clone(), shapes, kind, device);
                let operator = ReadOnly::new(operator);
                chunks(clock, budget.counts(), cores.v_batch, stream, |v| {
                    let v = ReadOnly::new(v);
                    cores.draw(0, v[0].size()[0] as u64, &|first, count| {
                        let piece = |v: &Tensor| v.narrow(0, first as i64, count as i64);
                        operator.quadratic(&v.iter().map(piece).collect::<Vec<_>>())
                    })
                })
            }
            Start::Philox(seed) => {
                let draw = self.draws(operator, PhiloxStream::new(*seed, kind, device));
                sample(clock, budget, cores, draw)
            }
        }
    }

    /// The quadratic forms of probes `first..first + count`: `[parameters, count]` or `[1, count]`.
    fn draws<'a>(
        &'a self,
        operator: &'a Operator<'_>,
        stream: PhiloxStream,
    ) -> impl Fn(u64, u64) -> Tensor + Sync + 'a {
        let operator = ReadOnly::new(operator);
        let as_signs = self.probe == Probe::Rademacher && operator.prefers_signs();
        move |first, count| {
            if as_signs {
                let shapes = operator.shapes().iter().enumerate();
                let signs = |(index, shape): (usize, &Vec<i64>)| {
                    stream.signs(Space::Parameter(index), first, count, shape)
                };
                return operator.quadratic_of_signs(&shapes.map(signs).collect::<Vec<_>>());
            }
            operator.quadratic(&draw(&stream, &operator, self.probe, first, count))
        }
    }

    /// The quadratic forms with the matrix of a batch.
    fn term(&self, batch: &Problem, work: &Sampled<'_>) -> Term {
        let clock = Instant::now();
        let cores = Cores::of(batch, work.budget, work.v_batch);
        let _quiet = cores.quiet(batch);
        self.operator_spec
            .open(batch, work.budget.least(), |operator| {
                let draw = self.draws(operator, work.start.philox(batch));
                term(clock, work.budget.counts(), cores, draw, |_| {})
            })
    }
}

impl BatchSum for HutchinsonTask {
    fn terms(&self, problem: &NetworkProblem, batches: &[usize], work: &Sampled<'_>) -> Vec<Term> {
        let one = |&index: &usize| self.term(&problem.on_batch(index).into(), work);
        batches.iter().map(one).collect()
    }

    fn estimates(&self, sum: &Term, counts: &[u64]) -> Vec<Estimate> {
        estimates(sum, counts)
    }
}
