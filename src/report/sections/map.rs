//! The map of the embeddings.

use maud::{Markup, PreEscaped, html};

use crate::report::evaluated_split::EvaluatedSplit;
use crate::report::map::{Arrangement, EmbeddingMap};
use crate::report::page::Section;
use crate::report::plot::mark_path;
use crate::report::sprite_sheet::SpriteSheet;
use crate::report::text::{count, name};

/// The side of the map in its own units, and the margin around the points.
const SIDE: f64 = 640.0;
const MARGIN: f64 = 10.0;
/// The shapes of marks.
const SHAPES: usize = 4;
/// The golden angle in degrees: successive classes get hues that are far apart.
const HUE_STEP: f64 = 137.508;

/// The section of the map.
pub(crate) fn map(split: &EvaluatedSplit, map: &EmbeddingMap, sprites: &SpriteSheet) -> Section {
    let classes = split.split.class_names().len();
    let (columns, side) = (sprites.columns, sprites.side);
    // The sheet is shown at a scale so that tiles have a side of 112 CSS pixels.
    let style = format!(
        ".sprite{{background-image:url({});background-size:{}px auto}}",
        sprites.sheet.uri,
        columns * 112
    );
    Section {
        id: "map",
        heading: "Map of the embeddings".into(),
        body: html! {
            style { (PreEscaped(style)) }
            div.map-layout {
            div {
            p {
                "Each point is a test image; images that are near in the embedding space are near here. "
                (arranged(map.arrangement)) " "
                (count(map.rows.len())) " of " (count(split.rows.len())) " images, of " (count(map.classes)) " of " (count(classes))
                " classes drawn at random. Colour and shape are those of the class, and repeat. "
                "Distances between groups and the axes have no meaning."
            }
            p.hint #map-hint hidden {
                "Point at an image, tap it, or focus the map and use the arrow keys. Its class is highlighted."
            }
            }
            div.map #map-figure data-columns=(columns) data-side=(side) {
                svg.plot.points #map-plot viewBox={ "0 0 " (SIDE) " " (SIDE) } role="group"
                    aria-labelledby="map-plot-title map-plot-description" {
                    title #map-plot-title { "Map of the embeddings of the test split" }
                    desc #map-plot-description {
                        (count(map.rows.len())) " images of " (count(map.classes)) " classes. Each point is named by class and file."
                    }
                    defs { @for shape in 0..SHAPES {
                        path id={ "map-mark-" (shape) } d=(mark_path(shape)) {}
                    } }
                    @for (index, (&row, at)) in map.rows.iter().zip(&map.positions).enumerate() {
                        (point(split, index, row, at))
                    }
                }
                div.map-card #map-card hidden {
                    div.sprite #map-image role="img" {}
                    div { strong #map-class {} span.quiet #map-file {} }
                }
            }
            }
            p.hidden-text #map-status role="status" {}
        },
    }
}

fn arranged(arrangement: Arrangement) -> &'static str {
    match arrangement {
        Arrangement::TSne => "Arranged by t-SNE from the principal components.",
        Arrangement::PrincipalComponents => {
            "Arranged by the first two principal components, because the images are too few or too similar for t-SNE."
        }
    }
}

fn point(split: &EvaluatedSplit, index: usize, row: usize, [x, y]: &[f64; 2]) -> Markup {
    let (class, file) = split.names(row);
    let label = split.rows.labels[row];
    let place = |share: f64| format!("{:.1}", MARGIN + share * (SIDE - 2.0 * MARGIN));
    let hue = (label as f64 * HUE_STEP) % 360.0;
    html! {
        use href={ "#map-mark-" (label % SHAPES) } x=(place(*x)) y=(place(*y)) style={ "--h:" (format!("{hue:.0}")) }
            tabindex=(if index == 0 { "0" } else { "-1" }) role="img" data-c=(label) {
            title { (name(class)) "\n" (name(&file)) }
        }
    }
}
