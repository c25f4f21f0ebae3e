//! The contents of an image cache and how to build it.

use std::path::Path;
use std::sync::Arc;

use crate::cancellation::CancellationToken;
use crate::data::images::Images;
use crate::data::resize::ResizeSpec;
use crate::progress::{Monitor, ProgressObserver};

/// The images of a cache and how to build it.
#[derive(Clone, Copy)]
pub(in crate::data) struct CacheSpec<'a> {
    /// The images.
    pub(in crate::data) images: &'a Arc<dyn Images>,
    /// Number of images.
    pub(in crate::data) count: usize,
    /// Name of the split, for messages.
    pub(in crate::data) split: &'a str,
    /// How to build the cache.
    pub(in crate::data) options: CacheOptions<'a>,
}

/// How to build a cache.
#[derive(Clone, Copy)]
pub(in crate::data) struct CacheOptions<'a> {
    /// The folder of the caches, created if it does not exist.
    pub(in crate::data) folder: &'a Path,
    /// The resizes that the transform needs of each image.
    pub(in crate::data) resizes: &'a [ResizeSpec],
    /// Shorter side, in pixels, that DCT-scaled decoding must keep. `None` to decode at full size.
    pub(in crate::data) min_side: Option<u32>,
    /// Whether an image that cannot be read is left out instead of being an error.
    pub(in crate::data) skip_broken: bool,
    /// Threads that decode and verify.
    pub(in crate::data) workers: usize,
    /// Checked several times a second.
    pub(in crate::data) cancellation: &'a CancellationToken,
    /// Reports decoded images.
    pub(in crate::data) progress: &'a dyn ProgressObserver,
}

impl<'a> CacheOptions<'a> {
    pub(super) fn monitor(&self) -> Monitor<'a> {
        Monitor::new(self.cancellation, self.progress)
    }
}
