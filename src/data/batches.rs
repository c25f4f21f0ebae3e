//! A batch of images: as a worker collates it, as it is uploaded, and on the device.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use image::RgbImage;

use super::pixels::{PixelTable, pack};
use super::split::Split;
use super::transform::Transform;
use super::upload::UploadMode;

/// A batch of images, or of rows of features, on the device, with what the host knows of them.
#[derive(Debug, Clone)]
pub struct ImageBatch<B: Backend> {
    /// Normalised images, `[N, 3, S, S]`, or features, `[N, F, 1, 1]`.
    pub images: Tensor<B, 4>,
    /// The label of each image, N of them.
    pub labels: Vec<usize>,
    /// Indices of the images in the split, N of them.
    pub indices: Vec<usize>,
    /// The epoch this batch belongs to, from 1.
    pub epoch: usize,
    /// Whether this is the last batch of the epoch or split.
    pub last: bool,
}

impl<B: Backend> ImageBatch<B> {
    /// Uploads the labels to the device of the images, `[N]`.
    pub fn upload_labels(&self) -> Tensor<B, 1, Int> {
        let labels: Vec<i32> = self.labels.iter().map(|&label| label as i32).collect();
        let count = labels.len();
        Tensor::from_data(TensorData::new(labels, [count]), &self.images.device())
    }
}

/// A transformed image with its index in the split.
pub(super) type TransformedImage = (usize, RgbImage);

/// A batch as a worker collates it.
pub(super) struct HostBatch {
    indices: Vec<usize>,
    pixels: HostPixels,
    /// S, the side of an image; 1 for features.
    side: usize,
}

enum HostPixels {
    /// Normalised values of shape `[N, C, S, S]`, row-major, where C is 3 or the number of features.
    Normalized(Vec<f32>),
    /// Bytes of shape `[N, S, S, 3]`, packed.
    Packed(Vec<i32>),
}

impl HostBatch {
    /// Collates images for an upload. They stay bytes until here, which takes a quarter of the memory and
    /// writes each value once.
    pub(super) fn new(
        images: Vec<TransformedImage>,
        transform: &Transform,
        mode: UploadMode,
    ) -> Self {
        let pixels = match mode {
            UploadMode::Normalized => {
                let length = transform.values_per_image();
                let mut values = vec![0.0; images.len() * length];
                for ((_, image), values) in images.iter().zip(values.chunks_exact_mut(length)) {
                    transform.normalize(image, values);
                }
                HostPixels::Normalized(values)
            }
            UploadMode::Bytes | UploadMode::BytesAhead => {
                let length = transform.values_per_image();
                let bytes = images.iter().map(|(_, image)| &image.as_raw()[..length]);
                HostPixels::Packed(pack(bytes))
            }
        };
        Self {
            indices: images.into_iter().map(|(index, _)| index).collect(),
            pixels,
            side: transform.image_size(),
        }
    }

    /// Gathers rows of features.
    ///
    /// # Panics
    /// If `split` has images.
    pub(super) fn of_features(split: &Split, indices: Vec<usize>) -> Self {
        let mut values = Vec::with_capacity(indices.len() * split.feature_dim().unwrap_or(0));
        for &index in &indices {
            values.extend_from_slice(split.features(index).expect("a row of features"));
        }
        Self {
            indices,
            pixels: HostPixels::Normalized(values),
            side: 1,
        }
    }

    /// Whether there is no image.
    pub(super) fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Uploads the images.
    pub(super) fn upload<B: Backend>(self, device: &B::Device) -> UploadedBatch<B> {
        let (images, side) = (self.indices.len(), self.side);
        let pixels = match self.pixels {
            HostPixels::Normalized(values) => {
                let channels = values.len() / (images * side * side).max(1);
                let values = TensorData::new(values, [images, channels, side, side]);
                DevicePixels::Normalized(Tensor::from_data(values, device))
            }
            HostPixels::Packed(packed) => {
                let words = packed.len();
                let packed = TensorData::new(packed, [words]);
                DevicePixels::Packed(Tensor::from_data(packed, device))
            }
        };
        UploadedBatch {
            indices: self.indices,
            pixels,
            side,
        }
    }
}

/// A batch whose images are on the device, in the form they were uploaded in.
pub(super) struct UploadedBatch<B: Backend> {
    pub(super) indices: Vec<usize>,
    pixels: DevicePixels<B>,
    side: usize,
}

enum DevicePixels<B: Backend> {
    /// `[N, C, S, S]`
    Normalized(Tensor<B, 4>),
    /// Bytes of shape `[N, S, S, 3]`, packed.
    Packed(Tensor<B, 1, Int>),
}

impl<B: Backend> UploadedBatch<B> {
    /// Returns the batch with normalised images and the labels of `split`. `pixel_table` is asked for if bytes were
    /// uploaded.
    pub(super) fn normalize<'n>(
        self,
        split: &Split,
        epoch: usize,
        last: bool,
        pixel_table: impl FnOnce() -> &'n PixelTable<B>,
    ) -> ImageBatch<B> {
        let images = self.indices.len();
        ImageBatch {
            images: match self.pixels {
                DevicePixels::Normalized(images) => images,
                DevicePixels::Packed(packed) => pixel_table().normalize(packed, images, self.side),
            },
            labels: self.indices.iter().map(|&i| split.labels()[i]).collect(),
            indices: self.indices,
            epoch,
            last,
        }
    }
}
