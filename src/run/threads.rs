//! As many threads as a plan says, for what libtorch computes and for what is computed beside it.

/// Does `work` with so many threads, of libtorch and of what is drawn beside it.
///
/// # Panics
/// If the system gives no threads.
pub(super) fn with<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let pool = pool.build().expect("the system gives threads");
    pool.install(|| {
        tch::set_num_threads(threads as i32);
        work()
    })
}
