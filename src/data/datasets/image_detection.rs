//! Which files are images. Where the suffix is that of an image or of another well-known kind of file, it
//! decides, so that listing a folder of a hundred thousand `.jpg` files opens none of them. Any other file,
//! such as `photo.jpg_large` or `0001`, is opened, and its first bytes decide.
//!
//! A file counts as an image if it is of any image format. The check of image files then reports a format
//! that is not read, by its content: a `.heic` file is often a JPEG.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::data::image_file::{FileKind, ImageError, MAGIC_BYTES, RAW_EXTENSIONS};

/// Suffixes of images, in lower case.
const IMAGES: [&str; 35] = [
    "avif", "bmp", "dds", "dib", "exr", "gif", "hdr", "heic", "heics", "heif", "j2k", "jfif",
    "jif", "jp2", "jpe", "jpeg", "jpf", "jpg", "jpx", "jxl", "pbm", "pgm", "pjp", "pjpeg", "png",
    "pnm", "ppm", "psd", "qoi", "svg", "svgz", "tga", "tif", "tiff", "webp",
];
/// Ends of the names of backups and of unfinished downloads, in lower case. They may be images, but are not the
/// ones that a user wants.
const BACKUPS: [&str; 10] = [
    "~",
    ".bak",
    ".orig",
    "_original",
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".tmp",
    ".swp",
];
/// Suffixes of files that are no images, in lower case.
const OTHER_FILES: [&str; 62] = [
    "7z",
    "avi",
    "bin",
    "bz2",
    "c",
    "cfg",
    "ckpt",
    "cpp",
    "css",
    "csv",
    "db",
    "doc",
    "docx",
    "gz",
    "h5",
    "hdf5",
    "htm",
    "html",
    "ini",
    "ipynb",
    "js",
    "json",
    "jsonl",
    "lmdb",
    "lock",
    "log",
    "m4a",
    "mat",
    "md",
    "mdb",
    "mkv",
    "mov",
    "mp3",
    "mp4",
    "npy",
    "npz",
    "onnx",
    "parquet",
    "pdf",
    "pickle",
    "pkl",
    "pt",
    "pth",
    "py",
    "rar",
    "rst",
    "safetensors",
    "sh",
    "sqlite",
    "tar",
    "tex",
    "tgz",
    "toml",
    "tsv",
    "txt",
    "wav",
    "webm",
    "xml",
    "xz",
    "yaml",
    "yml",
    "zip",
];

/// Whether a file is an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Detection {
    /// An image, of a format that is read or of another.
    Image,
    /// An image that cannot be used, or a file that cannot be opened to find out.
    Refused(ImageError),
    /// Another file.
    NoImage,
}

impl Detection {
    /// Returns whether the file is an image, also one that cannot be used.
    pub(super) fn is_image(&self) -> bool {
        matches!(
            self,
            Self::Image | Self::Refused(ImageError::Unsupported { .. })
        )
    }
}

/// What the suffix of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suffix {
    Image,
    RawImage,
    OtherFile,
    Unknown,
}

impl Suffix {
    fn of(path: &Path) -> Self {
        let suffix = suffix(path);
        let is_in = |suffixes: &[&str]| suffixes.contains(&suffix.as_str());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_lowercase();
        if BACKUPS.iter().any(|end| name.ends_with(end)) {
            Self::OtherFile
        } else if is_in(&IMAGES) {
            Self::Image
        } else if is_in(&RAW_EXTENSIONS) {
            Self::RawImage
        } else if is_in(&OTHER_FILES) {
            Self::OtherFile
        } else {
            Self::Unknown
        }
    }
}

fn suffix(path: &Path) -> String {
    let suffix = path.extension().unwrap_or_default().to_string_lossy();
    suffix.to_ascii_lowercase()
}

/// Returns whether the existing file `path` is an image. Opens it if the suffix does not say so.
pub(super) fn detect(path: &Path) -> Detection {
    match Suffix::of(path) {
        Suffix::Image => Detection::Image,
        Suffix::RawImage => Detection::Refused(raw_image(path)),
        Suffix::OtherFile => Detection::NoImage,
        Suffix::Unknown => match head(path).map(|head| FileKind::of(&head)) {
            Ok(FileKind::Image(_) | FileKind::OtherImage(_)) => Detection::Image,
            Ok(FileKind::NoImage) => Detection::NoImage,
            Err(error) => Detection::Refused(ImageError::unreadable(path, &error)),
        },
    }
}

/// Returns whether the name of a file, which may not exist, allows an image.
pub(super) fn may_be_image(path: &Path) -> bool {
    Suffix::of(path) != Suffix::OtherFile
}

/// Refuses a camera's raw file, by its name.
///
/// # Errors
/// [`ImageError::Unsupported`].
pub(super) fn refuse_raw_image(path: &Path) -> Result<(), ImageError> {
    match Suffix::of(path) {
        Suffix::RawImage => Err(raw_image(path)),
        _ => Ok(()),
    }
}

fn raw_image(path: &Path) -> ImageError {
    ImageError::Unsupported {
        path: path.into(),
        found: format!("a camera's raw image (.{})", suffix(path)),
    }
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(MAGIC_BYTES);
    File::open(path)?
        .take(MAGIC_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::Tree;
    use super::*;

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF";

    #[test]
    fn suffixes_of_images_and_of_other_files_are_not_opened() {
        for name in [
            "a.jpg", "a.JPEG", "a.jpe", "a.jif", "a.jfif", "a.pjpeg", "a.PNG", "a.webp", "a.gif",
            "a.bmp", "a.dib", "a.tif", "a.tiff", "a.avif", "a.heic", "a.jxl",
        ] {
            let path = Path::new("/nowhere").join(name);
            assert_eq!(detect(&path), Detection::Image, "{name}");
        }
        for name in [
            "a.txt",
            "a.CSV",
            "a.json",
            "a.zip",
            "a.jpg~",
            "a.jpg.BAK",
            "a.jpg_original",
            "a.jpg.part",
        ] {
            let path = Path::new("/nowhere").join(name);
            assert_eq!(detect(&path), Detection::NoImage, "{name}");
            assert!(!may_be_image(&path));
        }
        assert!(may_be_image(Path::new("0001")));
    }

    #[test]
    fn other_files_are_images_by_their_content() {
        let tree = Tree::new();
        for (name, content, expected) in [
            ("0001", JPEG, Detection::Image),
            ("a.jpg_large", JPEG, Detection::Image),
            ("a.jpg:orig", JPEG, Detection::Image),
            (
                "new",
                b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
                Detection::Image,
            ),
            ("README", b"BM means bitmap", Detection::NoImage),
            ("empty", b"", Detection::NoImage),
        ] {
            tree.write(name, content);
            assert_eq!(detect(&tree.root().join(name)), expected, "{name}");
        }
        let unreadable = detect(&tree.root().join("nowhere"));
        assert!(
            matches!(unreadable, Detection::Refused(_)),
            "{unreadable:?}"
        );
    }

    #[test]
    fn raw_images_are_refused_by_name_since_they_contain_thumbnails() {
        let tree = Tree::new();
        tree.write("a.NEF", b"MM\0*\0\0\0\x08");
        let path = tree.root().join("a.NEF");
        let error = refuse_raw_image(&path).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("a.NEF is a camera's raw image (.nef)"),
            "{message}"
        );
        assert_eq!(detect(&path), Detection::Refused(error));
        assert_eq!(refuse_raw_image(Path::new("a.tiff")), Ok(()));
    }
}
