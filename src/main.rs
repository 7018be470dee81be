//! The program: reads the command line, does what it says, and tells by the exit code how it went.

mod command;

use clap::Parser;
use miette::{GraphicalReportHandler, GraphicalTheme};
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

/// Lines are never wrapped, so that paths and messages stay whole; colour only on a terminal.
fn show_errors_plainly() {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut theme = match colour {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::unicode_nocolor(),
    };
    theme.characters.underline = '^';
    theme.characters.underbar = '^';
    theme.characters.uarrow = '^';
    theme.characters.error = "error:".into();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(100)
        .with_wrap_lines(false)
        .with_links(false);
    // Fails only where a handler is installed already, which none is.
    let _ = miette::set_hook(Box::new(move |_| Box::new(handler.clone())));
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
