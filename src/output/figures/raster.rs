//! From SVG to PNG and to disk, with an embedded font: the same picture on every machine.

use crate::output::store::replace_file;
use anyhow::{Context, Result};
use harfrust::{FontRef, ShapeOptions, ShaperData, UnicodeBuffer};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// Pixels per CSS pixel, of which an inch has 96.
const SCALE: f32 = 2.0;

/// DejaVu Sans 2.35 as matplotlib ships it; its licence lies beside it.
const FONT: &[u8] = include_bytes!("font/DejaVuSans.ttf");

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(FONT.to_vec());
    Arc::new(fonts)
});

/// The font's tables as its shaper reads them, the one that resvg draws with.
static TABLES: LazyLock<(FontRef<'static>, ShaperData)> = LazyLock::new(|| {
    let font = FontRef::new(FONT).expect("the embedded font is one");
    let data = ShaperData::new(&font);
    (font, data)
});

/// Writes `stem.svg` and `stem.png` to `folder`, each in one step: either is whole at any moment.
///
/// # Errors
/// A text that is not SVG, or a folder that cannot be written.
pub fn write(folder: &Path, stem: &str, svg: &str) -> Result<[PathBuf; 2]> {
    let png = png(svg).with_context(|| format!("cannot draw {stem}.png"))?;
    let paths = ["svg", "png"].map(|ending| folder.join(format!("{stem}.{ending}")));
    replace_file(&paths[0], svg.as_bytes())?;
    replace_file(&paths[1], &png)?;
    Ok(paths)
}

fn png(svg: &str) -> Result<Vec<u8>> {
    let tree = parse(svg)?;
    let size = tree
        .size()
        .to_int_size()
        .scale_by(SCALE)
        .context("no size")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).context("no size")?;
    resvg::render(
        &tree,
        Transform::from_scale(SCALE, SCALE),
        &mut pixels.as_mut(),
    );
    Ok(pixels.encode_png()?)
}

/// The document as it will be drawn.
pub(super) fn parse(svg: &str) -> Result<Tree> {
    let options = Options {
        fontdb: FONTS.clone(),
        font_family: "DejaVu Sans".into(),
        ..Options::default()
    };
    Tree::from_str(svg, &options).context("not an SVG")
}

/// How wide `text` is at font size `size` in the embedded font: the sum of its advances, kerned.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let (font, data) = &*TABLES;
    let shaper = data.shaper(font).build();
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(text);
    buffer.guess_segment_properties();
    let glyphs = shaper.shape(buffer, ShapeOptions::new());
    let units: i32 = glyphs.glyph_positions().iter().map(|g| g.x_advance).sum();
    f64::from(units) * size / f64::from(shaper.units_per_em())
}

/// `text`, cut and ended by … where it is wider than `width`.
pub(super) fn fit(text: &str, size: f64, width: f64) -> String {
    let mut fitted = text.to_string();
    let mut kept = text.chars().count();
    while kept > 0 && text_width(&fitted, size) > width {
        kept -= 1;
        fitted = text.chars().take(kept).chain(['…']).collect();
    }
    fitted
}

/// The name of a parameter, its first words shortened to three letters each as far as `width` asks
/// for it: "enc.lay.0.att.output.dense.weight"; if that is not enough, cut and begun by ….
///
/// Names differ in their numbers and at their ends.
pub(super) fn fit_name(name: &str, size: f64, width: f64) -> String {
    let wide = |text: &str| text_width(text, size) > width;
    let mut words: Vec<&str> = name.split('.').collect();
    let before_last = words.len() - 1;
    for place in 0..before_last {
        if !wide(&words.join(".")) {
            break;
        }
        let word = words[place];
        let is_number = word.parse::<u64>().is_ok();
        let end = word.char_indices().nth(3).filter(|_| !is_number);
        words[place] = &word[..end.map_or(word.len(), |(end, _)| end)];
    }
    let mut fitted = words.join(".");
    while wide(&fitted) && fitted.chars().count() > 1 {
        let kept = fitted.trim_start_matches('…').chars().skip(1);
        fitted = std::iter::once('…').chain(kept).collect();
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_appear_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="1in" height="0.5in"><rect width="100%" height="100%" fill="#0072b2"/></svg>"##;
        let paths = write(folder.path(), "figure", svg).unwrap();
        assert_eq!(
            paths,
            ["svg", "png"].map(|e| folder.path().join(format!("figure.{e}")))
        );
        assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), svg);
        let pixels = Pixmap::load_png(&paths[1]).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (192, 96));
        assert_eq!(pixels.pixel(100, 50).unwrap().blue(), 0xb2);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_not_svg_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), "figure", "<svg").unwrap_err();
        assert_eq!(error.to_string(), "cannot draw figure.png");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// Kerned pairs, ligatures, superscripts and what the font lacks.
    #[test]
    fn widths_are_those_that_are_drawn() {
        for text in [
            "AVATAR, To",
            "fi ffl",
            "10⁻⁵ ± 2×10³",
            "a<b & c",
            "κ → ∂²",
            "漢字 \u{1f600}",
        ] {
            let escaped = super::super::canvas::escape(text);
            let svg = format!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" font-family="DejaVu Sans"><text font-size="100">{escaped}</text></svg>"#
            );
            let drawn = parse(&svg).unwrap().root().abs_bounding_box().width();
            let found = text_width(text, 100.0);
            assert!(
                (found - f64::from(drawn)).abs() < 0.01,
                "{text}: {found}, drawn {drawn}"
            );
        }
    }

    #[test]
    fn letters_have_width() {
        let (one, two) = (text_width("m", 10.0), text_width("mm", 10.0));
        assert!(one > 6.0 && two > 1.8 * one, "{one} {two}");
        let short = fit("a very long name", 10.0, 50.0);
        assert!(
            short.starts_with("a ver") && short.ends_with('…'),
            "{short}"
        );
        assert!(text_width(&short, 10.0) <= 50.0);
        assert_eq!(fit("short", 10.0, 50.0), "short");
        let name = "encoder.layer.11.attention.query";
        for (width, fitted) in [(500.0, name), (100.0, "enc.lay.11.att.query")] {
            assert_eq!(fit_name(name, 10.0, width), fitted);
        }
        let end = fit_name("a_name_without_any_dots", 10.0, 50.0);
        assert!(end.starts_with('…') && end.ends_with("dots"), "{end}");
        assert!(text_width(&end, 10.0) <= 50.0);
    }
}
