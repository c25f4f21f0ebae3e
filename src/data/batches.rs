//! A batch of images, on the host and on the device.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use image::RgbImage;

use super::split::Split;
use super::transform::Transform;

/// A batch of images on the device.
#[derive(Debug, Clone)]
pub struct ImageBatch<B: Backend> {
    /// Normalised images, `[N, 3, S, S]`.
    pub images: Tensor<B, 4>,
    /// Labels, `[N]`.
    pub labels: Tensor<B, 1, Int>,
    /// Indices of the images in the split, N of them.
    pub indices: Vec<usize>,
    /// The epoch this batch belongs to, from 1.
    pub epoch: usize,
    /// Whether this is the last batch of the epoch or split.
    pub last: bool,
}

/// A transformed image with its index in the split.
pub(super) type TransformedImage = (usize, RgbImage);

/// A batch as a worker collates it.
pub(super) struct HostBatch {
    pub(super) indices: Vec<usize>,
    /// Values of shape `[N, 3, S, S]`, row-major.
    values: Vec<f32>,
}

impl HostBatch {
    /// Collates and normalises images. They stay bytes until here, which takes a quarter of the memory
    /// and writes each value once.
    pub(super) fn new(images: Vec<TransformedImage>, transform: &Transform) -> Self {
        let length = transform.values_per_image();
        let mut values = vec![0.0; images.len() * length];
        let mut indices = Vec::with_capacity(images.len());
        for ((index, image), values) in images.into_iter().zip(values.chunks_exact_mut(length)) {
            transform.normalize(&image, values);
            indices.push(index);
        }
        Self { indices, values }
    }

    /// Uploads the batch to the device, with the labels of `split`. `side` is S.
    pub(super) fn upload<B: Backend>(
        self,
        split: &Split,
        side: usize,
        epoch: usize,
        last: bool,
        device: &B::Device,
    ) -> ImageBatch<B> {
        let count = self.indices.len();
        let labels = self.indices.iter().map(|&i| split.labels()[i] as i64);
        let labels: Vec<i64> = labels.collect();
        let images = TensorData::new(self.values, [count, 3, side, side]);
        ImageBatch {
            images: Tensor::from_data(images, device),
            labels: Tensor::from_data(TensorData::new(labels, [count]), device),
            indices: self.indices,
            epoch,
            last,
        }
    }
}
