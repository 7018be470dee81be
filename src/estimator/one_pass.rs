//! What the estimators with probes of their own, in activation space, share.

use super::cores::{Cores, OneThread, ReadOnly, each};
use super::progress::Cancellation;
use super::samples::term;
use super::stream::PhiloxStream;
use super::{Budget, Expanded, Options, Sampled, Sampling, StreamKind, Task, Term};
use crate::error::UserError;
use crate::lists::Seed;
use crate::problem::{Network, NetworkProblem, ProblemSpec};
use std::sync::Arc;
use std::time::Instant;
use tch::Tensor;

/// Expands the lists of an estimator whose probes only the Philox stream defines.
///
/// # Errors
/// A missing or senseless list, another stream, or a problem without layers.
pub(super) fn expand(
    shared: &Sampling,
    problem: &ProblemSpec,
    options: &Options,
    task: impl Task + 'static,
) -> Result<Expanded, UserError> {
    let seeds = options.seeds(shared)?;
    let refused = |setting: &str, help: &str| {
        let message = format!(
            "{setting} is not defined for this estimator, whose probes live in activation space"
        );
        Err(UserError::new("", message, help))
    };
    if !problem.is_network() {
        return Err(UserError::new(
            "",
            "found a given matrix, which has no layers; this estimator goes through layers",
            "take kind = \"hutchinson\", which needs products only",
        ));
    }
    if shared.stream != StreamKind::Philox {
        return refused(
            "`stream = \"torch\"`",
            "write `stream = \"philox\"` in [sampling], or take kind = \"hutchinson\"",
        );
    }
    if seeds.contains(&Seed::Continue) {
        return refused(
            "`seeds = \"continue\"`",
            "add for example `seeds = [0]` here",
        );
    }
    Ok(Expanded {
        task: Arc::new(task),
        batches: options.batches(shared)?,
        budget: options.budget(shared, 10)?,
        seeds: seeds.into_iter().map(Some).collect(),
    })
}

/// Refuses a network in which layers share a parameter: what the uses of it do to each other, no layer
/// sees by itself.
pub(super) fn check(network: Option<&Network>) -> Result<(), UserError> {
    let Some(shared) = network.and_then(Network::shared_parameter) else {
        return Ok(());
    };
    Err(UserError::new(
        "",
        format!(
            "found the parameter \"{shared}\" in several layers; this estimator goes through every layer by itself and would miss the terms between them"
        ),
        "take kind = \"hutchinson\", whose products see them, or remove `tied`, so that the linear layer has a weight of its own",
    ))
}

/// The terms of the batches with these numbers: the samples that `of_batch(stream, batch)` draws of
/// each. Cores work on batches side by side, on one libtorch thread each.
pub(super) fn terms<D: Fn(u64, u64) -> Tensor>(
    problem: &NetworkProblem,
    batches: &[usize],
    work: &Sampled<'_>,
    of_batch: impl Fn(PhiloxStream, &NetworkProblem) -> D + Sync,
) -> Vec<Term> {
    refuse_shared(problem);
    let device = problem.device();
    let stream = work.start.philox_of(problem.kind(), device);
    // A batch that is alone gives the same bits as beside others.
    let _quiet = (batches.len() == 1 && !device.is_cuda()).then(OneThread::set);
    let cancellation = Cancellation::of_this_thread();
    let (problem, counts) = (ReadOnly::new(problem), work.budget.counts());
    let cores = Cores::in_turn(work.v_batch);
    each(batches.len(), device, |place| {
        cancellation.check();
        let clock = Instant::now();
        let index = batches[place];
        let draw = ReadOnly::new(of_batch(stream.of_batch(index), &problem.on_batch(index)));
        let samples = |first, count| draw(first, count);
        term(clock, counts, cores, samples, |_| {})
    })
}

fn refuse_shared(problem: &NetworkProblem) {
    assert!(
        problem.network.ties().is_empty(),
        "a plan refuses shared parameters here"
    );
}

/// For how many draws at least every batch is prepared once.
pub(super) fn draws(problem: &NetworkProblem, budget: &Budget, v_batch: u64) -> u64 {
    match prepared_once(problem) {
        true => budget.least(),
        false => budget.least().min(v_batch),
    }
}

/// Whether what draws share is made once: of a single batch, or of several that fit a card.
fn prepared_once(problem: &NetworkProblem) -> bool {
    problem.batches.len() == 1 || problem.fits_a_card()
}

/// `draw(first, count)` over all batches of `problem`: the sum of what every batch gives, of which
/// `of_batch(stream, batch)` makes a draw with a stream of its own.
///
/// A single batch is prepared once, in slices, so that cores work side by side; together they draw
/// what the whole batch would. Of several, each is prepared anew whenever its turn comes, so that
/// the memory of one on every core is enough; a card keeps them where they fit.
pub(super) fn over_batches<D: Fn(u64, u64) -> Tensor>(
    problem: &NetworkProblem,
    stream: PhiloxStream,
    of_batch: impl Fn(PhiloxStream, &NetworkProblem) -> D + Sync,
) -> impl Fn(u64, u64) -> Tensor + Sync {
    refuse_shared(problem);
    let device = problem.device();
    let prepared = prepared_once(problem).then(|| {
        if problem.batches.len() > 1 {
            let of = |index| of_batch(stream.of_batch(index), &problem.on_batch(index));
            let all = (0..problem.batches.len()).map(of);
            return all.map(ReadOnly::new).collect();
        }
        let slices = ReadOnly::new(problem.slices(SLICE));
        let prepare = |index: usize| {
            let slice = &slices[index];
            let first = slice.batches[0].first - slices[0].batches[0].first;
            ReadOnly::new(of_batch(stream.at_sample(first), slice))
        };
        each(slices.len(), device, prepare)
    });
    let problem = ReadOnly::new(problem);
    move |first, count| {
        let parts = match &prepared {
            Some(draws) => each(draws.len(), device, |index| draws[index](first, count)),
            None => each(problem.batches.len(), device, |index| {
                of_batch(stream.of_batch(index), &problem.on_batch(index))(first, count)
            }),
        };
        let sum = parts.into_iter().reduce(|a, b| a + b);
        sum.expect("at least one batch")
    }
}

/// Bytes of the widest tangent of one probe over a slice: few, for the caches, and enough that
/// operations are worth their call.
const SLICE: i64 = 1 << 21;
