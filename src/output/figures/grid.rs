//! Several figures on one page.

use super::raster::parse;
use anyhow::Result;

/// Figures side by side in two columns, in the order of reading; each keeps its size.
///
/// # Errors
/// A text that is not SVG.
pub(super) fn grid(figures: &[String]) -> Result<String> {
    let (mut body, mut y, mut width) = (String::new(), 0.0, 0.0_f32);
    for row in figures.chunks(2) {
        let (mut x, mut height) = (0.0, 0.0_f32);
        for figure in row {
            let size = parse(figure)?.size();
            let start = figure.find("<svg ").unwrap_or(0);
            let placed = format!("<svg x=\"{x}\" y=\"{y}\" ");
            body += &figure[start..].replacen("<svg ", &placed, 1);
            x += size.width();
            height = height.max(size.height());
        }
        width = width.max(x);
        y += height;
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\">\n<rect width=\"{width}\" height=\"{y}\" fill=\"#fff\"/>\n{body}</svg>\n"
    ))
}
