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

type Listener = Box<dyn Fn(Progress)>;

thread_local! {
    static LISTENER: RefCell<Option<(Listener, Instant)>> = const { RefCell::new(None) };
}

/// More often nobody can read it, and it would cost time.
const INTERVAL: Duration = Duration::from_millis(100);

/// Does `work`; what estimators on this thread tell meanwhile goes to `listener`.
pub fn listening<T>(listener: impl Fn(Progress) + 'static, work: impl FnOnce() -> T) -> T {
    /// Ends listening also where `work` panics.
    struct Ear;
    impl Drop for Ear {
        fn drop(&mut self) {
            LISTENER.set(None);
        }
    }
    LISTENER.set(Some((Box::new(listener), Instant::now())));
    let _ear = Ear;
    work()
}

/// Tells the listener, if there is one and it has not heard for a while, of `done` probes of `most`.
pub(super) fn tell(done: u64, most: u64, estimate: impl FnOnce() -> Moments) {
    LISTENER.with_borrow_mut(|listener| {
        if let Some((listener, last)) = listener
            && last.elapsed() >= INTERVAL
        {
            let estimate = estimate();
            listener(Progress {
                done,
                most,
                estimate,
            });
            *last = Instant::now();
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
    }
}
