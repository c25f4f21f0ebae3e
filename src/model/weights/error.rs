//! Errors of weights files.

use std::fmt;
use std::path::{Path, PathBuf};

use super::download::DownloadError;
use super::other_file::OtherFile;
use super::unsupported::UnsupportedTensor;
use crate::shorten::shorten;

/// Why weights could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file does not exist.
    #[error(
        "weights file {} does not exist; correct model.weights, which takes a file, imagenet or imagenet-v2",
        path.display()
    )]
    NotFound {
        /// The configured path.
        path: PathBuf,
    },
    /// The file is not a weights file.
    #[error("{} {file}", path.display())]
    OtherFile {
        /// The configured path.
        path: PathBuf,
        /// What it is.
        file: OtherFile,
    },
    /// The file is damaged, or has something that is not read.
    #[error("cannot read weights from {}: {reason}", path.display())]
    Unreadable {
        /// The configured path.
        path: PathBuf,
        /// The reader's message, with what to do.
        reason: String,
    },
    /// The network in the file is a pickled object.
    #[error(
        "the entry `{name}` of {} is a pickled object of the class {}, which only its Python code can \
         read; save its tensors with torch.save(checkpoint[\"{name}\"].state_dict(), \"weights.pth\")",
        path.display(), shorten(class)
    )]
    Object {
        /// The configured path.
        path: PathBuf,
        /// The name of the entry.
        name: String,
        /// The object's class.
        class: String,
    },
    /// The file has several networks that are the backbone.
    #[error(
        "{} has the backbone's tensors {} times, named {}; save those to use in a separate file{}",
        path.display(), prefixes.len(), list_prefixes(prefixes), save_entry(key.as_deref())
    )]
    Ambiguous {
        /// The configured path.
        path: PathBuf,
        /// The prefixes of their names.
        prefixes: Vec<String>,
        /// The key of the entry of the checkpoint that has the first of them alone, if there is one.
        key: Option<String>,
    },
    /// A tensor of the backbone is not one of floating-point numbers.
    #[error("{} of {} is {kind}", shorten(tensor), path.display())]
    Unsupported {
        /// The configured path.
        path: PathBuf,
        /// The name in the file.
        tensor: String,
        /// What it is.
        kind: UnsupportedTensor,
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
    /// A variance is negative.
    #[error(
        "the variances {} of {} have a value below 0; download the file again, or save it again: it is \
         damaged, or was changed after training",
        shorten(tensor), path.display()
    )]
    NegativeVariance {
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
            "{}, and {}; is it a file for another backbone?",
            lacks(),
            has("")
        ),
    }
}

/// Describes prefixes of names.
fn list_prefixes(prefixes: &[String]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
    format_list(&prefixes)
}

/// An example that saves the entry `key` of a checkpoint.
fn save_entry(key: Option<&str>) -> String {
    let save = |key: &str| {
        let key = shorten(key);
        format!(
            ", such as torch.save(torch.load(FILE, weights_only=False)[\"{key}\"], \"weights.pth\")"
        )
    };
    key.map(save).unwrap_or_default()
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
