//! Embedded colour profiles (ICC): from the profile's colours to sRGB.
//!
//! The rendering intent is perceptual, as in Pillow's `ImageCms.profileToProfile`, with the black point
//! compensation that LittleCMS adds to it. A profile that is broken, or whose colour space is not that of the
//! image, is ignored, as browsers do. Most profiles are sRGB, which needs no transform.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use moxcms::{
    ColorProfile, DataColorSpace, Layout, ProfileVersion, Transform8BitExecutor, TransformOptions,
};

use crate::bounded_read::MIB;
use crate::panic_capture::catch_quietly;

/// The largest profile that is used, in bytes. Profiles of printers, the largest ones, have up to 3 MB.
pub(super) const MAXIMUM_PROFILE_BYTES: usize = 4 * MIB as usize;
/// Profiles whose transforms are kept. A dataset has few: those of the cameras and editors.
const KEPT_PROFILES: usize = 8;
/// The largest difference between a colour and its transform, in levels, for the profile to be sRGB. The
/// sRGB profiles in use differ from each other by one level.
const SRGB_TOLERANCE: u8 = 1;

/// What the values of a pixel are, 8 bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PixelKind {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
    /// 255 for full ink.
    Cmyk,
}

impl PixelKind {
    fn color_space(self) -> DataColorSpace {
        match self {
            Self::Gray | Self::GrayAlpha => DataColorSpace::Gray,
            Self::Rgb | Self::Rgba => DataColorSpace::Rgb,
            Self::Cmyk => DataColorSpace::Cmyk,
        }
    }

    /// Returns the layouts before and after the transform.
    fn layouts(self) -> (Layout, Layout) {
        match self {
            Self::Gray => (Layout::Gray, Layout::Rgb),
            Self::GrayAlpha => (Layout::GrayAlpha, Layout::Rgba),
            Self::Rgb => (Layout::Rgb, Layout::Rgb),
            // moxcms uses the layout with four values for CMYK too.
            Self::Rgba => (Layout::Rgba, Layout::Rgba),
            Self::Cmyk => (Layout::Rgba, Layout::Rgb),
        }
    }
}

/// A transform from the colours of a profile to sRGB.
#[derive(Clone)]
pub(super) struct ColorTransform {
    executor: Arc<Transform8BitExecutor>,
    /// Values of the target.
    target_channels: usize,
    /// The values after black point compensation.
    compensated: Option<[u8; 256]>,
}

/// A profile, the colours it was used for, and the transform, if there is one.
type KeptTransform = (Vec<u8>, PixelKind, Option<ColorTransform>);

static KEPT: Mutex<VecDeque<KeptTransform>> = Mutex::new(VecDeque::new());

impl ColorTransform {
    /// Returns the transform of a profile. `None` if the profile is sRGB, broken, too large or for other
    /// colours.
    pub(super) fn of(profile: &[u8], kind: PixelKind) -> Option<Self> {
        if profile.len() > MAXIMUM_PROFILE_BYTES {
            return None;
        }
        let kept = |all: &VecDeque<KeptTransform>| {
            all.iter()
                .find(|(bytes, of, _)| *of == kind && bytes == profile)
                .map(|(_, _, transform)| transform.clone())
        };
        let lock = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transform) = kept(&lock()) {
            return transform;
        }
        // A profile may be malicious.
        let transform = catch_quietly(|| Self::create(profile, kind)).unwrap_or(None);
        let mut all = lock();
        if kept(&all).is_none() {
            all.truncate(KEPT_PROFILES - 1);
            all.push_front((profile.to_vec(), kind, transform.clone()));
        }
        transform
    }

    fn create(profile: &[u8], kind: PixelKind) -> Option<Self> {
        let profile = ColorProfile::new_from_slice(profile).ok()?;
        if profile.color_space != kind.color_space() {
            return None;
        }
        let (source, target) = kind.layouts();
        let srgb = ColorProfile::new_srgb();
        let options = TransformOptions::default();
        let mut transform = Self {
            executor: (profile.create_transform_8bit(source, &srgb, target, options)).ok()?,
            target_channels: if target == Layout::Rgba { 4 } else { 3 },
            compensated: None,
        };
        // Profiles of version 4 state colours relative to the same black as sRGB's.
        if profile.version() < ProfileVersion::V4_0 {
            transform.compensated = transform.black_point_compensation(kind);
        }
        (!transform.changes_nothing(kind)).then_some(transform)
    }

    /// Returns the values that make the darkest colour black, without changing white. `None` if it is black.
    ///
    /// In linear light, a value v becomes (v − k) / (1 − k), where k is the luminance of the darkest colour.
    fn black_point_compensation(&self, kind: PixelKind) -> Option<[u8; 256]> {
        let mut darkest = [0; 4];
        let target = &mut darkest[..self.target_channels];
        self.apply(
            match kind {
                PixelKind::Gray => &[0],
                PixelKind::GrayAlpha => &[0, 255],
                PixelKind::Rgb => &[0; 3],
                PixelKind::Rgba => &[0, 0, 0, 255],
                PixelKind::Cmyk => &[255; 4],
            },
            target,
        );
        let [red, green, blue, _] = darkest.map(linear);
        let black = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        // Of values that are rounded to 0 and 1 level.
        (black > linear(1)).then(|| {
            std::array::from_fn(|value| {
                let value = (linear(value as u8) - black) / (1.0 - black);
                encoded(value.max(0.0))
            })
        })
    }

    /// Returns whether a grid of colours, or all greys, stay what they are.
    fn changes_nothing(&self, kind: PixelKind) -> bool {
        let steps = || (0..=255_u8).step_by(17);
        let greys = (0..=255).map(|grey| [grey; 3]);
        let values: Vec<[u8; 3]> = match kind {
            PixelKind::Cmyk => return false,
            PixelKind::Gray | PixelKind::GrayAlpha => greys.collect(),
            PixelKind::Rgb | PixelKind::Rgba => steps()
                .flat_map(|r| steps().flat_map(move |g| steps().map(move |b| [r, g, b])))
                .chain(greys)
                .collect(),
        };
        let source: Vec<u8> = match kind {
            PixelKind::Gray => values.iter().map(|rgb| rgb[0]).collect(),
            PixelKind::GrayAlpha => values.iter().flat_map(|rgb| [rgb[0], 255]).collect(),
            PixelKind::Rgba => (values.iter())
                .flat_map(|[r, g, b]| [*r, *g, *b, 255])
                .collect(),
            PixelKind::Rgb | PixelKind::Cmyk => values.concat(),
        };
        let channels = self.target_channels;
        let mut target = vec![0; values.len() * channels];
        self.apply(&source, &mut target);
        let near = |(after, before): (&[u8], &[u8; 3])| {
            (after.iter().zip(before)).all(|(a, b)| a.abs_diff(*b) <= SRGB_TOLERANCE)
        };
        target.chunks_exact(channels).zip(&values).all(near)
    }

    /// Transforms pixels. Alpha is copied.
    ///
    /// # Panics
    /// If `target` has another number of pixels.
    pub(super) fn apply(&self, source: &[u8], target: &mut [u8]) {
        self.executor
            .transform(source, target)
            .expect("both have the same number of pixels");
        if let Some(compensated) = &self.compensated {
            for pixel in target.chunks_exact_mut(self.target_channels) {
                for value in &mut pixel[..3] {
                    *value = compensated[usize::from(*value)];
                }
            }
        }
    }
}

/// Returns the linear light of an sRGB value, between 0 and 1.
fn linear(value: u8) -> f64 {
    let value = f64::from(value) / 255.0;
    match value <= 0.04045 {
        true => value / 12.92,
        false => ((value + 0.055) / 1.055).powf(2.4),
    }
}

/// Returns the sRGB value of linear light between 0 and 1.
fn encoded(light: f64) -> u8 {
    let value = match light <= 0.003_130_8 {
        true => light * 12.92,
        false => 1.055 * light.powf(1.0 / 2.4) - 0.055,
    };
    (value * 255.0).round() as u8
}
