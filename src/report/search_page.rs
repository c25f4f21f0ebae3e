//! The page of a search: every query beside its nearest images.

use maud::{Markup, html};

use super::page::{Page, Section};
use super::thumbnail::Thumbnail;
use super::tile::{Tile, missing, thumbnails};
use crate::cancellation::Cancelled;
use crate::evaluation::Neighbour;
use crate::inference::search::SearchResult;
use crate::progress::Monitor;

/// The most images on a page: with 5,000 bytes each, 6 MB.
const MOST_TILES: usize = 1_200;

/// The most neighbours that are shown of a query.
const MOST_NEIGHBOURS: usize = 50;

/// The page of a search, and what it leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// The page.
    pub html: String,
    /// The number of queries that are shown, the first ones.
    pub queries: usize,
    /// The most neighbours that are shown of a query, the nearest ones.
    pub neighbours: usize,
    /// The number of different images that cannot be shown, because their paths are not known or they cannot be read.
    pub without_image: usize,
}

/// Draws the page of a search. `network` describes what embedded the images; `None` if they are from files.
///
/// A page has at most 1,200 images and 7 MB. It shows the first queries, and at most 50 neighbours of each.
///
/// # Errors
/// If a stop was requested.
pub fn search_page(
    result: &SearchResult,
    network: Option<&str>,
    monitor: Monitor<'_>,
) -> Result<SearchPage, Cancelled> {
    let (queries, gallery) = (result.queries(), result.gallery());
    let found = (0..queries.count()).map(|query| result.neighbours(query).len());
    let neighbours = found.max().unwrap_or(0).min(MOST_NEIGHBOURS);
    let shown = queries.count().min((MOST_TILES / (neighbours + 1)).max(1));
    let nearest = |query: usize| {
        let found = result.neighbours(query);
        &found[..found.len().min(neighbours)]
    };
    let rows = (0..shown).flat_map(nearest).map(|neighbour| neighbour.row);
    let rows = rows.collect();
    let own = |query| (queries, query);
    let query_images = thumbnails((0..shown).collect(), own, "drawing queries", monitor)?;
    let other = |row| (gallery, row);
    let gallery_images = thumbnails(rows, other, "drawing neighbours", monitor)?;
    let without_image = missing(&query_images) + missing(&gallery_images);

    let list = html! {
        ol.neighbours {
            @for query in 0..shown {
                li {
                    (query_tile(result, query, query_images[&query].as_ref()))
                    @for (rank, neighbour) in nearest(query).iter().enumerate() {
                        (neighbour_tile(result, query, rank + 1, neighbour, gallery_images[&neighbour.row].as_ref()))
                    }
                    @if nearest(query).is_empty() { p.quiet { "No neighbours" } }
                }
            }
        }
    };
    let section = Section {
        id: "queries",
        heading: match shown < queries.count() {
            true => format!("The first {shown} of {} queries", queries.count()),
            false => format!("Queries ({shown})"),
        },
        body: html! {
            (legend(result, shown))
            (list)
        },
    };
    let page = Page {
        kind: "search",
        title: format!("Search in {}", gallery.origin.display()),
        summary: html! {
            p { (queries.count()) " queries, " (gallery.count()) " images in the gallery, "
                "Euclidean distances of embeddings with " (queries.dim) " numbers" }
            @if let Some(network) = network { p { "Embedded by " (network) } }
        },
        sections: vec![section],
        script: "",
    };
    Ok(SearchPage {
        html: page.to_html(),
        queries: shown,
        neighbours,
        without_image,
    })
}

/// How to read the tiles.
fn legend(result: &SearchResult, shown: usize) -> Markup {
    let mut verdicts = (0..shown).flat_map(|query| {
        let neighbours = result.neighbours(query).iter();
        neighbours.map(move |neighbour| result.is_right(query, neighbour.row))
    });
    let has_verdict = verdicts.any(|right| right.is_some());
    html! {
        p.quiet {
            "Each row is a query, then its nearest images with their distances."
            @if has_verdict {
                " ✓ and a green frame: the class of the query. ✗ and a dashed red frame: another class."
            }
        }
    }
}

fn query_tile(result: &SearchResult, query: usize, image: Option<&Thumbnail>) -> Markup {
    let name = result.queries().name(query);
    let class = result.class_of_query(query);
    let class = class.map(|class| class.to_string());
    let tile = Tile {
        text: match &class {
            Some(class) => format!("query {name}, class {class}"),
            None => format!("query {name}"),
        },
        name,
        lines: vec![class.unwrap_or("query".into())],
        image,
        is_query: true,
        is_right: None,
    };
    tile.markup()
}

fn neighbour_tile(
    result: &SearchResult,
    query: usize,
    rank: usize,
    neighbour: &Neighbour,
    image: Option<&Thumbnail>,
) -> Markup {
    let name = result.gallery().name(neighbour.row);
    let class = result.gallery().class(neighbour.row);
    let class = class.map(|class| class.to_string());
    let is_right = result.is_right(query, neighbour.row);
    let verdict = match is_right {
        Some(true) => ", the same class",
        Some(false) => ", another class",
        None => "",
    };
    let of_class = class.as_ref().map(|class| format!(", class {class}"));
    let of_class = of_class.unwrap_or_default();
    let tile = Tile {
        text: format!("neighbour {rank}: {name}{of_class}{verdict}"),
        name,
        lines: class
            .into_iter()
            .chain([format!("{:.4}", neighbour.distance)])
            .collect(),
        image,
        is_query: false,
        is_right,
    };
    tile.markup()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::embedding_file::NamedEmbeddings;
    use crate::inference::search::{EmbeddedImages, SearchSets, search};

    type B = burn_flex::Flex;

    /// Images on a line that alternate between two classes, in files of `folder` if it is given.
    fn found(count: usize, k: usize, folder: Option<&Path>) -> SearchResult {
        let path = |i: usize| match folder {
            Some(folder) => {
                let path = folder.join(format!("<b>{i}.png"));
                let picture = image::RgbImage::from_pixel(30, 20, image::Rgb([i as u8, 99, 0]));
                picture.save(&path).unwrap();
                path.to_str().unwrap().to_string()
            }
            None => String::new(),
        };
        let embedded = NamedEmbeddings {
            rows: (0..count).map(|i| i as f32).collect(),
            dim: 1,
            labels: (0..count).map(|i| i as i64 % 2).collect(),
            paths: (0..count).map(path).collect(),
            classes: vec!["cats & dogs".into(), "cows".into()],
        };
        let queries = EmbeddedImages::from_images(Path::new("photos"), embedded);
        let sets = SearchSets {
            queries,
            gallery: None,
        };
        search::<B>(sets, k, &Default::default(), Monitor::none()).unwrap()
    }

    #[test]
    fn tiles_have_images_texts_and_signs_of_their_classes() {
        let folder = tempfile::tempdir().unwrap();
        let result = found(4, 2, Some(folder.path()));
        let page = search_page(&result, Some("run at epoch 3"), Monitor::none()).unwrap();
        assert_eq!(
            (page.queries, page.neighbours, page.without_image),
            (4, 2, 0)
        );
        let count = |text: &str| page.html.matches(text).count();
        assert_eq!(count("<img "), 12);
        assert_eq!(count("alt=\"query "), 4);
        assert_eq!((count("tile right"), count("✓</span>")), (2, 2));
        assert_eq!((count("tile wrong"), count("✗</span>")), (6, 6));
        assert!(page.html.contains("&lt;b&gt;0.png") && !page.html.contains("<b>"));
        assert!(page.html.contains("class cats &amp; dogs, another class"));
        assert!(page.html.contains("Embedded by run at epoch 3"));
    }

    #[test]
    fn images_without_a_path_have_a_text() {
        let page = search_page(&found(3, 1, None), None, Monitor::none()).unwrap();
        // Three queries, and the two that are nearest to others.
        assert_eq!(page.without_image, 5);
        assert!(!page.html.contains("<img "));
        assert!(
            page.html
                .contains("aria-label=\"query row 0, class cats &amp; dogs\"")
        );
    }

    #[test]
    fn large_searches_show_the_first_queries() {
        let page = search_page(&found(500, 200, None), None, Monitor::none()).unwrap();
        assert_eq!((page.queries, page.neighbours), (23, 50));
        assert!(page.html.contains("The first 23 of 500 queries"));
    }
}
