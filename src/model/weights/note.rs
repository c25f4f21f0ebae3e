//! What is said about a weights file that was loaded.

use std::fmt;
use std::path::Path;

use super::error::format_list;
use super::names::is_average;
use super::naming::NamingScheme;

/// How a weights file was read. As text, a clause to be put after the file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightsNote {
    /// The names of the backbone's tensors have this prefix.
    Prefix(String),
    /// Parts of names that wrappers of PyTorch add were removed.
    Wrappers,
    /// The names are another library's.
    Naming(NamingScheme),
    /// Moving averages of the backbone, with these prefixes, are not used.
    Averages(Vec<String>),
    /// Tensors that are not the backbone's.
    Unused {
        /// Their number.
        count: usize,
        /// The first ones.
        names: Vec<String>,
    },
}

impl fmt::Display for WeightsNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => {
                let average = if is_average(prefix) {
                    ", a moving average of the weights"
                } else {
                    ""
                };
                write!(
                    f,
                    "the backbone's tensors are those named {}*{average}",
                    format_list(&[prefix])
                )
            }
            Self::Wrappers => f.write_str(
                "the parts `_orig_mod.`, `_fsdp_wrapped_module.`, `_checkpoint_wrapped_module.` and \
                 `module.` of names are ignored",
            ),
            Self::Naming(NamingScheme::Timm) => f.write_str(
                "its names are timm's; the network is that of tf_efficientnet_lite0. Weights of \
                 efficientnet_lite0 (without tf_) give other features, because its padding and batch \
                 norms differ",
            ),
            Self::Naming(NamingScheme::HuggingFace) => {
                f.write_str("its names are those of Hugging Face's transformers")
            }
            Self::Naming(NamingScheme::Sequential) => {
                f.write_str("its names are the positions in an nn.Sequential of the network's children")
            }
            Self::Naming(NamingScheme::Original) => f.write_str("its names are the original's"),
            Self::Averages(prefixes) => {
                let prefixes: Vec<String> = prefixes.iter().map(|name| format!("{name}*")).collect();
                write!(
                    f,
                    "the moving average of the backbone is not used: {}",
                    format_list(&prefixes)
                )
            }
            Self::Unused { count, names } => {
                let tensors = if *count == 1 { "tensor is" } else { "tensors are" };
                let more = count - names.len();
                write!(f, "{count} other {tensors} not used: {}", format_list(names))?;
                match more {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

impl WeightsNote {
    /// Logs the note about the file at `path`. It is a warning if other weights may have been meant.
    pub(super) fn log(&self, path: &Path) {
        let path = path.display();
        match self {
            Self::Averages(_) | Self::Naming(NamingScheme::Timm) => {
                tracing::warn!("{path}: {self}");
            }
            Self::Prefix(prefix) if is_average(prefix) => tracing::warn!("{path}: {self}"),
            _ => tracing::info!("{path}: {self}"),
        }
    }
}
