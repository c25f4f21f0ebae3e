//! How an image becomes the network's input.

use serde::{Deserialize, Serialize};

/// Keys of `[data]` that say how an image becomes the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransformConfig {
    /// Side of the network's square input, in pixels (227 in the published recipe).
    pub image_size: usize,
    /// Side of the square from which a random crop of `image_size` is cut in training, in pixels, at
    /// least `image_size` (255 in the published recipe).
    pub resize: usize,
    /// Share of training images that are cropped instead of being resized directly to `image_size`
    /// (½ in the published recipe), 0 to 1.
    pub crop_probability: f64,
    /// Random resized crops: range of a crop's share of the image's area, within 0 to 1. The image is
    /// first resized to a shorter side of `resize`. If absent: crops of `image_size` from the `resize`
    /// square, as published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_scale: Option<[f64; 2]>,
    /// Range of a random resized crop's width divided by its height, above 0.
    pub crop_ratio: [f64; 2],
    /// Share of training images that are flipped horizontally (½ in the published recipe), 0 to 1.
    pub flip_probability: f64,
    /// Brightness is multiplied by 1 − b to 1 + b, b from 0 (off, as published).
    pub brightness: f64,
    /// Contrast is multiplied by 1 − c to 1 + c, c from 0 (off).
    pub contrast: f64,
    /// Saturation is multiplied by 1 − s to 1 + s, s from 0 (off).
    pub saturation: f64,
    /// The hue is rotated by up to h turns in either direction, h from 0 (off) to ½.
    pub hue: f64,
    /// Share of training images that are converted to grey, 0 (off) to 1.
    pub grey_probability: f64,
    /// Share of training images that are blurred, 0 (off) to 1.
    pub blur_probability: f64,
    /// Range of the blur's standard deviation in pixels of the network's input, above 0.
    pub blur_sigma: [f64; 2],
    /// Share of training images in which a rectangle is filled with the mean colour, 0 (off) to 1.
    pub erase_probability: f64,
    /// Range of the rectangle's share of the area, above 0 and below 1.
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
    pub std: [f32; 3],
}

impl Default for TransformConfig {
    fn default() -> Self {
        Self {
            image_size: 32,
            resize: 36,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvalResize {
    /// Resized directly; the aspect ratio is not kept, as published.
    #[default]
    Direct,
    /// Resized to a shorter side of `data.resize`, then cropped to the middle.
    CenterCrop,
}
