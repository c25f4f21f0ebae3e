//! Errors of weights files.

use std::fmt;
use std::path::{Path, PathBuf};

use super::download::DownloadError;
use crate::shorten::shorten;

/// Why weights could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file does not exist.
    #[error("weights file {0} does not exist; correct model.weights", path.display())]
    NotFound {
        /// The configured path.
        path: PathBuf,
    },
    /// The name does not end in `.pth`, `.pt` or `.safetensors`.
    #[error("{0} has an unknown extension; model.weights takes a .pth, .pt or .safetensors file, or imagenet", path.display())]
    UnknownFormat {
        /// The configured path.
        path: PathBuf,
    },
    /// The file does not have the format of its name, or is damaged.
    #[error("cannot read weights from {0}: {reason}; save a state dictionary with torch.save(model.state_dict(), …), or use .safetensors", path.display())]
    Unreadable {
        /// The configured path.
        path: PathBuf,
        /// The reader's message.
        reason: String,
    },
    /// The file lacks weights of the backbone, or has others, or both.
    #[error("{0} {1}", path.display(), wrong_names(missing, unknown))]
    Names {
        /// The configured path.
        path: PathBuf,
        /// Names that are missing in the file, in alphabetical order.
        missing: Vec<String>,
        /// Names that are not the backbone's, in alphabetical order.
        unknown: Vec<String>,
    },
    /// Tensors have other shapes than the backbone's.
    #[error("{0} has {1} tensors whose shapes differ from the backbone's: {2}; is it a file for another backbone?", path.display(), tensors.len(), format_list(tensors))]
    Shapes {
        /// The configured path.
        path: PathBuf,
        /// All mismatches, in the backbone's order.
        tensors: Vec<ShapeMismatch>,
    },
    /// A tensor has an infinite value or NaN.
    #[error("the tensor {} of {} has an infinite value or NaN; download the file again, or save it from an epoch before its training diverged", shorten(tensor), path.display())]
    NotFinite {
        /// The configured path.
        path: PathBuf,
        /// The name in the file.
        tensor: String,
    },
    /// Published weights are not available.
    #[error(transparent)]
    Published(#[from] DownloadError),
}

/// A tensor of a weights file whose shape differs from the backbone's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// The name in the file.
    pub key: String,
    /// The shape in the file.
    pub found: Vec<usize>,
    /// The backbone's shape, in PyTorch's order of axes.
    pub expected: Vec<usize>,
}

impl fmt::Display for ShapeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            found,
            expected,
        } = self;
        write!(f, "{key} {found:?} instead of {expected:?}")
    }
}

/// Describes wrong names in a file. At least one of the lists is not empty.
fn wrong_names(missing: &[String], unknown: &[String]) -> String {
    let lacks = || {
        format!(
            "lacks {} of the backbone's tensors: {}",
            missing.len(),
            format_list(missing)
        )
    };
    let has = |tensors: &str| {
        let (count, names) = (unknown.len(), format_list(unknown));
        format!("has {count} {tensors}that the backbone does not have: {names}")
    };
    match (missing, unknown) {
        (_, []) => lacks() + "; is it a file for another backbone?",
        ([], _) => has("tensors ") + "; is it a file for another backbone?",
        _ => format!(
            "{}, and {}; is it a file for another backbone, or do its names have a prefix, such as \
             `module.`, that must be removed?",
            lacks(),
            has("")
        ),
    }
}

/// The first items of a list, long ones shortened, and the number of further items.
pub(crate) fn format_list(items: &[impl fmt::Display]) -> String {
    const SHOWN: usize = 4;
    let shown = items.iter().take(SHOWN).map(ToString::to_string);
    let shown = shown.map(|item| shorten(&item).into_owned());
    let shown = shown.collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The error of a file at `path` that cannot be read.
pub(super) fn unreadable(path: &Path, reason: impl fmt::Display) -> WeightsError {
    WeightsError::Unreadable {
        path: path.into(),
        reason: reason.to_string(),
    }
}
