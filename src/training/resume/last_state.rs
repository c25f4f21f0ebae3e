//! The state that a run is resumed from.

use burn::tensor::backend::AutodiffBackend;

use crate::config::Config;
use crate::training::checkpoint::CheckpointPosition;
use crate::training::distributed::share_state;
use crate::training::network::{RestoredState, embedder_config, restore};
use crate::training::run_folder::{EpochRecord, RunFolder, RunFolderError};
use crate::training::{RunContext, TrainingError};

/// [`last_state`] of process 0, which sends it to the other processes.
///
/// # Errors
///
/// In process 0, those of [`last_state`].
pub(super) fn shared_last_state<B: AutodiffBackend>(
    folder: &RunFolder,
    config: &Config,
    history: &[EpochRecord],
    context: &RunContext<B>,
) -> Result<Option<RestoredState<B>>, TrainingError> {
    let group = &context.group;
    let own = match group.is_main() {
        true => last_state(folder, config, history, context)?,
        false => None,
    };
    if !group.any(own.is_some()) {
        return Ok(None);
    }
    let device = &context.compute.device;
    let own = own.unwrap_or_else(|| {
        let embedder = embedder_config(config, context.compute).init(device);
        RestoredState::untrained(embedder, config, device)
    });
    share_state(group, config, own).map(Some)
}

/// The position that a run is resumed from.
pub(in crate::training) fn describe_resumption(position: CheckpointPosition) -> String {
    match position == CheckpointPosition::end_of(0) {
        true => "resumes before the first epoch".to_string(),
        false => format!("resumes after {position}"),
    }
}

/// The state of the last position with a readable checkpoint; `None` if there is no checkpoint yet.
///
/// # Errors
///
/// If there are checkpoints and all are damaged, or if one is of another run.
pub(in crate::training) fn last_state<B: AutodiffBackend>(
    folder: &RunFolder,
    config: &Config,
    history: &[EpochRecord],
    context: &RunContext<B>,
) -> Result<Option<RestoredState<B>>, RunFolderError> {
    let mut damage = None;
    for stored in folder.stored_checkpoints().into_iter().rev() {
        let position = stored.position();
        if position.complete_epochs() >= history.len() {
            damage = damage.or_else(|| {
                Some(RunFolderError::Damaged {
                    path: folder.checkpoint_path(stored),
                    message: format!(
                        "it belongs to {position}, and metrics.jsonl ends with epoch {}",
                        history.len().saturating_sub(1)
                    ),
                })
            });
            continue;
        }
        match restore(folder, config, stored, context.compute) {
            Ok(state) if !state.follows(history) => {
                damage = damage.or_else(|| {
                    Some(RunFolderError::Damaged {
                        path: folder.checkpoint_path(stored),
                        message: "its epochs are not those in metrics.jsonl".to_string(),
                    })
                });
            }
            Ok(state) => {
                if let Some(damage) = damage {
                    tracing::warn!("{damage}; the run resumes from {position}");
                }
                return Ok(Some(state));
            }
            Err(error @ (RunFolderError::Damaged { .. } | RunFolderError::File { .. })) => {
                damage = damage.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = damage {
        let advice = "no other checkpoint can be read; restore one, or start a new run";
        return Err(error.with_advice(advice));
    }
    // The first epoch that is measured is saved before the next one is trained.
    let measured = history.iter().filter(|record| record.recall.is_some());
    if measured.filter(|record| record.epoch > 0).count() > 1 {
        return Err(RunFolderError::Damaged {
            path: folder.checkpoint_folder(),
            message: "the run's checkpoints are missing; restore them, or start a new run".into(),
        });
    }
    Ok(None)
}
