//! A contact sheet of the worst queries with their neighbours.

use std::fmt::Write;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, Rgb, RgbImage, imageops};
use rayon::prelude::*;

use crate::data::Split;
use crate::data::survey::{THUMBNAIL, thumbnail};
use crate::escape::escaped;
use crate::training::validation::WorstQuery;

/// Width of the coloured frame around a thumbnail, in pixels.
const FRAME: u32 = 4;
/// Side of a thumbnail with its frame.
const CELL: u32 = THUMBNAIL + 2 * FRAME;
const COLUMNS: u32 = 3;
/// The quality of the sheet, 1 to 100.
const JPEG_QUALITY: u8 = 75;

const QUERY: Rgb<u8> = Rgb([221; 3]);
const WRONG: Rgb<u8> = Rgb([204, 51, 17]);
const RIGHT: Rgb<u8> = Rgb([0, 158, 115]);
const PAPER: Rgb<u8> = Rgb([255; 3]);
/// The colour of the placeholder of an image that cannot be read.
const UNREADABLE: Rgb<u8> = Rgb([128; 3]);

/// A sheet with a row for each of the worst queries: the query, its nearest image of another class, and its
/// nearest image of the same class.
pub(super) struct QuerySheet {
    /// The sheet as a JPEG file.
    pub(super) jpeg: Vec<u8>,
    /// Width and height in pixels.
    pub(super) size: [u32; 2],
    /// The names of its images, as a table in Markdown.
    pub(super) table: String,
}

impl QuerySheet {
    /// Draws `queries` of `split`, at least one. Also returns why images could not be read, which are grey.
    ///
    /// # Errors
    /// If the sheet cannot be encoded.
    pub(super) fn draw(
        split: &Split,
        queries: &[WorstQuery],
    ) -> Result<(Self, Vec<String>), ImageError> {
        let cells: Vec<(usize, Rgb<u8>)> = queries
            .iter()
            .flat_map(|worst| {
                let [wrong, right] = [worst.negative, worst.positive].map(|near| near.image);
                [(worst.query, QUERY), (wrong, WRONG), (right, RIGHT)]
            })
            .collect();
        let pictures: Vec<Result<RgbImage, String>> = cells
            .par_iter()
            .map(|&(image, _)| {
                let picture = split.reduced_image(image, THUMBNAIL);
                picture
                    .map(|picture| thumbnail(&picture))
                    .map_err(|error| format!("{}: {error}", split.image_name(image)))
            })
            .collect();
        let size = [COLUMNS * CELL, queries.len() as u32 * CELL];
        let mut sheet = RgbImage::from_pixel(size[0], size[1], PAPER);
        let mut unreadable = Vec::new();
        for (number, (picture, (_, color))) in pictures.into_iter().zip(&cells).enumerate() {
            let number = number as u32;
            let [left, top] = [number % COLUMNS, number / COLUMNS].map(|cell| cell * CELL);
            let picture = picture.unwrap_or_else(|cause| {
                unreadable.push(cause);
                RgbImage::from_pixel(THUMBNAIL, THUMBNAIL, UNREADABLE)
            });
            let mut place = |picture: &RgbImage| {
                let [left, top] = [
                    left + (CELL - picture.width()) / 2,
                    top + (CELL - picture.height()) / 2,
                ];
                imageops::replace(&mut sheet, picture, left.into(), top.into());
            };
            place(&RgbImage::from_pixel(CELL, CELL, *color));
            place(&RgbImage::from_pixel(THUMBNAIL, THUMBNAIL, PAPER));
            place(&picture);
        }
        let mut jpeg = Vec::new();
        sheet.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY))?;
        let table = table(split, queries);
        Ok((Self { jpeg, size, table }, unreadable))
    }
}

/// The names of the images of `queries`, with distances and ranks.
fn table(split: &Split, queries: &[WorstQuery]) -> String {
    let mut table =
        "| query | nearest of another class | nearest of the same class | rank of the latter |\n\
                     | --- | --- | --- | --- |\n"
            .to_string();
    for worst in queries {
        let name = |image: usize| in_markdown(&split.image_name(image));
        writeln!(
            table,
            "| {} | {} ({:.3}) | {} ({:.3}) | {} |",
            name(worst.query),
            name(worst.negative.image),
            worst.negative.distance,
            name(worst.positive.image),
            worst.positive.distance,
            worst.rank
        )
        .expect("a string can be written");
    }
    table
}

/// A name whose characters have no meaning in Markdown or HTML.
fn in_markdown(name: &str) -> String {
    let mut text = String::new();
    for c in escaped(name).to_string().chars() {
        match c {
            '/' | '.' | '-' | ' ' => text.push(c),
            c if c.is_alphanumeric() => text.push(c),
            c => write!(text, "&#{};", u32::from(c)).expect("a string can be written"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_neither_markdown_nor_html() {
        assert_eq!(in_markdown("a/b-1.jpg"), "a/b-1.jpg");
        assert_eq!(in_markdown("<b>|*_`"), "&#60;b&#62;&#124;&#42;&#95;&#96;");
        assert!(!in_markdown("a\nb").contains('\n'));
    }
}
