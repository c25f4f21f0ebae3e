//! A tile: an image with its name, and the sign of its class.

use std::collections::BTreeMap;

use maud::{Markup, html};
use rayon::prelude::*;

use super::thumbnail::{Thumbnail, ThumbnailSpec};
use crate::cancellation::Cancelled;
use crate::inference::search::EmbeddedImages;
use crate::progress::{Monitor, Unit};

/// The size of the images.
const SPEC: ThumbnailSpec = ThumbnailSpec {
    side: 96,
    max_bytes: 5_000,
};

/// An image on a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Tile<'a> {
    /// What it is, for people who do not see it.
    pub(super) text: String,
    /// Its path or row.
    pub(super) name: String,
    /// The lines below its name.
    pub(super) lines: Vec<String>,
    /// Its thumbnail, if it can be shown.
    pub(super) image: Option<&'a Thumbnail>,
    /// Whether it is the first of its row, to which the others are compared.
    pub(super) is_query: bool,
    /// Whether its class is that of the query; `None` if one of the two is not known.
    pub(super) is_right: Option<bool>,
}

impl Tile<'_> {
    /// Returns the tile. The sign of its class is a frame and a character.
    pub(super) fn markup(&self) -> Markup {
        let kind = match (self.is_query, self.is_right) {
            (true, _) => "tile query",
            (false, Some(true)) => "tile right",
            (false, Some(false)) => "tile wrong",
            (false, None) => "tile",
        };
        let sign = self.is_right.filter(|_| !self.is_query);
        html! {
            figure class=(kind) {
                span.frame {
                    @match self.image {
                        Some(image) => img src=(image.uri) width=(image.width) height=(image.height) alt=(self.text);,
                        None => span role="img" aria-label=(self.text) { "no image" },
                    }
                    @if let Some(right) = sign {
                        span.mark aria-hidden="true" { @if right { "✓" } @else { "✗" } }
                    }
                }
                span.name title=(self.name) { (last_name(&self.name)) }
                @for line in &self.lines { span.name title=(line) { (line) } }
            }
        }
    }
}

/// The last name of a path, which distinguishes images.
fn last_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Thumbnails of some images by their numbers; `None` for those that cannot be shown.
pub(super) type Thumbnails = BTreeMap<usize, Option<Thumbnail>>;

/// Reads `numbers` of the images and makes their thumbnails on all threads. `locate` returns the set of an image and
/// its number in it.
///
/// # Errors
/// If a stop was requested.
pub(super) fn thumbnails<'a>(
    mut numbers: Vec<usize>,
    locate: impl Fn(usize) -> (&'a EmbeddedImages, usize) + Sync,
    task: &str,
    monitor: Monitor<'_>,
) -> Result<Thumbnails, Cancelled> {
    numbers.sort_unstable();
    numbers.dedup();
    let task = monitor.task(task, Some(numbers.len()), Unit::Images);
    let thumbnail = |number: usize| {
        task.check()?;
        let (images, index) = locate(number);
        let image = images.image(index, SPEC.side).and_then(Result::ok);
        task.advance(1)?;
        Ok((number, image.map(|image| SPEC.thumbnail(&image))))
    };
    let drawn = numbers.into_par_iter().map(thumbnail).collect();
    task.finish();
    drawn
}

/// Returns the number of thumbnails that cannot be shown.
pub(super) fn missing(thumbnails: &Thumbnails) -> usize {
    thumbnails.values().filter(|image| image.is_none()).count()
}
