//! The images of a page, decoded on all threads.

use std::collections::{BTreeSet, HashMap};

use image::RgbImage;
use rayon::prelude::*;

use super::evaluated_split::EvaluatedSplit;
use super::thumbnail::{Thumbnail, ThumbnailSpec, shrink};
use crate::cancellation::Cancelled;
use crate::progress::{Monitor, Unit};

/// The name of the task.
const TASK: &str = "drawing thumbnails";

/// The thumbnails of some rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Thumbnails(HashMap<usize, Option<Thumbnail>>);

impl Thumbnails {
    /// Makes the thumbnails of `rows`. An image that cannot be read has none.
    ///
    /// # Errors
    /// If a stop was requested.
    pub(super) fn new(
        evaluated: &EvaluatedSplit,
        rows: impl IntoIterator<Item = usize>,
        spec: ThumbnailSpec,
        monitor: Monitor<'_>,
    ) -> Result<Self, Cancelled> {
        let rows: BTreeSet<usize> = rows.into_iter().collect();
        let task = monitor.task(TASK, Some(rows.len()), Unit::Images);
        let thumbnail = |row: usize| {
            task.advance(1)?;
            let index = evaluated.rows.indices[row];
            let image = evaluated.split.reduced_image(index, spec.side).ok();
            Ok((row, image.map(|image| spec.thumbnail(&image))))
        };
        let drawn = rows
            .into_par_iter()
            .map(thumbnail)
            .collect::<Result<_, _>>()?;
        task.finish();
        Ok(Self(drawn))
    }

    /// The thumbnail of a row; `None` if its image cannot be read.
    pub(super) fn of(&self, row: usize) -> Option<&Thumbnail> {
        self.0.get(&row)?.as_ref()
    }
}

/// The images of `rows`, with sides of at most `side`; `None` for one that cannot be read.
///
/// # Errors
/// If a stop was requested.
pub(super) fn small_images(
    evaluated: &EvaluatedSplit,
    rows: &[usize],
    side: u32,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<RgbImage>>, Cancelled> {
    let task = monitor.task(TASK, Some(rows.len()), Unit::Images);
    let small = |&row: &usize| {
        task.advance(1)?;
        let image = evaluated
            .split
            .reduced_image(evaluated.rows.indices[row], side);
        Ok(image.ok().map(|image| shrink(&image, side)))
    };
    let images = rows.par_iter().map(small).collect::<Result<_, _>>()?;
    task.finish();
    Ok(images)
}
