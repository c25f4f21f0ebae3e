//! A fine-grained dataset drawn from a seed: light figures with holes on a dark background.
//!
//! A class is defined by a **shape**: a closed curve r(θ) = 1 + Σ aₕ cos(hθ + φₕ), h = 2 … 6, and one to
//! three round holes in it. Everything else differs between images: position, size, rotation, both
//! colours, the gradient and stripes of the background, and noise. Colours make up the larger part of a
//! pixel distance, so the nearest image by pixels is seldom of the same class, and a network must learn
//! to ignore them. Flipping is a valid augmentation, since no class is the mirror image of another.
//!
//! Every image is a function of (drawing seed, class, instance) alone.

mod background;
mod figure;

use std::sync::Arc;

use image::RgbImage;

use super::error::DatasetError;
use crate::data::config::SyntheticConfig;
use crate::data::image_file::ImageError;
use crate::data::images::Images;
use crate::data::parallel::{Cancelled, in_parallel_until};
use crate::data::split::{Split, Splits};
use crate::progress::{Monitor, Task, Unit};
use figure::Figure;

/// Draws both splits: the first half of the classes is the training split, the second the test split.
///
/// # Errors
/// If a key is out of its range, or the work is cancelled.
pub(super) fn open(
    config: &SyntheticConfig,
    workers: usize,
    monitor: Monitor<'_>,
) -> Result<Splits, DatasetError> {
    config.check()?;
    let half = config.classes / 2;
    let count = 2 * half * config.images_per_class;
    let task = monitor.task("drawing images", Some(count), Unit::Images);
    let splits = Splits::new(
        draw_split("train", config, 0, half, workers, &task)?,
        draw_split("test", config, half, half, workers, &task)?,
    );
    task.finish();
    Ok(splits)
}

struct Drawings {
    first_class: usize,
    images_per_class: usize,
    images: Vec<RgbImage>,
}

impl Images for Drawings {
    fn image(&self, index: usize, _min_side: Option<u32>) -> Result<RgbImage, ImageError> {
        Ok(self.images[index].clone())
    }

    fn name(&self, index: usize) -> String {
        let class = self.first_class + index / self.images_per_class;
        format!("{}/{}", class_name(class), index % self.images_per_class)
    }
}

fn class_name(class: usize) -> String {
    format!("figure-{class:03}")
}

fn draw_split(
    name: &'static str,
    config: &SyntheticConfig,
    first_class: usize,
    classes: usize,
    workers: usize,
    task: &Task<'_>,
) -> Result<Split, Cancelled> {
    let &SyntheticConfig {
        images_per_class,
        drawing_seed,
        ..
    } = config;
    let figures: Vec<Figure> = (first_class..first_class + classes)
        .map(|class| Figure::for_class(drawing_seed, class))
        .collect();
    let images = in_parallel_until(task, workers, classes * images_per_class, |i| {
        let (class, instance) = (i / images_per_class, i % images_per_class);
        figures[class].draw(drawing_seed, first_class + class, instance)
    })?;
    Ok(Split::new(
        name,
        (first_class..first_class + classes)
            .map(class_name)
            .collect(),
        (0..classes * images_per_class)
            .map(|i| i / images_per_class)
            .collect(),
        Arc::new(Drawings {
            first_class,
            images_per_class,
            images,
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancellation::CancellationToken;
    use crate::data::config::TransformConfig;
    use crate::data::transform::Transform;
    use crate::progress::test_observer::RecordingObserver;

    fn draw(classes: usize, images_per_class: usize, drawing_seed: u64, workers: usize) -> Splits {
        let config = SyntheticConfig {
            classes,
            images_per_class,
            drawing_seed,
        };
        open(&config, workers, Monitor::none()).unwrap()
    }

    #[test]
    fn drawings_of_both_splits_are_counted_and_cancellation_ends_them() {
        let config = SyntheticConfig {
            classes: 4,
            images_per_class: 5,
            drawing_seed: 1,
        };
        let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
        open(&config, 2, Monitor::new(&token, &observer)).unwrap();
        assert_eq!(observer.task("drawing images"), Some((20, Some(20), true)));

        let observer = RecordingObserver::cancelling("drawing images", &token);
        let result = open(&config, 2, Monitor::new(&token, &observer));
        assert_eq!(result.unwrap_err(), DatasetError::Cancelled);
        assert_eq!(observer.task("drawing images"), Some((0, Some(20), false)));
    }

    fn images(split: &Split) -> Vec<RgbImage> {
        (0..split.labels().len())
            .map(|i| split.image(i).unwrap())
            .collect()
    }

    #[test]
    fn drawings_depend_only_on_the_seed() {
        let once = draw(4, 3, 5, 1);
        assert_eq!(images(&once.test), images(&draw(4, 3, 5, 3).test));
        assert_ne!(images(&once.test), images(&draw(4, 3, 6, 1).test));
        // More images per class do not change the others.
        let more = draw(4, 5, 5, 2);
        assert_eq!(once.test.image(4).unwrap(), more.test.image(6).unwrap());
    }

    #[test]
    fn both_splits_have_different_classes() {
        let splits = draw(6, 2, 1, 2);
        assert_eq!(
            splits.train.class_names(),
            ["figure-000", "figure-001", "figure-002"]
        );
        assert_eq!(
            splits.test.class_names(),
            ["figure-003", "figure-004", "figure-005"]
        );
        assert_eq!(splits.test.labels(), [0, 0, 1, 1, 2, 2]);
        assert_eq!(splits.test.image_name(5), "figure-005/1");
    }

    #[test]
    fn nearest_pixels_do_not_solve_the_default_dataset() {
        let splits = open(&SyntheticConfig::default(), 2, Monitor::none()).unwrap();
        let transform = Transform::new(&TransformConfig::default()).unwrap();
        let labels = splits.test.labels();
        let pixels: Vec<Vec<f32>> = images(&splits.test)
            .iter()
            .map(|image| {
                let mut values = vec![0.0; transform.values_per_image()];
                transform.normalize(&transform.test(image), &mut values);
                values
            })
            .collect();
        let squared = |a: &[f32], b: &[f32]| -> f32 {
            // Sixteen running sums, which the compiler vectorises.
            let mut sums = [0.0_f32; 16];
            for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
                for i in 0..16 {
                    sums[i] += (a[i] - b[i]) * (a[i] - b[i]);
                }
            }
            sums.iter().sum()
        };
        // Every eighth image is a query against all others.
        let queries: Vec<usize> = (0..pixels.len()).step_by(8).collect();
        let hits = queries.iter().filter(|&&query| {
            let others = (0..pixels.len()).filter(|&i| i != query);
            let nearest = others.min_by(|&a, &b| {
                squared(&pixels[query], &pixels[a]).total_cmp(&squared(&pixels[query], &pixels[b]))
            });
            labels[nearest.unwrap()] == labels[query]
        });
        let recall = hits.count() as f64 / queries.len() as f64;
        assert!(
            (0.05..0.4).contains(&recall),
            "R@1 of raw pixels is {recall}"
        );
    }

    #[test]
    fn odd_or_too_few_classes_and_single_images_are_refused() {
        for (classes, images_per_class, key) in [
            (5, 4, "data.classes = 5"),
            (2, 4, "data.classes = 2"),
            (8, 1, "data.images_per_class = 1"),
        ] {
            let config = SyntheticConfig {
                classes,
                images_per_class,
                drawing_seed: 1,
            };
            let message = open(&config, 1, Monitor::none()).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }
}
