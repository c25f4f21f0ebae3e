//! The styles of series and classes: colour, dashes, and the shape of marks.

/// Colours of the style sheet.
const COLOURS: usize = 8;
/// Dashes of lines; the first is solid.
const DASHES: [&str; 4] = ["none", "7 4", "2 3", "9 3 2 3"];
/// Shapes of marks around 0: circle, square, triangle, diamond.
const MARKS: [&str; 4] = [
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
    "M-3.5,-3.5h7v7h-7z",
    "M0,-4.6L4.4,3.4H-4.4z",
    "M0,-5L5,0L0,5L-5,0z",
];

/// The colour of series `index`, as CSS.
pub(super) fn colour(index: usize) -> String {
    format!("var(--series-{})", index % COLOURS + 1)
}

/// The dashes of series `index`. Series of the same colour have different ones.
pub(super) fn dashes(index: usize) -> &'static str {
    DASHES[(index + index / COLOURS) % DASHES.len()]
}

/// The path of the mark of series or class `index`.
pub(crate) fn mark_path(index: usize) -> &'static str {
    MARKS[index % MARKS.len()]
}
