//! Several figures on one page.

use super::raster::parse;
use anyhow::Result;

/// Figures one below the other, each at its own size: side by side they would be read at half of it.
///
/// # Errors
/// A text that is not SVG.
pub(super) fn stack(figures: &[String]) -> Result<String> {
    let (mut body, mut y, mut width) = (String::new(), 0.0, 0.0_f32);
    for figure in figures {
        let size = parse(figure)?.size();
        let start = figure.find("<svg ").unwrap_or(0);
        body += &figure[start..].replacen("<svg ", &format!("<svg y=\"{y}\" "), 1);
        width = width.max(size.width());
        y += size.height();
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\">\n<rect width=\"{width}\" height=\"{y}\" fill=\"#fff\"/>\n{body}</svg>\n"
    ))
}
