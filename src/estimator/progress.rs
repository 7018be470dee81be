//! What estimators tell while they are at work, to whoever listens on their thread.

use super::Moments;
use std::cell::RefCell;
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
    last: Instant,
    notes: Vec<String>,
}

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// More often nobody can read it, and it would cost time.
const INTERVAL: Duration = Duration::from_millis(100);

/// Does `work`; what estimators on this thread tell meanwhile goes to `tell`. Returns also what a
/// reader of the result should know.
pub fn listening<T>(
    tell: impl Fn(Progress) + 'static,
    work: impl FnOnce() -> T,
) -> (T, Vec<String>) {
    LISTENER.set(Some(Listener {
        tell: Box::new(tell),
        last: Instant::now(),
        notes: Vec::new(),
    }));
    // Where `work` panics, the next one to listen takes the place.
    let result = work();
    let listener = LISTENER.take().expect("nobody else listens on this thread");
    (result, listener.notes)
}

/// Tells the listener, if there is one and it has not heard for a while, of `done` probes of `most`.
pub(super) fn tell(done: u64, most: u64, estimate: impl FnOnce() -> Moments) {
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
            || tell_for(INTERVAL * 5 / 2),
        );
        tell_for(INTERVAL * 2);
        assert_eq!(heard.get(), 2);
        let notes = listening(|_| {}, || ["a", "b", "a"].map(note)).1;
        assert_eq!(notes, ["a", "b"]);
    }
}
