//! How a mistake in a spec is shown: message, the lines around it, what to do.

use miette::{GraphicalReportHandler, GraphicalTheme};

/// From now on, every [`SpecError`](super::SpecError) is shown in the runner's look when it is
/// printed as a [`miette::Report`]. Lines are never wrapped, so that paths and messages stay whole.
pub fn show_errors_plainly(colour: bool) {
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
