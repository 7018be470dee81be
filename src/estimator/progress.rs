//! What estimators tell while they are at work, to whoever listens on their thread.

use super::Moments;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How far an estimate has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Probes so far.
    pub done: u64,
    /// Probes in all.
    pub most: u64,
    /// The estimate of the trace from those so far.
    pub estimate: Moments,
}

struct Listener {
    tell: Box<dyn Fn(Progress)>,
    cancelled: Arc<AtomicBool>,
    last: Instant,
    notes: Vec<String>,
}

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// More often nobody can read it, and it would cost time.
const INTERVAL: Duration = Duration::from_millis(100);

/// What work unwinds with that its listener has cancelled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cancelled;

/// Ends the listening also where the work unwinds.
struct Ended;

impl Drop for Ended {
    fn drop(&mut self) {
        LISTENER.set(None);
    }
}

/// Does `work`; what estimators on this thread tell meanwhile goes to `tell`. Returns also what a
/// reader of the result should know.
///
/// Once `cancelled` is set, the work ends at the next place where it looks up, between two chunks
/// of products, by unwinding with [`Cancelled`].
pub(crate) fn listening<T>(
    tell: impl Fn(Progress) + 'static,
    cancelled: Arc<AtomicBool>,
    work: impl FnOnce() -> T,
) -> (T, Vec<String>) {
    LISTENER.set(Some(Listener {
        tell: Box::new(tell),
        cancelled,
        last: Instant::now(),
        notes: Vec::new(),
    }));
    let _ended = Ended;
    let result = work();
    let listener = LISTENER.take().expect("nobody else listens on this thread");
    (result, listener.notes)
}

/// Whether the listener of the thread that made it has cancelled the work; for any thread.
#[derive(Clone, Default)]
pub(super) struct Cancellation(Option<Arc<AtomicBool>>);

impl Cancellation {
    /// That of the work on this thread; never, where nobody listens.
    pub(super) fn of_this_thread() -> Self {
        let cancelled = |listener: &Listener| listener.cancelled.clone();
        Self(LISTENER.with_borrow(|listener| listener.as_ref().map(cancelled)))
    }

    /// Goes on, or unwinds with [`Cancelled`].
    pub(super) fn check(&self) {
        let is_set = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        if self.0.as_ref().is_some_and(is_set) {
            // Without the panic hook: nothing is wrong.
            std::panic::resume_unwind(Box::new(Cancelled));
        }
    }
}

/// Tells the listener, if there is one and it has not heard for a while, of `done` probes of `most`;
/// unwinds where it has cancelled the work.
pub(super) fn tell(done: u64, most: u64, estimate: impl FnOnce() -> Moments) {
    Cancellation::of_this_thread().check();
    LISTENER.with_borrow_mut(|listener| {
        if let Some(Listener { tell, last, .. }) = listener
            && last.elapsed() >= INTERVAL
        {
            tell(Progress {
                done,
                most,
                estimate: estimate(),
            });
            *last = Instant::now();
        }
    });
}

/// Leaves a note for the reader of the result, each once.
pub(super) fn note(text: &str) {
    LISTENER.with_borrow_mut(|listener| {
        if let Some(Listener { notes, .. }) = listener
            && !notes.iter().any(|note| note == text)
        {
            notes.push(text.into());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn only_a_listener_hears_and_not_too_often() {
        let heard = Rc::new(Cell::new(0));
        let count = heard.clone();
        let tell_for = |time: Duration| {
            let clock = Instant::now();
            while clock.elapsed() < time {
                tell(1, 2, || Moments::exact(1.0));
            }
        };
        listening(
            move |_| count.set(count.get() + 1),
            Arc::default(),
            || tell_for(INTERVAL * 5 / 2),
        );
        tell_for(INTERVAL * 2);
        assert_eq!(heard.get(), 2);
        let notes = listening(|_| {}, Arc::default(), || ["a", "b", "a"].map(note)).1;
        assert_eq!(notes, ["a", "b"]);
    }

    /// Also on threads that the work has been handed on to; and the next work is not cancelled.
    #[test]
    fn cancelled_work_unwinds_where_it_looks_up() {
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = cancelled.clone();
        let work = move || {
            let cancellation = Cancellation::of_this_thread();
            cancellation.check();
            flag.store(true, Ordering::Relaxed);
            let elsewhere = std::thread::spawn(move || cancellation.check()).join();
            assert!(elsewhere.unwrap_err().is::<Cancelled>());
            tell(1, 2, || Moments::exact(1.0));
            unreachable!("it was cancelled");
        };
        let listen = || listening(|_| {}, cancelled, work);
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(listen));
        assert!(unwound.expect_err("it unwinds").is::<Cancelled>());
        tell(1, 2, || Moments::exact(1.0));
    }
}
