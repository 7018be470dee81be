//! The program: reads the command line, does what it says, and tells by the exit code how it went.

mod command;

use clap::Parser;
use std::io::IsTerminal;

fn main() {
    take_signals_as_errors();
    curvature_runner::memory::keep_freed_buffers();
    let arguments = command::Arguments::parse();
    show_errors_plainly();
    command::leave(match arguments.execute() {
        Ok(end) => end.code(),
        Err(failure) => failure.report(),
    })
}

/// Colour only on a terminal that wants it.
fn show_errors_plainly() {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    curvature_runner::spec::show_errors_plainly(colour);
}

/// `runner --dry-run SPEC | head` ends like other programs do, where Rust would panic; a file that
/// may not grow is an error to tell.
fn take_signals_as_errors() {
    #[cfg(unix)]
    // SAFETY: neither action is a handler, and no thread runs yet.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
