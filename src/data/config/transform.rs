//! How an image becomes the network's input.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::setting::items_above_zero;

/// Beyond this side, a single image takes gigabytes in a backbone.
pub(super) const MAXIMUM_IMAGE_SIZE: usize = 2048;
/// Beyond this factor of brightness, contrast or saturation, an image is no longer recognisable.
pub(super) const MAXIMUM_JITTER: f64 = 10.0;
/// The largest ratio of width to height of a crop.
pub(super) const MAXIMUM_RATIO: f64 = 10.0;
/// The largest standard deviation of a blur, in pixels. Larger ones make an image unrecognisable and
/// are slow.
pub(super) const MAXIMUM_SIGMA: f64 = 50.0;

/// Keys of `[data]` that say how an image becomes the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TransformConfig {
    /// Side of the network's square input, in pixels (227 in the published recipe). Backbones have a minimum.
    #[schemars(range(min = 1, max = MAXIMUM_IMAGE_SIZE))]
    pub image_size: usize,
    /// Side of the square from which a random crop of `image_size` is cut in training, in pixels, at
    /// least `image_size`. If absent, it follows `image_size`: 255 for 227, as published, and in proportion
    /// for other sizes, rounded.
    #[schemars(range(min = 1, max = 2 * MAXIMUM_IMAGE_SIZE))]
    pub resize: usize,
    /// Share of training images that are cropped instead of being resized directly to `image_size`
    /// (½ in the published recipe), 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub crop_probability: f64,
    /// Random resized crops: range of a crop's share of the image's area, within 0 to 1. The image is
    /// first resized to a shorter side of `resize`. If absent: crops of `image_size` from the `resize`
    /// square, as published.
    #[schemars(transform = items_above_zero, inner(range(max = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_scale: Option<[f64; 2]>,
    /// Range of a random resized crop's width divided by its height, above 0.
    #[schemars(transform = items_above_zero, inner(range(max = MAXIMUM_RATIO)))]
    pub crop_ratio: [f64; 2],
    /// Share of training images that are flipped horizontally (½ in the published recipe), 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub flip_probability: f64,
    /// Brightness is multiplied by 1 − b to 1 + b, b from 0 (off, as published).
    #[schemars(range(min = 0, max = MAXIMUM_JITTER))]
    pub brightness: f64,
    /// Contrast is multiplied by 1 − c to 1 + c, c from 0 (off).
    #[schemars(range(min = 0, max = MAXIMUM_JITTER))]
    pub contrast: f64,
    /// Saturation is multiplied by 1 − s to 1 + s, s from 0 (off).
    #[schemars(range(min = 0, max = MAXIMUM_JITTER))]
    pub saturation: f64,
    /// The hue is rotated by up to h turns in either direction, h from 0 (off) to ½.
    #[schemars(range(min = 0, max = 0.5))]
    pub hue: f64,
    /// Share of training images that are converted to grey, 0 (off) to 1.
    #[schemars(range(min = 0, max = 1))]
    pub grey_probability: f64,
    /// Share of training images that are blurred, 0 (off) to 1.
    #[schemars(range(min = 0, max = 1))]
    pub blur_probability: f64,
    /// Range of the blur's standard deviation in pixels of the network's input, above 0.
    #[schemars(transform = items_above_zero, inner(range(max = MAXIMUM_SIGMA)))]
    pub blur_sigma: [f64; 2],
    /// Share of training images in which a rectangle is filled with the mean colour, 0 (off) to 1.
    #[schemars(range(min = 0, max = 1))]
    pub erase_probability: f64,
    /// Range of the rectangle's share of the area, above 0 and below 1.
    #[schemars(transform = items_above_zero, inner(range(max = 1)))]
    pub erase_scale: [f64; 2],
    /// How a test image is resized to `image_size`.
    pub eval_resize: EvalResize,
    /// Whether large JPEGs are decoded at a half, a quarter or an eighth of their size, by a smaller
    /// inverse cosine transform. This applies to JPEGs with at least six times the pixels that are
    /// needed in each direction and sides that are divisible by the factor. It takes half the time and
    /// less memory, and changes pixels by up to two levels in the mean.
    pub jpeg_dct_scaling: bool,
    /// Mean that is subtracted from red, green and blue, on the scale 0 to 1 (ImageNet's).
    pub mean: [f32; 3],
    /// Standard deviation that red, green and blue are divided by (ImageNet's), above 0.
    #[schemars(transform = items_above_zero)]
    pub std: [f32; 3],
}

/// The default of `data.image_size`.
const DEFAULT_IMAGE_SIZE: usize = 32;
/// The published sides of the network's input and of the square that it is cut from.
const PUBLISHED_SIDES: (usize, usize) = (227, 255);

/// The keys that a file or an override that changes the first, and does not give the second, resets to the
/// default: a `resize` is given for an `image_size`.
pub(crate) const SIZE_KEYS: (&str, &str) = ("data.image_size", "data.resize");

/// Returns `resize` for an `image_size` if it is not given: in proportion to the published sides, rounded.
pub(super) fn proportional_resize(image_size: usize) -> usize {
    let (input, square) = PUBLISHED_SIDES;
    // Sizes out of range are refused later; they must not overflow here.
    (image_size.saturating_mul(square).saturating_add(input / 2)) / input
}

impl Default for TransformConfig {
    fn default() -> Self {
        Self {
            image_size: DEFAULT_IMAGE_SIZE,
            resize: proportional_resize(DEFAULT_IMAGE_SIZE),
            crop_probability: 0.5,
            crop_scale: None,
            crop_ratio: [3.0 / 4.0, 4.0 / 3.0],
            flip_probability: 0.5,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grey_probability: 0.0,
            blur_probability: 0.0,
            blur_sigma: [0.1, 2.0],
            erase_probability: 0.0,
            erase_scale: [0.02, 0.33],
            eval_resize: EvalResize::default(),
            jpeg_dct_scaling: true,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }
}

/// How a test image is resized to S×S, S = `image_size`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvalResize {
    /// Resized directly; the aspect ratio is not kept, as published.
    #[default]
    Direct,
    /// Resized to a shorter side of `data.resize`, then cropped to the middle.
    CenterCrop,
}
