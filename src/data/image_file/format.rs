//! The format of an image file, by its content. Suffixes are often wrong or missing.

use std::path::Path;

use image::ImageFormat;

/// Bytes at the start of a file that [`FileKind::of`] needs.
pub(crate) const MAGIC_BYTES: usize = 256;
/// What raw images of cameras are called. Most are TIFF files whose only plain image is a thumbnail.
pub(super) const CAMERA_RAW: &str = "a camera raw image";
/// Extensions of camera raw images that are TIFF files.
pub(crate) const RAW_EXTENSIONS: [&str; 21] = [
    "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "iiq", "kdc", "mef", "mrw", "nef",
    "nrw", "orf", "pef", "raf", "rw2", "sr2", "srw", "x3f",
];

/// What a file contains, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// An image of a format that is read.
    Image(ImageFormat),
    /// An image of a format that is not read: its name, with an article.
    OtherImage(&'static str),
    /// Anything else.
    NoImage,
}

impl FileKind {
    /// Returns the kind of the file `path` that starts with `head`. Its extension distinguishes raw images of cameras
    /// from other TIFF files.
    pub(crate) fn of_file(path: &Path, head: &[u8]) -> Self {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let raw = || RAW_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str());
        match Self::of(head) {
            Self::Image(ImageFormat::Tiff) if raw() => Self::OtherImage(CAMERA_RAW),
            kind => kind,
        }
    }

    /// Returns the kind of the file that starts with `head`, which has [`MAGIC_BYTES`] or the whole file.
    pub(crate) fn of(head: &[u8]) -> Self {
        if let Some(name) = container_brand(head) {
            return Self::OtherImage(name);
        }
        if let Some((_, name)) = OTHER_IMAGES
            .iter()
            .find(|(magic, _)| head.starts_with(magic))
        {
            return Self::OtherImage(name);
        }
        match head {
            [0xff, 0xd8, 0xff, ..] => Self::Image(ImageFormat::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => {
                Self::Image(ImageFormat::Png)
            }
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Image(ImageFormat::Gif),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Self::Image(ImageFormat::WebP),
            // Canon's.
            [b'I', b'I', b'*', 0, _, _, _, _, b'C', b'R', ..] => Self::OtherImage(CAMERA_RAW),
            // The second is BigTIFF.
            [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => {
                Self::Image(ImageFormat::Tiff)
            }
            // The length of the header that follows the file's header distinguishes BMP from text that starts
            // with BM.
            [b'B', b'M', rest @ ..] if matches!(rest.get(12..16), Some([12..=124, 0, 0, 0])) => {
                Self::Image(ImageFormat::Bmp)
            }
            [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..] => {
                Self::OtherImage("a PNM image")
            }
            _ if is_svg(head) => Self::OtherImage("an SVG drawing"),
            _ => Self::NoImage,
        }
    }
}

/// Image formats that are not read, by their first bytes.
const OTHER_IMAGES: [(&[u8], &str); 12] = [
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"8BPS\0", "a Photoshop image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"DDS \x7c\0\0\0", "a DDS texture"),
    (b"qoif", "a QOI image"),
    (b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (b"IIRO", CAMERA_RAW),
    (b"IIU\0", CAMERA_RAW),
];

/// Returns the image format of an ISO base media file (`ftyp` box), as AVIF and HEIC files are.
fn container_brand(head: &[u8]) -> Option<&'static str> {
    if head.get(4..8)? != b"ftyp" {
        return None;
    }
    let length = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
    let brands = head.get(8..length.min(head.len()))?;
    let brands = || brands.chunks_exact(4);
    let has = |names: &[&[u8; 4]]| brands().any(|brand| names.iter().any(|name| *name == brand));
    if has(&[b"avif", b"avis"]) {
        Some("an AVIF image")
    } else if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
    ]) {
        Some("a HEIC image")
    } else if has(&[b"crx "]) {
        Some(CAMERA_RAW)
    } else {
        None
    }
}

fn is_svg(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    text.starts_with(b"<svg")
        || (text.starts_with(b"<?xml") && text.windows(4).any(|bytes| bytes == b"<svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_content() {
        let bmp = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0";
        for (head, format) in [
            (&b"\xff\xd8\xff\xe0"[..], ImageFormat::Jpeg),
            (b"\x89PNG\r\n\x1a\n", ImageFormat::Png),
            (b"GIF87a", ImageFormat::Gif),
            (b"RIFF\x24\0\0\0WEBPVP8 ", ImageFormat::WebP),
            (b"II*\0\x08\0\0\0", ImageFormat::Tiff),
            (b"MM\0*\0\0\0\x08", ImageFormat::Tiff),
            (b"II+\0\x08\0\0\0", ImageFormat::Tiff),
            (bmp, ImageFormat::Bmp),
        ] {
            assert_eq!(FileKind::of(head), FileKind::Image(format), "{head:?}");
        }
    }

    #[test]
    fn other_images_are_named_and_other_files_are_no_images() {
        for (head, name) in [
            (
                &b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf"[..],
                "an AVIF image",
            ),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "an AVIF image"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image"),
            (b"\xff\x0a\xfa", "a JPEG XL image"),
            (b"II*\0\x10\0\0\0CR\x02\0", "a camera raw image"),
            (b"P6\n2 2\n255\n", "a PNM image"),
            (b"<?xml version=\"1.0\"?>\n<svg>", "an SVG drawing"),
        ] {
            assert_eq!(FileKind::of(head), FileKind::OtherImage(name), "{head:?}");
        }
        let kind = |name| FileKind::of_file(Path::new(name), b"II*\0\x08\0\0\0");
        assert_eq!(kind("DSC_1.NEF"), FileKind::OtherImage(CAMERA_RAW));
        assert_eq!(kind("scan.tif"), FileKind::Image(ImageFormat::Tiff));
        for head in [
            &b""[..],
            b"BM",
            b"BMW and other cars, listed by year",
            b"<html>",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"\0\0\0\x20ftypisom\0\0\0\0isomiso2",
            b"path,label\n",
        ] {
            assert_eq!(FileKind::of(head), FileKind::NoImage, "{head:?}");
        }
    }
}
