//! Work that may fail where the plan could not foresee it: memory runs out, libtorch refuses.
//!
//! libtorch's errors come as panics through `tch`'s operators, so they are caught as such; and so is
//! the unwinding of work that is cancelled.

use crate::estimator::{Cancelled, Progress, listening};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// How long jobs under way may go on once a run is interrupted.
pub const GRACE: Duration = Duration::from_millis(500);

/// How often who waits for work looks up.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// Why work has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It was cancelled: it is as if it had never begun.
    Cancelled,
    /// It failed, and said this.
    Failed(String),
}

/// The wish that work ends, for the threads that do it and those that wait for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends the work at the next place where it looks up.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The result of `work` and its notes, `tell` being told how far it has come.
    ///
    /// # Errors
    /// Work that fails, or is cancelled: then also what fails for whatever reason counts as
    /// cancelled.
    pub fn attempt<T>(
        &self,
        tell: impl Fn(Progress) + 'static,
        work: impl FnOnce() -> T,
    ) -> Result<(T, Vec<String>), Cut> {
        if self.is_set() {
            return Err(Cut::Cancelled);
        }
        caught(|| listening(tell, self.0.clone(), work)).map_err(|cut| match self.is_set() {
            true => Cut::Cancelled,
            false => cut,
        })
    }
}

/// Whether this may be a thread that work has been handed on to, which is told of its failure: such
/// threads have no name of their own.
fn helps() -> bool {
    AT_WORK.load(Ordering::Relaxed) > 0 && std::thread::current().name().is_none()
}

/// The result of `work`; nothing is printed.
///
/// `work` must leave nothing behind that a failure could have left half done.
///
/// # Errors
/// Work that fails, or unwinds because it is cancelled.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Cut> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| match CATCHING.get() || helps() {
            true => tracing::debug!("{panic}"),
            false => print(panic),
        }));
    });
    CATCHING.set(true);
    AT_WORK.fetch_add(1, Ordering::Relaxed);
    let result = catch_unwind(AssertUnwindSafe(work));
    AT_WORK.fetch_sub(1, Ordering::Relaxed);
    CATCHING.set(false);
    result.map_err(|payload| match payload.is::<Cancelled>() {
        true => Cut::Cancelled,
        false => Cut::Failed(message(payload.as_ref())),
    })
}

/// Whether a failure means that a smaller piece of work could succeed.
pub(super) fn is_out_of_memory(message: &str) -> bool {
    [
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "bad_alloc",
        // cuBLAS, cuDNN, cuSOLVER and the CUDA runtime.
        "STATUS_ALLOC_FAILED",
        "ALLOCATION_FAILED",
        "cudaErrorMemoryAllocation",
        // cuDNN, where no algorithm fits into what is left.
        "unable to find an engine to execute this computation",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

/// What a panic said.
pub(super) fn message(payload: &(dyn Any + Send)) -> String {
    let text = match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "a failure without a message",
    };
    first_line(text)
}

/// libtorch's own words, without the frames of its stack that follow them.
fn first_line(text: &str) -> String {
    let own = text.split_once("Torch(\"").map_or(text, |(_, own)| own);
    let end = own.find("\\n").or(own.find('\n')).unwrap_or(own.len());
    own[..end].trim_end_matches("\")").trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    fn failure<T>(work: impl FnOnce() -> T) -> String {
        match caught(work) {
            Err(Cut::Failed(message)) => message,
            Err(Cut::Cancelled) => panic!("nobody cancelled it"),
            Ok(_) => panic!("it did not fail"),
        }
    }

    #[test]
    fn a_panic_is_its_message() {
        assert_eq!(caught(|| 1), Ok(1));
        assert_eq!(failure(|| panic!("as {}", "said")), "as said");
    }

    #[test]
    fn libtorch_is_quoted_in_one_line() {
        let wrong = || Tensor::zeros([2, 3], (Kind::Float, tch::Device::Cpu)).reshape([5]);
        let message = failure(wrong);
        assert_eq!(message, "shape '[5]' is invalid for input of size 6");
        assert!(!is_out_of_memory(&message));
    }

    #[test]
    fn memory_that_runs_out_is_recognised() {
        let huge = || Tensor::zeros([1 << 50], (Kind::Float, tch::Device::Cpu));
        let message = failure(huge);
        assert!(is_out_of_memory(&message), "{message}");
        for message in [
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "GET was unable to find an engine to execute this computation",
            "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
            "CUDA error: cudaErrorMemoryAllocation",
        ] {
            assert!(is_out_of_memory(message), "{message}");
        }
        assert!(!is_out_of_memory(
            "CUDA error: device-side assert triggered"
        ));
    }

    /// What fails while it is being cancelled is not what it says: it is to be run again.
    #[test]
    fn a_failure_of_cancelled_work_is_none() {
        let cancel = Cancel::default();
        let failing = |cancel: &Cancel| cancel.attempt(|_| {}, || panic!("broken"));
        let failed: Result<((), _), _> = failing(&cancel);
        assert_eq!(failed, Err(Cut::Failed("broken".into())));
        let late = cancel.attempt(
            |_| {},
            || {
                cancel.set();
                panic!("broken by the end")
            },
        );
        assert_eq!(late, Err::<((), _), _>(Cut::Cancelled));
        assert_eq!(cancel.attempt(|_| {}, || 1), Err(Cut::Cancelled));
    }
}
