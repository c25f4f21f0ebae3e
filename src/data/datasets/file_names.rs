//! Names of image files.

use std::path::Path;

use crate::data::image_file::ImageError;

/// Extensions of the images that are read, in any case.
const SUPPORTED: [&str; 3] = ["jpg", "jpeg", "png"];
/// Extensions of image files that are an error and not ignored.
const UNSUPPORTED: [&str; 19] = [
    "avif", "bmp", "dng", "exr", "gif", "heic", "heif", "jfif", "jp2", "jxl", "pbm", "pgm", "pnm",
    "ppm", "svg", "tga", "tif", "tiff", "webp",
];

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    extension.to_ascii_lowercase()
}

/// Returns whether the extension is that of a JPEG or PNG file.
pub(super) fn is_image(path: &Path) -> bool {
    SUPPORTED.contains(&extension(path).as_str())
}

/// Refuses an extension of other image formats.
///
/// # Errors
/// [`ImageError::Unsupported`].
pub(super) fn refuse_other_images(path: &Path) -> Result<(), ImageError> {
    let extension = extension(path);
    match UNSUPPORTED.contains(&extension.as_str()) {
        true => Err(unsupported(path)),
        false => Ok(()),
    }
}

/// Returns the error of a file whose extension is not that of a JPEG or PNG file.
pub(super) fn unsupported(path: &Path) -> ImageError {
    let found = match extension(path).as_str() {
        "" => "a file without extension".to_string(),
        extension => format!("a .{extension} image"),
    };
    ImageError::Unsupported {
        path: path.into(),
        found,
    }
}

/// Returns the path below `root` with `/` as separator, so that names are the same on every machine.
pub(super) fn name_below(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
