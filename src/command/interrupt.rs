//! Ctrl-C: the first ends a run in good order, the second at once.

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
                std::process::exit(Self::CODE.into());
            }
            tracing::warn!(
                "interrupted: what is under way is finished first; once more ends it at once"
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
