//! A contact sheet: one row of thumbnails for each of some classes, to see what is in a dataset.

use std::io;
use std::path::Path;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{ImageFormat, Rgb, RgbImage, imageops};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Contents, DatasetSurvey};
use crate::data::datasets::index::{Entry, Subset};
use crate::data::{DataError, Split, read_image_file};

/// Subset of a thumbnail in pixels.
const THUMBNAIL: u32 = 112;
/// Width of the lines between and around thumbnails, in pixels.
const GAP: u32 = 2;
const PAPER: Rgb<u8> = Rgb([255; 3]);
const LINE: Rgb<u8> = Rgb([221; 3]);
/// What stands in for an image that cannot be read.
const UNREADABLE: Rgb<u8> = Rgb([128; 3]);

/// Which thumbnails a contact sheet shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetLayout {
    /// Classes, one a row, from 1; fewer where the dataset has fewer.
    pub classes: usize,
    /// Images of a class, one a column, from 1; the rest of the row stays white where it has fewer.
    pub images: usize,
    /// Seed by which classes and images are drawn.
    pub seed: u64,
}

/// A contact sheet, with what it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactSheet {
    /// The sheet: thumbnails of 112 px square, letterboxed, with lines of 2 px between and around.
    pub picture: RgbImage,
    /// Its rows from above.
    pub rows: Vec<SheetRow>,
}

/// A class on a contact sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SheetRow {
    /// `train` or `test`.
    pub split: &'static str,
    /// The class's name.
    pub class: String,
    /// The names of the images shown, from the left.
    pub images: Vec<String>,
    /// How many of them cannot be read; a grey square stands in.
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
    /// Draws classes of both splits and images of each at random, and lays out their thumbnails.
    pub fn contact_sheet(&self, layout: SheetLayout) -> ContactSheet {
        let classes = self.drawn_classes();
        let mut rng = ChaCha8Rng::seed_from_u64(layout.seed);
        let chosen = sample(&mut rng, classes.len(), layout.classes.min(classes.len()));
        let [columns, rows] = [layout.images as u32, chosen.len() as u32];
        let mut sheet = ContactSheet {
            picture: RgbImage::from_pixel(place(columns), place(rows), LINE),
            rows: Vec::new(),
        };
        for (row, class) in chosen.into_iter().map(|index| &classes[index]).enumerate() {
            let count = layout.images.min(class.len());
            let images = sample(&mut rng, class.len(), count).into_vec();
            for column in 0..columns {
                let [left, top] = [column, row as u32].map(place).map(i64::from);
                let blank = RgbImage::from_pixel(THUMBNAIL, THUMBNAIL, PAPER);
                imageops::replace(&mut sheet.picture, &blank, left, top);
            }
            sheet.add_row(class, &images);
        }
        sheet
    }

    fn drawn_classes(&self) -> Vec<DrawnClass<'_>> {
        match &self.contents {
            Contents::Files(index) => [Subset::Train, Subset::Test]
                .into_iter()
                .flat_map(|subset| {
                    index
                        .subset(subset)
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

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        match self {
            Self::Files { images, .. } => read_image_file(&images[index].path),
            Self::Memory { split, images, .. } => split.image(images[index]),
        }
    }
}

impl ContactSheet {
    /// Adds `images` of a class as the next row.
    fn add_row(&mut self, class: &DrawnClass<'_>, images: &[usize]) {
        let top = place(self.rows.len() as u32);
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
                place(column as u32) + (THUMBNAIL - thumbnail.width()) / 2,
                top + (THUMBNAIL - thumbnail.height()) / 2,
            ];
            imageops::replace(&mut self.picture, &thumbnail, left.into(), top.into());
        }
        self.rows.push(SheetRow {
            split: class.split(),
            class: class.name().to_string(),
            images: images.iter().map(|&i| class.image_name(i)).collect(),
            unreadable,
        });
    }

    /// Writes the sheet as a PNG file: under a temporary name beside it, then renamed.
    ///
    /// # Errors
    /// When the folder cannot be written to, the disk is full, or a file of this name exists.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut temporary = tempfile::NamedTempFile::new_in(folder_of(path))?;
        self.picture
            .write_to(&mut io::BufWriter::new(&mut temporary), ImageFormat::Png)
            .map_err(io::Error::other)?;
        temporary.persist_noclobber(path)?;
        Ok(())
    }
}

/// Makes sure, before any work, that a contact sheet can be written to `path` without overwriting
/// anything.
///
/// # Errors
/// [`DataError::SheetPath`]: something of this name exists, or its folder does not.
pub fn check_sheet_path(path: &Path) -> Result<(), DataError> {
    let reason = if path.symlink_metadata().is_ok() {
        "it exists and is not overwritten; choose another name or remove it"
    } else if path.file_name().is_none() || !folder_of(path).is_dir() {
        "its folder does not exist; make it first"
    } else {
        return Ok(());
    };
    Err(DataError::SheetPath {
        path: path.into(),
        reason,
    })
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Where the `index`th square begins, in pixels; with the number of squares, where the sheet ends.
fn place(index: u32) -> u32 {
    GAP + index * (THUMBNAIL + GAP)
}

/// The image with its longer side scaled to that of a thumbnail, aspect kept.
fn thumbnail(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let longer = f64::from(width.max(height));
    let [to_width, to_height] = [width, height]
        .map(|side| (f64::from(side * THUMBNAIL) / longer).round() as u32)
        .map(|side| side.max(1));
    let source = ImageRef::new(width, height, image.as_raw(), PixelType::U8x3)
        .expect("an RgbImage has three bytes per pixel");
    let mut target = Image::new(to_width, to_height, PixelType::U8x3);
    let bilinear = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new()
        .resize(&source, &mut target, &bilinear)
        .expect("both images have the same pixel type and no crop was asked for");
    RgbImage::from_raw(to_width, to_height, target.into_vec())
        .expect("the target has three bytes per pixel")
}
