//! Embedding a batch in parts, so that a processor reports progress and can be stopped within it.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::Embedder;
use super::layers::ConvAlgorithm;

/// Pixels that a processor embeds before it reports progress: eight images of 224 × 224, a third of a
/// second of GoogLeNet on two cores.
#[cfg(not(test))]
const PART_PIXELS: usize = 8 * 224 * 224;

/// Smaller in tests, so that small batches have several parts.
#[cfg(test)]
const PART_PIXELS: usize = tests::PART * tests::SIDE * tests::SIDE;

impl<B: Backend> Embedder<B> {
    /// The embeddings of [`forward`](Self::forward), or with `mirror` of
    /// [`forward_mirrored`](Self::forward_mirrored), bit by bit. A processor computes the features of a
    /// few images at a time and calls `after_part` with their number, so that progress can be reported
    /// and a stop takes less than a second.
    ///
    /// # Errors
    /// The first error of `after_part`, which ends the computation.
    pub fn forward_in_parts<E>(
        &self,
        images: Tensor<B, 4>,
        mirror: bool,
        after_part: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Tensor<B, 2>, E> {
        let (features, mirrored) = self.pooled_features_in_parts(images, mirror, after_part)?;
        let embeddings = self.embed(features);
        Ok(match mirrored {
            None => embeddings,
            Some(mirrored) => self.scaled((embeddings + self.embed(mirrored)) / 2.0),
        })
    }

    /// The [`pooled_features`](Self::pooled_features) of images and, with `mirror`, of their mirror
    /// images, computed in parts as in [`forward_in_parts`](Self::forward_in_parts).
    ///
    /// # Errors
    /// The first error of `after_part`, which ends the computation.
    pub fn pooled_features_in_parts<E>(
        &self,
        images: Tensor<B, 4>,
        mirror: bool,
        mut after_part: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(Tensor<B, 2>, Option<Tensor<B, 2>>), E> {
        const WIDTH: isize = 3;
        let (mut features, mut mirrored) = (Vec::new(), Vec::new());
        let mut start = 0;
        for size in self.part_sizes(&images, 1 + usize::from(mirror)) {
            let part = images.clone().narrow(0, start, size);
            start += size;
            if mirror {
                mirrored.push(self.pooled_features(part.clone().flip([WIDTH])));
            }
            features.push(self.pooled_features(part));
            after_part(size)?;
        }
        let joined = |parts: Vec<Tensor<B, 2>>| Tensor::cat(parts, 0);
        Ok((joined(features), mirror.then(|| joined(mirrored))))
    }

    /// The sizes of the parts that `images` are divided into, if each is computed `passes` times. GPUs
    /// compute a batch as a whole, and batch norms in training need all of it.
    fn part_sizes(&self, images: &Tensor<B, 4>, passes: usize) -> Vec<usize> {
        let [count, _, height, width] = images.dims();
        if self.algorithm() == ConvAlgorithm::Backend || B::ad_enabled(&images.device()) {
            return vec![count];
        }
        let most = (PART_PIXELS / (height * width * passes)).max(1);
        let parts = count.div_ceil(most).max(1);
        let start = |part: usize| part * count / parts;
        (0..parts)
            .map(|part| start(part + 1) - start(part))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::module::AutodiffModule;

    use super::*;
    use crate::model::config::Backbone;
    use crate::model::embedder::tests::{config, images, values};

    type B = burn_flex::Flex;
    type AB = Autodiff<B>;

    /// Images of a part. Matrices of few rows are multiplied with other rounding: here the last map has
    /// more than 64 positions, as parts of large images have.
    pub(super) const PART: usize = 16;
    /// Side of an image.
    pub(super) const SIDE: usize = 24;

    #[test]
    fn parts_have_the_bits_of_the_whole_batch() {
        let embedder = config(Backbone::Conv4).init::<B>(&Default::default());
        for (mirror, count) in [(false, 2 * PART), (true, PART)] {
            let images = images::<B>(count, SIDE);
            let whole = match mirror {
                true => embedder.forward_mirrored(images.clone()),
                false => embedder.forward(images.clone()),
            };
            let mut parts = Vec::new();
            let joined = embedder.forward_in_parts(images, mirror, |size| {
                parts.push(size);
                Ok::<(), ()>(())
            });
            assert_eq!(values(joined.unwrap()), values(whole));
            assert_eq!(parts, [count / 2; 2]);
        }
    }

    #[test]
    fn error_after_a_part_ends_the_embedding() {
        let embedder = config(Backbone::Conv4).init::<B>(&Default::default());
        let mut parts = Vec::new();
        let result = embedder.forward_in_parts(images::<B>(3, 3 * SIDE), false, |size| {
            parts.push(size);
            if parts.len() == 2 {
                Err("stop")
            } else {
                Ok(())
            }
        });
        assert_eq!(result.err(), Some("stop"));
        assert_eq!(parts, [1, 1]);
    }

    #[test]
    fn only_a_processor_without_autodiff_divides_a_batch() {
        let images = images::<AB>(3 * PART, SIDE);
        let embedder = config(Backbone::Conv4).init::<AB>(&Default::default());
        assert_eq!(embedder.part_sizes(&images, 1), [3 * PART]);
        let images = images.inner();
        let embedder = embedder.valid();
        assert_eq!(embedder.part_sizes(&images, 1), [PART; 3]);
        let on_gpu = config(Backbone::Conv4).with_algorithm(ConvAlgorithm::Backend);
        let embedder = on_gpu.init::<B>(&Default::default());
        assert_eq!(embedder.part_sizes(&images, 1), [3 * PART]);
    }
}
