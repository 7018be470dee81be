//! Work that may fail where the plan could not foresee it: memory runs out, libtorch refuses.
//!
//! libtorch's errors come as panics through `tch`'s operators, so they are caught as such.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// Whether this may be a thread that work has been handed on to, which is told of its failure.
fn helps() -> bool {
    AT_WORK.load(Ordering::Relaxed) > 0 && std::thread::current().name() != Some("main")
}

/// The result of `work`, or what it said when it failed; nothing is printed.
///
/// `work` must leave nothing behind that a failure could have left half done.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
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
    result.map_err(|payload| message(payload.as_ref()))
}

/// Whether a failure means that a smaller piece of work could succeed.
pub(super) fn is_out_of_memory(message: &str) -> bool {
    [
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "bad_alloc",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

fn message(payload: &(dyn Any + Send)) -> String {
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

    #[test]
    fn a_panic_is_its_message() {
        assert_eq!(caught(|| 1), Ok(1));
        assert_eq!(
            caught(|| panic!("as {}", "said")),
            Err::<(), _>("as said".into())
        );
    }

    #[test]
    fn libtorch_is_quoted_in_one_line() {
        let wrong = || Tensor::zeros([2, 3], (Kind::Float, tch::Device::Cpu)).reshape([5]);
        let message = caught(wrong).unwrap_err();
        assert_eq!(message, "shape '[5]' is invalid for input of size 6");
        assert!(!is_out_of_memory(&message));
    }

    #[test]
    fn memory_that_runs_out_is_recognised() {
        let huge = || Tensor::zeros([1 << 50], (Kind::Float, tch::Device::Cpu));
        let message = caught(huge).unwrap_err();
        assert!(is_out_of_memory(&message), "{message}");
    }
}
