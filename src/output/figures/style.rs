//! What lines, bars and letters look like: apart in colour, for the colour-blind, and in grey.

/// Text, axes.
pub(super) const INK: &str = "#222";
/// What explains: subtitle, notes.
pub(super) const SOFT: &str = "#595959";
/// Grid lines.
pub(super) const FAINT: &str = "#e4e4e4";
/// Size of axis labels.
pub(super) const LABEL: f64 = 10.0;
/// Size of tick labels, legend and values.
pub(super) const SMALL: f64 = 9.0;
/// Size of subtitle and notes.
pub(super) const NOTE: f64 = 8.0;

/// How a line is drawn.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: &'static str,
    pub(super) width: f64,
    pub(super) opacity: f64,
    /// As in `stroke-dasharray`; empty for a solid line.
    pub(super) dash: &'static str,
}

impl Stroke {
    pub(super) const fn solid(colour: &'static str, width: f64) -> Self {
        Self {
            colour,
            width,
            opacity: 1.0,
            dash: "",
        }
    }
}

/// A regular polygon.
#[derive(Clone, Copy)]
pub(super) struct Marker {
    pub(super) corners: u32,
    /// Degrees from the right to the first corner.
    pub(super) turn: f64,
    pub(super) radius: f64,
    pub(super) hollow: bool,
}

/// How one setting is drawn.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) stroke: Stroke,
    pub(super) marker: Option<Marker>,
}

/// A value that is no bar.
pub(super) const POINT: Marker = Marker {
    corners: 24,
    turn: 0.0,
    radius: 3.2,
    hollow: false,
};

/// The truth: black, dashed, without markers.
pub(super) const EXACT: Style = Style {
    stroke: Stroke {
        colour: "#000",
        width: 1.2,
        opacity: 1.0,
        dash: "5 3",
    },
    marker: None,
};

/// What is there to compare with: grey, thin, with small dots.
pub(super) const QUIET: Style = Style {
    stroke: Stroke {
        colour: "#949494",
        width: 1.1,
        opacity: 1.0,
        dash: "",
    },
    marker: Some(Marker {
        corners: 24,
        turn: 0.0,
        radius: 1.9,
        hollow: false,
    }),
};

/// Okabe and Ito's palette for all kinds of colour vision, without black and yellow, which a white page
/// and the exact line take; wine and olive are Paul Tol's.
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#882255", "#e69f00", "#999933",
];
const DASHES: [&str; 4] = ["", "7 2", "2 1.5", "8 2 2 2"];
/// Corners, turn, radius.
const MARKERS: [(u32, f64, f64); 5] = [
    (24, 0.0, 2.7),
    (4, 45.0, 3.3),
    (3, -90.0, 3.6),
    (4, 0.0, 3.5),
    (3, 90.0, 3.6),
];

/// The `index`-th of 40 styles; dash and marker alone are different in any 20 neighbours.
pub(super) fn style(index: usize) -> Style {
    let (corners, turn, radius) = MARKERS[index % MARKERS.len()];
    Style {
        stroke: Stroke {
            colour: COLOURS[index % COLOURS.len()],
            width: 1.7,
            opacity: 1.0,
            dash: DASHES[index % DASHES.len()],
        },
        marker: Some(Marker {
            corners,
            turn,
            radius,
            hollow: index / MARKERS.len() % 2 == 1,
        }),
    }
}

/// The colour of the `index`-th kind of bar; neighbours differ in grey too.
pub(super) fn fill(index: usize) -> &'static str {
    const FILLS: [&str; 6] = [
        "#0072b2", "#e69f00", "#56b4e9", "#d55e00", "#009e73", "#cc79a7",
    ];
    FILLS[index % FILLS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_lines_are_told_apart_without_colour() {
        let look = |i| {
            let Style { stroke, marker } = style(i);
            let Marker {
                corners,
                turn,
                hollow,
                ..
            } = marker.unwrap();
            format!("{} {corners} {turn} {hollow}", stroke.dash)
        };
        let looks: std::collections::BTreeSet<_> = (0..20).map(look).collect();
        assert_eq!(looks.len(), 20);
    }
}
