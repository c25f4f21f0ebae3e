//! The neighbours of a search as text and JSON.

use serde_json::{Value, json};

use super::super::CliError;
use super::super::output::{print, print_json, status};
use super::index::IndexUse;
use crate::inference::search::SearchResult;

/// The most characters of a class in the table; longer ones move the rest of their line.
const CLASS_WIDTH: usize = 24;

/// Prints a table for each query: rank, distance, class with ✓ or ✗ if the classes are known, and path.
pub(super) fn print_result(result: &SearchResult, seconds: f64) -> Result<(), CliError> {
    let gallery = result.gallery();
    for query in 0..result.queries().count() {
        if query > 0 {
            print("")?;
        }
        let class = result.class_of_query(query);
        let class = class.map_or(String::new(), |class| format!("  ({class})"));
        print(format_args!("{}{class}", result.queries().name(query)))?;
        let neighbours = result.neighbours(query);
        if neighbours.is_empty() {
            print("  no neighbours")?;
        }
        let classes = neighbours.iter().map(|neighbour| {
            let class = gallery.class(neighbour.row);
            class.map_or(String::new(), |class| class.to_string())
        });
        let classes: Vec<String> = classes.collect();
        let width = classes.iter().map(|class| class.chars().count()).max();
        let width = width.unwrap_or(0).min(CLASS_WIDTH);
        let ranked = neighbours.iter().zip(&classes).zip(1..);
        for ((neighbour, class), rank) in ranked {
            let sign = match result.is_right(query, neighbour.row) {
                Some(true) => "✓ ",
                Some(false) => "✗ ",
                None => "",
            };
            let class = match width {
                0 => String::new(),
                width => format!("{class:width$}  "),
            };
            print(format_args!(
                "{rank:4}  {:9.6}  {sign}{class}{}",
                neighbour.distance,
                gallery.name(neighbour.row)
            ))?;
        }
    }
    status(format_args!(
        "searched {} image(s) among {} images, {} numbers each, in {seconds:.1} s",
        result.queries().count(),
        gallery.count(),
        gallery.dim
    ));
    Ok(())
}

/// Prints one object: `queries`, each with `path`, `row`, `label` and `neighbours`.
pub(super) fn print_result_json(
    result: &SearchResult,
    network: Option<&str>,
    index: Option<IndexUse>,
    seconds: f64,
) -> Result<(), CliError> {
    let (queries, gallery) = (result.queries(), result.gallery());
    let query = |query: usize| -> Value {
        let neighbours = result.neighbours(query).iter();
        let neighbours = neighbours.map(|neighbour| {
            json!({
                "path": gallery.path(neighbour.row),
                "row": neighbour.row,
                "label": gallery.class(neighbour.row),
                "distance": neighbour.distance,
                "right": result.is_right(query, neighbour.row),
            })
        });
        json!({
            "path": queries.path(query),
            "row": query,
            "label": result.class_of_query(query),
            "neighbours": neighbours.collect::<Vec<_>>(),
        })
    };
    print_json(json!({
        "network": network,
        "index": index,
        "gallery": {
            "path": gallery.origin.to_string_lossy(),
            "images": gallery.count(),
            "dim": gallery.dim,
        },
        "queries": (0..queries.count()).map(query).collect::<Vec<_>>(),
        "seconds": seconds,
    }))
}
