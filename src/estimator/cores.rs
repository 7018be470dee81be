//! Probes on all cores, pieces of them side by side.

use super::Budget;
use super::progress::Cancellation;
use crate::libtorch::end_openmp_threads;
use crate::problem::Problem;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use tch::{Device, Tensor};

/// How probes are taken: V_batch of them in work at any moment, on all cores.
///
/// Probes need nothing of each other. A piece per core on one libtorch thread meets no barrier,
/// where libtorch's own threads meet one in every operation (forward product of the example, two
/// cores: 1.3 times as fast). On a GPU, with one thread, with fewer probes than threads, with
/// several batches or with little to do, chunks of V_batch follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    pub(super) v_batch: u64,
    threads: u64,
    /// Whether what all pieces share is made once.
    prepared: bool,
}

/// Probes of so many bytes together are worth waking other threads for.
pub(super) const WORTH_WAKING: u64 = 64 << 20;

/// Below so many bytes a probe, libtorch's own threads gain nothing that waking them does not cost.
const SMALL_PROBE: u64 = 16 << 20;

impl Cores {
    /// For as many probes of `problem` as `budget` allows.
    pub(super) fn of(problem: &Problem, budget: &Budget, v_batch: u64) -> Self {
        let most = budget.most().unwrap_or(0);
        let threads = tch::get_num_threads() as u64;
        let much = problem.bytes_per_probe().saturating_mul(most) >= WORTH_WAKING;
        // Several batches are linearised anew by every piece.
        let prepared = match problem {
            Problem::Network(problem) => problem.batches.len() == 1,
            Problem::Matrix(_) => true,
        };
        let cpu = !problem.device().is_cuda();
        let spread = cpu && prepared && much && v_batch >= threads && most >= threads;
        Self {
            v_batch,
            threads: if spread { threads } else { 1 },
            prepared,
        }
    }

    /// Chunks of V_batch follow each other.
    pub(super) fn in_turn(v_batch: u64) -> Self {
        Self {
            v_batch,
            threads: 1,
            prepared: true,
        }
    }

    /// Keeps libtorch to one thread while a small problem is set up and its probes are drawn.
    pub(super) fn quiet(&self, problem: &Problem) -> Option<OneThread> {
        let small = !problem.device().is_cuda() && problem.bytes_per_probe() < SMALL_PROBE;
        (small && self.prepared && self.v_batch > 1).then(OneThread::set)
    }

    /// Where to look up next on the way from `done` to `count` probes: at the first end of a chunk
    /// that is not below `count`, or some chunks on.
    pub(super) fn end(&self, done: u64, count: u64) -> u64 {
        const CHUNKS: u64 = 16;
        let ahead = (count - done).div_ceil(self.v_batch).min(CHUNKS);
        done + ahead * self.v_batch
    }

    /// `work(first, count)` of all pieces of `first..first + count`, joined: `[rows, count]`.
    pub(super) fn draw(
        &self,
        first: u64,
        count: u64,
        work: &(impl Fn(u64, u64) -> Tensor + Sync),
    ) -> Tensor {
        let size = self.v_batch.min(count).div_ceil(self.threads);
        let cancellation = Cancellation::of_this_thread();
        let piece = |i: usize| {
            cancellation.check();
            let begin = i as u64 * size;
            work(first + begin, size.min(count - begin))
        };
        let pieces = 0..count.div_ceil(size) as usize;
        let parts: Vec<Tensor> = match self.threads {
            1 => pieces.map(piece).collect(),
            threads => side_by_side(threads, pieces.end, piece),
        };
        Tensor::cat(&parts, 1)
    }
}

/// `work(i)` for `0..count` in order, side by side where that is of use.
pub(super) fn each<T: Send>(
    count: usize,
    device: Device,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    match tch::get_num_threads() as u64 {
        threads @ 2.. if count > 1 && !device.is_cuda() => side_by_side(threads, count, work),
        _ => (0..count).map(work).collect(),
    }
}

/// `work(i)` for `0..count` in order, on one libtorch thread each.
fn side_by_side<T: Send>(threads: u64, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let workers = workers(threads);
    let _restored = OneThread::set();
    end_openmp_threads();
    let each = (0..count).into_par_iter().with_max_len(1);
    workers.install(|| each.map(&work).collect())
}

/// So many threads that give libtorch one thread each; they stay for all later work of as many.
fn workers(threads: u64) -> &'static rayon::ThreadPool {
    static WORKERS: Mutex<BTreeMap<u64, &'static rayon::ThreadPool>> = Mutex::new(BTreeMap::new());
    let mut workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    workers.entry(threads).or_insert_with(|| {
        let before = tch::get_num_threads();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .start_handler(|_| tch::set_num_threads(1))
            .build()
            .expect("the system gives threads");
        // libtorch's BLAS keeps the last setting for the whole process: undone once all have begun.
        pool.broadcast(|_| ());
        tch::set_num_threads(before);
        Box::leak(Box::new(pool))
    })
}

/// Gives this thread, and with it libtorch's BLAS, one thread until it is dropped.
pub(super) struct OneThread {
    before: i32,
}

impl OneThread {
    pub(super) fn set() -> Self {
        let before = tch::get_num_threads();
        tch::set_num_threads(1);
        Self { before }
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}

/// Tensors, or what is made of them, that several threads read and none writes.
pub(super) struct ReadOnly<T>(T);

impl<T> ReadOnly<T> {
    pub(super) fn new(tensors: T) -> Self {
        Self(tensors)
    }
}

// SAFETY: libtorch's handles count references atomically and its operations only read their
// operands; tch leaves `Sync` out for its operations in place, which are not used on these.
#[allow(unsafe_code)]
unsafe impl<T> Sync for ReadOnly<T> {}

// SAFETY: as above, and no handle is tied to the thread that made it.
#[allow(unsafe_code)]
unsafe impl<T> Send for ReadOnly<T> {}

impl<T> Deref for ReadOnly<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The threads that were first asked for are not those of all later work.
    #[test]
    fn work_has_as_many_threads_as_it_asks_for() {
        for threads in [2, 3, 2] {
            assert_eq!(workers(threads).current_num_threads(), threads as usize);
        }
    }
}
