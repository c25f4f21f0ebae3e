//! How the images of batches are uploaded to a device.

use burn::tensor::backend::Backend;

/// In what form, and by which thread, the images of a batch are uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadMode {
    /// As normalised `f32`, for a processor: its tensors take the values of the workers without a copy.
    Normalized,
    /// As bytes, which are normalised on the device: a quarter of the data. The thread that takes a batch uploads it.
    ///
    /// For backends that fuse: an upload from another thread would be inserted between the operations of the training
    /// thread at a random place, and each place makes other fused blocks.
    Bytes,
    /// As bytes, by a thread of the loader, one batch ahead of the thread that takes the batches.
    BytesAhead,
}

/// A device, and how images are uploaded to it.
#[derive(Debug, Clone)]
pub struct ImageUpload<B: Backend> {
    /// The device.
    pub device: B::Device,
    /// The mode of the upload.
    pub mode: UploadMode,
}

impl UploadMode {
    /// Returns the number of bytes that are uploaded for a batch of `images` of `side` × `side` pixels. Labels are 4
    /// bytes each, and only training uploads them.
    ///
    /// `Normalized` uploads nothing.
    pub fn bytes(self, images: usize, side: usize) -> usize {
        match self {
            Self::Normalized => 0,
            Self::Bytes | Self::BytesAhead => (images * 3 * side * side).next_multiple_of(4),
        }
    }
}
