//! From an image as its file stores it to upright 8 bit RGB.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage, RgbaImage};

use super::color_profile::{ColorTransform, PixelKind};

/// The colour values of a decoded image.
pub(super) enum Pixels {
    /// Grey or RGB, 8 or 16 bit, with or without alpha.
    Plain(DynamicImage),
    /// 8 bit CMYK, 255 for full ink.
    Cmyk { size: (u32, u32), inks: Vec<u8> },
}

/// An image as its file stores it.
pub(super) struct StoredImage {
    pub(super) pixels: Pixels,
    pub(super) orientation: Orientation,
    /// The embedded colour profile (ICC).
    pub(super) profile: Option<Vec<u8>>,
}

impl StoredImage {
    /// Returns the image upright, in 8 bit sRGB. Transparent pixels are blended with white.
    pub(super) fn into_rgb(self) -> RgbImage {
        let profile = self.profile.as_deref();
        let rgb = match self.pixels {
            Pixels::Cmyk { size, inks } => cmyk_to_rgb(size, &inks, profile),
            Pixels::Plain(image) => plain_to_rgb(image, profile),
        };
        if self.orientation == Orientation::NoTransforms {
            return rgb;
        }
        let mut image = DynamicImage::from(rgb);
        image.apply_orientation(self.orientation);
        image.into_rgb8()
    }
}

fn cmyk_to_rgb((width, height): (u32, u32), inks: &[u8], profile: Option<&[u8]>) -> RgbImage {
    let mut rgb = RgbImage::new(width, height);
    match profile.and_then(|profile| ColorTransform::of(profile, PixelKind::Cmyk)) {
        Some(transform) => transform.apply(inks, &mut rgb),
        None => {
            for (rgb, inks) in rgb.chunks_exact_mut(3).zip(inks.chunks_exact(4)) {
                let light = 255 - inks[3];
                for (value, ink) in rgb.iter_mut().zip(inks) {
                    *value = light - rounded_share(*ink, light);
                }
            }
        }
    }
    rgb
}

/// Returns `value * share / 255`, rounded.
fn rounded_share(value: u8, share: u8) -> u8 {
    ((u32::from(value) * u32::from(share) + 127) / 255) as u8
}

fn plain_to_rgb(image: DynamicImage, profile: Option<&[u8]>) -> RgbImage {
    let (grey, alpha) = (!image.color().has_color(), image.color().has_alpha());
    let kind = match (grey, alpha) {
        (true, false) => PixelKind::Gray,
        (true, true) => PixelKind::GrayAlpha,
        (false, false) => PixelKind::Rgb,
        (false, true) => PixelKind::Rgba,
    };
    let transform = profile.and_then(|profile| ColorTransform::of(profile, kind));
    let (width, height) = (image.width(), image.height());
    let Some(transform) = transform else {
        return match alpha {
            true => over_white(&image.into_rgba8()),
            false => image.into_rgb8(),
        };
    };
    let source = match kind {
        PixelKind::Gray => image.into_luma8().into_raw(),
        PixelKind::GrayAlpha => image.into_luma_alpha8().into_raw(),
        PixelKind::Rgba => image.into_rgba8().into_raw(),
        PixelKind::Rgb | PixelKind::Cmyk => image.into_rgb8().into_raw(),
    };
    if alpha {
        let mut rgba = RgbaImage::new(width, height);
        transform.apply(&source, &mut rgba);
        over_white(&rgba)
    } else {
        let mut rgb = RgbImage::new(width, height);
        transform.apply(&source, &mut rgb);
        rgb
    }
}

fn over_white(image: &RgbaImage) -> RgbImage {
    let mut rgb = RgbImage::new(image.width(), image.height());
    for (rgb, rgba) in rgb.chunks_exact_mut(3).zip(image.chunks_exact(4)) {
        let [red, green, blue, alpha] = [rgba[0], rgba[1], rgba[2], rgba[3]].map(u32::from);
        for (value, c) in rgb.iter_mut().zip([red, green, blue]) {
            *value = ((c * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    rgb
}
