//! How to convert the images that are not read.

use super::format::FileKind;

const HTML_PAGE: &str = "an HTML page";
const LFS_POINTER: &str = "a Git LFS pointer and not the file that it names";
const UNKNOWN: &str = "a file of an unknown format";

/// Returns what to do about a file that is `found`, as [`FileKind::OtherImage`] or [`describe_other`] names it.
pub(super) fn advice(found: &str) -> String {
    let command = match found {
        "an AVIF image" => "avifdec photo.avif photo.png",
        "a HEIC image" => "heif-convert photo.heic photo.jpg",
        "a JPEG XL image" => "djxl photo.jxl photo.png",
        "a JPEG 2000 image" => "opj_decompress -i photo.jp2 -o photo.png",
        "an SVG drawing" => "rsvg-convert drawing.svg --output drawing.png",
        "a Photoshop image" => "magick 'photo.psd[0]' photo.png",
        "a PNM image" => "magick photo.ppm photo.png",
        raw if raw.starts_with("a camera") => "darktable-cli photo.raw photo.jpg",
        HTML_PAGE => return "download the image again, or remove it".into(),
        LFS_POINTER => return "run `git lfs pull`, or remove it".into(),
        UNKNOWN => return "replace or remove it".into(),
        _ => return "convert it to JPEG or PNG, or remove it".into(),
    };
    format!("convert it to JPEG or PNG, for example with: {command}")
}

/// Returns what a file is that is not an image, as far as its start shows it.
pub(super) fn describe_other(head: &[u8]) -> &'static str {
    debug_assert_eq!(FileKind::of(head), FileKind::NoImage);
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        HTML_PAGE
    } else if text.starts_with(b"version https://git-lfs") {
        LFS_POINTER
    } else {
        UNKNOWN
    }
}
