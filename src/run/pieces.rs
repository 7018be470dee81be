//! Jobs that are sums over batches of data, piece by piece.

use super::caught::Cancel;
use super::rows::{Measured, RowMaker};
use crate::estimator::{BatchSum, Estimate, Sampled, Term, compute};
use crate::output::{Done, Finished, Piece, Pieces};
use crate::plan::{Job, Plan, Portion};
use crate::problem::NetworkProblem;
use std::time::{Duration, Instant};

/// After so long, pieces of a job that is to be finished here are handed on too, so that a kill does
/// not lose them.
const KEEP: Duration = Duration::from_secs(10);

/// How the pieces of a job are computed.
pub(super) struct Making<'a> {
    pub sum: &'a dyn BatchSum,
    pub work: Sampled<'a>,
    /// The V_batch of the rows; `None` where that means nothing.
    pub v_batch: Option<u64>,
    /// libtorch threads.
    pub threads: usize,
    /// What a reader should know of how they come about.
    pub notes: Vec<String>,
}

impl Making<'_> {
    /// Computes what `portion` asks for and is not yet `found`, handing pieces on.
    pub fn make(
        &self,
        portion: &Portion,
        problem: &NetworkProblem,
        found: &mut Pieces,
        hand_in: &dyn Fn(Done),
    ) {
        let count = crate::estimator::pieces(problem.batches.len()).len();
        let mut wanted: Vec<usize> = match &portion.pieces {
            Some(own) => own.clone(),
            None => (0..count).collect(),
        };
        wanted.retain(|piece| !found.contains_key(piece));
        let (mut unsaved, mut clock) = (Vec::new(), Instant::now());
        compute(self.sum, problem, &wanted, &self.work, |piece, term| {
            let piece = Piece {
                piece,
                term,
                v_batch: self.v_batch,
                threads: self.threads,
                notes: self.notes.clone(),
            };
            found.insert(piece.piece, piece.clone());
            unsaved.push(piece);
            if portion.pieces.is_some() || clock.elapsed() >= KEEP {
                let (index, pieces) = (portion.job, std::mem::take(&mut unsaved));
                hand_in(Done::Pieces { index, pieces });
                clock = Instant::now();
            }
        });
    }
}

/// The estimates from all pieces of a job, added in their order.
pub(super) fn estimates(job: &Job, pieces: &Pieces) -> Vec<Estimate> {
    let sum = Term::sum(pieces.values().map(|piece| piece.term.clone()));
    let of = job.batch_sum().expect("only sums have pieces");
    of.estimates(&sum, job.budget.counts())
}

/// The V_batch that all pieces kept to, the most threads that one had, and the notes of all.
pub(super) fn provenance(pieces: &Pieces) -> (Option<u64>, usize, Vec<String>) {
    let v_batch = pieces.values().filter_map(|piece| piece.v_batch).min();
    let threads = pieces.values().map(|piece| piece.threads).max();
    let mut notes: Vec<String> = Vec::new();
    for note in pieces.values().flat_map(|piece| &piece.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    (v_batch, threads.unwrap_or(1), notes)
}

/// Job `index` of `plan` from all of its pieces, wherever they were computed; its time is that of all
/// of them together.
pub fn combine(plan: &Plan, index: usize, pieces: &Pieces) -> Finished {
    let job = &plan.jobs[index];
    let (v_batch, threads, mut notes) = provenance(pieces);
    let found = Cancel::default().attempt(|_| {}, || estimates(job, pieces));
    let (estimates, more) = found.expect("means and standard errors of numbers");
    notes.extend(more.iter().map(|note| format!("{}: {note}", job.setting)));
    let measured: Measured = (estimates, None);
    let (rows, files) =
        RowMaker::new(plan, &[]).rows(index, v_batch, &[measured], (plan.device, threads));
    Finished {
        index,
        rows,
        diagonals: Vec::new(),
        files,
        notes,
    }
}
