//! A contact sheet: one row of thumbnails for each of some classes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, Rgb, RgbImage, imageops};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use thiserror::Error;

use super::dataset_survey::{Contents, DatasetSurvey};
use crate::cancellation::Cancelled;
use crate::data::datasets::{Entry, Subset};
use crate::data::image_file::ImageError;
use crate::data::resize::with_longer_side;
use crate::data::split::Split;
use crate::progress::{Monitor, Task, Unit};
use crate::temporary_files;

/// Side of a thumbnail in pixels.
pub(crate) const THUMBNAIL: u32 = 112;
/// Width of the lines between and around thumbnails, in pixels.
const GAP: u32 = 2;
/// The background of a row.
const PAPER: Rgb<u8> = Rgb([255; 3]);
/// The quality of a sheet as JPEG, 1 to 100.
const JPEG_QUALITY: u8 = 92;
const LINE: Rgb<u8> = Rgb([221; 3]);
/// The colour of the placeholder of an image that cannot be read.
const UNREADABLE: Rgb<u8> = Rgb([128; 3]);

/// The layout of a contact sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetLayout {
    /// Rows, one per class, at least 1. The sheet has fewer if the dataset has fewer classes.
    pub classes: usize,
    /// Columns, one per image, at least 1. The rest of a row is white if the class has fewer images.
    pub images: usize,
    /// Seed that draws classes and images.
    pub seed: u64,
}

/// A contact sheet and the images that it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactSheet {
    /// The sheet: letterboxed square thumbnails of 112 px, with lines of 2 px between and around them.
    pub picture: RgbImage,
    /// Its rows from top to bottom.
    pub rows: Vec<SheetRow>,
}

/// A class on a contact sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SheetRow {
    /// `train`, `validation` or `test`.
    pub split: &'static str,
    /// The class's name.
    pub class: String,
    /// The names of the images, from left to right.
    pub images: Vec<String>,
    /// Number of images that cannot be read. They are shown as a grey square.
    pub unreadable: usize,
}

/// A class whose images can be drawn.
enum DrawnClass<'a> {
    Files {
        subset: Subset,
        name: &'a str,
        images: &'a [Entry],
    },
    Memory {
        split: &'a Split,
        name: &'a str,
        images: Vec<usize>,
    },
}

impl DatasetSurvey {
    /// Draws classes of all splits and images of each at random, and arranges their thumbnails.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn contact_sheet(
        &self,
        layout: SheetLayout,
        monitor: Monitor<'_>,
    ) -> Result<ContactSheet, Cancelled> {
        let classes = self.drawn_classes();
        let mut rng = ChaCha8Rng::seed_from_u64(layout.seed);
        let chosen = sample(&mut rng, classes.len(), layout.classes.min(classes.len()));
        let [columns, rows] = [layout.images as u32, chosen.len() as u32];
        let shown = |class: usize| layout.images.min(classes[class].len());
        let total = chosen.iter().map(shown).sum();
        let task = monitor.task("drawing the contact sheet", Some(total), Unit::Images);
        let mut sheet = ContactSheet {
            picture: RgbImage::from_pixel(offset(columns), offset(rows), LINE),
            rows: Vec::new(),
        };
        for (row, class) in chosen.into_iter().map(|index| &classes[index]).enumerate() {
            let count = layout.images.min(class.len());
            let images = sample(&mut rng, class.len(), count).into_vec();
            for column in 0..columns {
                let [left, top] = [column, row as u32].map(offset).map(i64::from);
                let blank = RgbImage::from_pixel(THUMBNAIL, THUMBNAIL, PAPER);
                imageops::replace(&mut sheet.picture, &blank, left, top);
            }
            sheet.add_row(class, &images, &task)?;
        }
        task.finish();
        Ok(sheet)
    }

    fn drawn_classes(&self) -> Vec<DrawnClass<'_>> {
        match &self.contents {
            Contents::Files(index) => Subset::ALL
                .into_iter()
                .flat_map(|subset| {
                    index
                        .classes(subset)
                        .iter()
                        .map(move |class| (subset, class))
                })
                .map(|(subset, class)| DrawnClass::Files {
                    subset,
                    name: &class.name,
                    images: &class.images,
                })
                .collect(),
            Contents::Memory(splits) => [&splits.train, &splits.test]
                .into_iter()
                .flat_map(classes_of)
                .collect(),
        }
    }
}

fn classes_of(split: &Split) -> Vec<DrawnClass<'_>> {
    let mut images = vec![Vec::new(); split.class_names().len()];
    for (index, &label) in split.labels().iter().enumerate() {
        images[label].push(index);
    }
    let named = split.class_names().iter().zip(images);
    named
        .map(|(name, images)| DrawnClass::Memory {
            split,
            name,
            images,
        })
        .collect()
}

impl DrawnClass<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Files { images, .. } => images.len(),
            Self::Memory { images, .. } => images.len(),
        }
    }

    fn split(&self) -> &'static str {
        match self {
            Self::Files { subset, .. } => subset.name(),
            Self::Memory { split, .. } => split.name(),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Files { name, .. } | Self::Memory { name, .. } => name,
        }
    }

    fn image_name(&self, index: usize) -> String {
        match self {
            Self::Files { images, .. } => images[index].name.clone(),
            Self::Memory { split, images, .. } => split.image_name(images[index]),
        }
    }

    fn image(&self, index: usize) -> Result<RgbImage, ImageError> {
        match self {
            Self::Files { images, .. } => images[index].decode(None),
            Self::Memory { split, images, .. } => split.image(images[index]),
        }
    }
}

impl ContactSheet {
    /// Adds `images` of a class as the next row.
    fn add_row(
        &mut self,
        class: &DrawnClass<'_>,
        images: &[usize],
        task: &Task<'_>,
    ) -> Result<(), Cancelled> {
        let top = offset(self.rows.len() as u32);
        let mut unreadable = 0;
        for (column, &index) in images.iter().enumerate() {
            let thumbnail = class.image(index).map_or_else(
                |_| {
                    unreadable += 1;
                    RgbImage::from_pixel(THUMBNAIL, THUMBNAIL, UNREADABLE)
                },
                |image| thumbnail(&image),
            );
            // Centred in its square.
            let [left, top] = [
                offset(column as u32) + (THUMBNAIL - thumbnail.width()) / 2,
                top + (THUMBNAIL - thumbnail.height()) / 2,
            ];
            imageops::replace(&mut self.picture, &thumbnail, left.into(), top.into());
            task.advance(1)?;
        }
        self.rows.push(SheetRow {
            split: class.split(),
            class: class.name().to_string(),
            images: images.iter().map(|&i| class.image_name(i)).collect(),
            unreadable,
        });
        Ok(())
    }

    /// Writes the sheet as a PNG or JPEG file by the extension of `path`, under a temporary name that is then
    /// renamed.
    ///
    /// # Errors
    /// If the folder is not writable, the disk is full, the file exists, or the extension is another.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let format = sheet_format(path).ok_or_else(|| io::Error::other(OTHER_EXTENSION))?;
        let mut temporary = tempfile::NamedTempFile::new_in(parent_folder(path))?;
        let _registered = temporary_files::register(temporary.path());
        let mut file = io::BufWriter::new(&mut temporary);
        let written = match format {
            ImageFormat::Jpeg => {
                let encoder = JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY);
                self.picture.write_with_encoder(encoder)
            }
            format => self.picture.write_to(&mut file, format),
        };
        written.map_err(io::Error::other)?;
        file.flush()?;
        drop(file);
        temporary.persist_noclobber(path)?;
        Ok(())
    }
}

/// A contact sheet cannot be written to a path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot write the contact sheet {}: {reason}", path.display())]
pub struct SheetPathError {
    /// The path.
    pub path: PathBuf,
    /// The cause, and what to do about it.
    pub reason: &'static str,
}

/// Checks, before any work, that a contact sheet can be written to `path` without overwriting a file.
///
/// # Errors
/// If the file exists, its folder does not, or its extension is not that of a PNG or JPEG file.
pub fn check_sheet_path(path: &Path) -> Result<(), SheetPathError> {
    let reason = if sheet_format(path).is_none() {
        OTHER_EXTENSION
    } else if path.symlink_metadata().is_ok() {
        "the file exists and is not overwritten; choose another name or remove it"
    } else if path.file_name().is_none() || !parent_folder(path).is_dir() {
        "its folder does not exist; create it first"
    } else {
        return Ok(());
    };
    Err(SheetPathError {
        path: path.into(),
        reason,
    })
}

/// The reason for which a name is refused.
const OTHER_EXTENSION: &str =
    "its extension does not name a format that is written; use .png, .jpg or .jpeg";

/// Returns the format that the extension of a sheet names, in either case; `None` if it is another.
fn sheet_format(path: &Path) -> Option<ImageFormat> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "png" => Some(ImageFormat::Png),
        "jpg" | "jpeg" => Some(ImageFormat::Jpeg),
        _ => None,
    }
}

fn parent_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Returns the start of the square `index`, in pixels. For the number of squares, this is the size of
/// the sheet.
fn offset(index: u32) -> u32 {
    GAP + index * (THUMBNAIL + GAP)
}

/// Scales an image so that its longer side is that of a thumbnail. The aspect ratio is kept.
pub(crate) fn thumbnail(image: &RgbImage) -> RgbImage {
    with_longer_side(image, THUMBNAIL)
}
