//! The source of a split: images in files or memory, or features.

use std::path::Path;

use image::RgbImage;

use super::image_file::ImageError;

/// The images of a split.
pub trait Images: Send + Sync {
    /// Decodes image `index` to 8 bit RGB. Worker threads call this.
    ///
    /// If `min_side` is given, the image may be decoded at a reduced size whose shorter side has at
    /// least `min_side` pixels.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    fn image(&self, index: usize, min_side: Option<u32>) -> Result<RgbImage, ImageError>;

    /// Returns width and height in pixels of image `index`, possibly exchanged, from the header of its file if it has
    /// one.
    ///
    /// # Errors
    /// If the file cannot be read or is no image.
    fn size(&self, index: usize) -> Result<(u32, u32), ImageError> {
        Ok(self.image(index, None)?.dimensions())
    }

    /// Returns the name of image `index`: its path below the dataset's root, with its bounding box if it has one
    /// (`a.jpg#12,4,200,180`), or a unique name if it has no file.
    fn name(&self, index: usize) -> String;

    /// Returns the features of row `index` if the source has features instead of pictures. Then
    /// [`image`](Self::image) always fails.
    fn features(&self, _index: usize) -> Option<&[f32]> {
        None
    }

    /// Returns the file of image `index`, or `None` for an image in memory.
    fn path(&self, _index: usize) -> Option<&Path> {
        None
    }
}
