//! A batch of images, on the host and on the device.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use image::RgbImage;

use super::{Split, Transform};

/// A batch of images on the device.
#[derive(Debug, Clone)]
pub struct ImageBatch<B: Backend> {
    /// Normalised images, `[N, 3, S, S]`.
    pub images: Tensor<B, 4>,
    /// Labels, `[N]`.
    pub labels: Tensor<B, 1, Int>,
    /// Which images of the split they are, N of them.
    pub indices: Vec<usize>,
    /// The epoch this batch belongs to, from 1.
    pub epoch: usize,
    /// Whether this is the last batch of the epoch or split.
    pub last: bool,
}

/// A transformed image and which of the split it is.
pub(super) type TransformedImage = (usize, RgbImage);

/// A batch as the workers make it.
pub(super) struct HostBatch {
    pub(super) indices: Vec<usize>,
    /// `[N, 3, S, S]` row by row.
    values: Vec<f32>,
}

impl HostBatch {
    /// Puts images together. They travel as bytes until here: a quarter of the memory, and each value
    /// is written once.
    pub(super) fn of(images: Vec<TransformedImage>, transform: &Transform) -> Self {
        let length = transform.values_per_image();
        let mut values = vec![0.0; images.len() * length];
        let mut indices = Vec::with_capacity(images.len());
        for ((index, image), values) in images.into_iter().zip(values.chunks_exact_mut(length)) {
            transform.normalize(&image, values);
            indices.push(index);
        }
        Self { indices, values }
    }

    /// Brings it to the device, with the labels of `split`.
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
