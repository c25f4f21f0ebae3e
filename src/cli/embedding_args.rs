//! Options of the commands that embed images with a saved network.

use clap::Args;

use super::values::{MAXIMUM_BATCH_SIZE, whole_number};
use crate::config::Config;
use crate::data::config::BrokenImages;
use crate::model::config::Backbone;
use crate::setting::SettingError;

/// How images are embedded.
#[derive(Debug, Clone, Args)]
pub(super) struct EmbeddingArgs {
    /// Average the embeddings of each image and its mirror image [default: as in the run]
    #[arg(long)]
    mirror: bool,
    /// Skip and report images that cannot be read [default: as in the run]
    #[arg(long)]
    skip_broken: bool,
    /// Number of images embedded at once [default: that of the run]
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>(1..=MAXIMUM_BATCH_SIZE), allow_negative_numbers = true)]
    batch_size: Option<usize>,
}

impl EmbeddingArgs {
    /// Changes the configuration of the network accordingly.
    ///
    /// # Errors
    /// If an option has no effect with the network.
    pub(super) fn apply(&self, config: &mut Config) -> Result<(), SettingError> {
        check_mirror(self.mirror, config)?;
        config.evaluation.mirror |= self.mirror;
        if let Some(size) = self.batch_size {
            config.evaluation.batch_size = size;
        }
        if self.skip_broken {
            config.data.loading.broken_images = BrokenImages::Skip;
        }
        Ok(())
    }
}

/// Checks that `--mirror` is not given for a head on features, which have no mirror image.
///
/// # Errors
/// If it is.
pub(super) fn check_mirror(mirror: bool, config: &Config) -> Result<(), SettingError> {
    match mirror && config.model.backbone == Backbone::None {
        true => Err(SettingError::NotApplicable {
            key: "--mirror".into(),
            chosen: "a head on features".into(),
        }),
        false => Ok(()),
    }
}
