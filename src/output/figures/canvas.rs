//! A page of SVG under construction. Lengths are points, 1/72 inch.

use super::style::{INK, Marker, Stroke};
use std::fmt::Write;

/// Seven inches.
pub(super) const WIDTH: f64 = 504.0;
/// The first family is the font embedded for PNG.
pub(super) const FAMILY: &str = "DejaVu Sans, Helvetica, Arial, sans-serif";

/// The same figure where the reader prefers light letters on a dark page; printers and PNG see none of it.
const DARK: &str = "@media screen and (prefers-color-scheme: dark) { \
svg > rect:first-of-type { fill: #17181c } \
text { fill: #ececf0 } text[fill=\"#595959\"] { fill: #a9a9b2 } \
[stroke=\"#222\"], [stroke=\"#000\"] { stroke: #ececf0 } [stroke=\"#e4e4e4\"] { stroke: #33343a } \
[fill=\"#222\"] { fill: #ececf0 } polygon[fill=\"#fff\"] { fill: #17181c } polygon[stroke=\"#fff\"] { stroke: #17181c } \
[stroke=\"#0072b2\"] { stroke: #4aa8e0 } [fill=\"#0072b2\"] { fill: #4aa8e0 } \
[stroke=\"#882255\"] { stroke: #d987ae } [fill=\"#882255\"] { fill: #d987ae } }";

/// A place on the page, from the upper left corner.
pub(super) type Point = (f64, f64);

/// How a text stands at its point; vertically it is centred there.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Collects elements, later ones over earlier ones.
#[derive(Default)]
pub(super) struct Canvas {
    body: String,
}

impl Canvas {
    fn add(&mut self, element: std::fmt::Arguments) {
        writeln!(self.body, "{element}").expect("a String takes all");
    }

    /// A line through `points`.
    pub(super) fn line(&mut self, points: &[Point], stroke: Stroke) {
        let Stroke {
            colour,
            width,
            opacity,
            dash,
        } = stroke;
        let dash = match dash {
            "" => String::new(),
            dash => format!(r#" stroke-dasharray="{dash}""#),
        };
        self.add(format_args!(
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-opacity="{opacity}" stroke-linejoin="round"{dash}/>"#,
            list(points)
        ));
    }

    /// A line with a short stroke across either end.
    pub(super) fn bracket(&mut self, from: Point, to: Point, stroke: Stroke) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let scale = 3.0 / dx.hypot(dy).max(1e-9);
        let across = (-dy * scale, dx * scale);
        self.line(&[from, to], stroke);
        for (x, y) in [from, to] {
            self.line(
                &[(x - across.0, y - across.1), (x + across.0, y + across.1)],
                stroke,
            );
        }
    }

    /// A filled outline.
    pub(super) fn area(&mut self, points: &[Point], colour: &str, opacity: f64) {
        self.add(format_args!(
            r#"<polygon points="{}" fill="{colour}" fill-opacity="{opacity}"/>"#,
            list(points)
        ));
    }

    /// A point of data.
    pub(super) fn marker(&mut self, (x, y): Point, marker: Marker, colour: &str) {
        let corner = |k| {
            let angle =
                (marker.turn + 360.0 * f64::from(k) / f64::from(marker.corners)).to_radians();
            (
                x + marker.radius * angle.cos(),
                y + marker.radius * angle.sin(),
            )
        };
        let outline: Vec<Point> = (0..marker.corners).map(corner).collect();
        let (fill, edge) = if marker.hollow {
            ("#fff", colour)
        } else {
            (colour, "#fff")
        };
        self.add(format_args!(
            r#"<polygon points="{}" fill="{fill}" stroke="{edge}" stroke-width="{}"/>"#,
            list(&outline),
            if marker.hollow { 1.0 } else { 0.5 }
        ));
    }

    /// A bar with upper left corner `at`.
    pub(super) fn bar(&mut self, at: Point, size: (f64, f64), colour: &str) {
        let ((x, y), (width, height)) = (at, size);
        self.add(format_args!(
            r#"<rect x="{x:.2}" y="{y:.2}" width="{width:.2}" height="{height:.2}" fill="{colour}"/>"#
        ));
    }

    /// Words about what lies around `at`, which a browser shows under the pointer; never drawn.
    pub(super) fn hint(&mut self, at: Point, size: (f64, f64), words: &str) {
        let (x, y) = (at.0 - size.0 / 2.0, at.1 - size.1 / 2.0);
        self.add(format_args!(
            r#"<rect x="{x:.2}" y="{y:.2}" width="{:.2}" height="{:.2}" fill="none" pointer-events="all"><title>{}</title></rect>"#,
            size.0,
            size.1,
            escape(words)
        ));
    }

    /// A text in one line.
    pub(super) fn text(&mut self, at: Point, anchor: Anchor, size: f64, colour: &str, text: &str) {
        self.place(at, anchor, size, colour, "", text);
    }

    /// A centred text that reads upwards.
    pub(super) fn text_up(&mut self, at: Point, size: f64, text: &str) {
        let turn = format!(r#" transform="rotate(-90 {:.2} {:.2})""#, at.0, at.1);
        // Centred across the turned line, which runs along y.
        self.place(at, Anchor::Middle, size, INK, &turn, text);
    }

    fn place(
        &mut self,
        at: Point,
        anchor: Anchor,
        size: f64,
        colour: &str,
        more: &str,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        // Half the height of a digit brings the middle of the line to the point.
        let (x, y) = (at.0, at.1 + 0.36 * size);
        self.add(format_args!(
            r#"<text x="{x:.2}" y="{y:.2}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{more}>{}</text>"#,
            escape(text)
        ));
    }

    /// The whole document, `height` points high.
    pub(super) fn finish(self, height: f64) -> String {
        let (Self { body }, inches) = (self, |points: f64| points / 72.0);
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{:.4}in" height="{:.4}in" viewBox="0 0 {WIDTH} {height:.2}" font-family="{FAMILY}">
<style>{DARK}</style>
<rect width="100%" height="100%" fill="#fff"/>
{body}</svg>
"##,
            inches(WIDTH),
            inches(height)
        )
    }
}

fn list(points: &[Point]) -> String {
    let each = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}"));
    each.collect::<Vec<_>>().join(" ")
}

/// `text` as XML character data; what XML 1.0 cannot hold becomes U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_stays_well_formed() {
        let mut canvas = Canvas::default();
        canvas.text(
            (10.0, 10.0),
            Anchor::Start,
            9.0,
            INK,
            "a<b & \"c\" ]]> \u{1}\u{ffff}\n",
        );
        let svg = canvas.finish(20.0);
        assert!(
            svg.contains("a&lt;b &amp; \"c\" ]]&gt; \u{fffd}\u{fffd}\u{fffd}</text>"),
            "{svg}"
        );
        super::super::raster::parse(&svg).unwrap();
    }
}
