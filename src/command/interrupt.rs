//! Ctrl-C: the first ends a run in good order, the second at once.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the user wants the run to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The exit code of a program that Ctrl-C has ended.
    pub const CODE: u8 = 130;

    /// Takes Ctrl-C, and requests to terminate, from now on.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        let came = interrupt.0.clone();
        let handler = move || {
            if came.swap(true, Ordering::Relaxed) {
                leave(Self::CODE);
            }
            tracing::warn!(
                "interrupted: jobs that take longer than a moment are left for the next run; once more ends it at once"
            );
        };
        if let Err(error) = ctrlc::set_handler(handler) {
            tracing::warn!("Ctrl-C will end the run at once: {error}");
        }
        interrupt
    }

    /// Whether it came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Ends the process with this exit code, and without the destructors of libtorch: threads that are
/// still at work, as after an interruption, would fail over what is destroyed.
pub fn leave(code: u8) -> ! {
    let _ = std::io::stdout().flush();
    // SAFETY: it never returns, and needs nothing of this process.
    unsafe { libc::_exit(code.into()) }
}
