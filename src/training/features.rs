//! Trainings of a head on features: the length of the network's input, and its standardisation.

use burn::tensor::backend::{AutodiffBackend, Backend};

use super::{RunContext, TrainingError};
use crate::config::Config;
use crate::data::{self, OpenedDataset, Split};
use crate::model::Embedder;
use crate::model::config::MAXIMUM_DIM;
use crate::setting::SettingError;

/// Opens features, whose length the network needs. Returns them with the configuration that has their length;
/// `None` for images, which are opened after the network is created.
///
/// # Errors
/// If the features are invalid, `model.feature_dim` is not their length, or the work is cancelled.
pub(super) fn open_features<B: AutodiffBackend>(
    config: &Config,
    context: &RunContext<B>,
) -> Result<Option<(Config, OpenedDataset)>, TrainingError> {
    if !config.data.source.has_features() {
        return Ok(None);
    }
    let progress = &*context.observer;
    let hold_out = config.hold_out();
    let opened = data::open_uncached(&config.data, hold_out, context.cancellation, progress)?;
    let mut config = config.clone();
    check_length(&config, &opened)?;
    config.model.feature_dim = opened.feature_dim();
    Ok(Some((config, opened)))
}

/// Checks that the features have the length that the configuration gives, if it gives one.
///
/// # Errors
/// If they do not, or are too long.
pub(super) fn check_length(config: &Config, opened: &OpenedDataset) -> Result<(), SettingError> {
    let Some(found) = opened.feature_dim() else {
        return Ok(());
    };
    let root = config.data.source.root().unwrap_or("".as_ref()).display();
    match config.model.feature_dim {
        Some(dim) if dim != found => Err(SettingError::value(
            "model.feature_dim",
            dim as i64,
            format!(
                "the rows of {root} have {found} numbers; give features of the same model, or remove this key"
            ),
        )),
        None if found > MAXIMUM_DIM => Err(SettingError::value(
            "model.feature_dim",
            found as i64,
            format!(
                "the rows of {root} have {found} numbers, and at most {MAXIMUM_DIM} are supported"
            ),
        )),
        _ => Ok(()),
    }
}

/// Checks that the rows of a split have the length that the head of a run takes.
///
/// # Errors
/// If they do not.
pub fn check_feature_dim(config: &Config, split: &Split) -> Result<(), SettingError> {
    match (config.model.feature_dim, split.feature_dim()) {
        (Some(dim), Some(found)) if dim != found => Err(SettingError::value(
            "data.root",
            config
                .data
                .source
                .root()
                .unwrap_or("".as_ref())
                .display()
                .to_string(),
            format!(
                "the rows have {found} numbers, and the head of the run takes {dim}; give features of the same model"
            ),
        )),
        _ => Ok(()),
    }
}

/// Returns an untrained network that standardises by the rows of `train`, if the configuration says so.
pub(super) fn standardized<B: Backend>(mut embedder: Embedder<B>, train: &Split) -> Embedder<B> {
    if let Some(standardization) = embedder.standardization.take() {
        embedder.standardization = Some(match train.feature_moments() {
            Some(moments) => standardization.set(moments.mean, moments.deviation),
            None => standardization,
        });
    }
    embedder
}
