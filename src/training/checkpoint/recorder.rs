//! How a checkpoint is written.

use std::fs;
use std::path::PathBuf;

use burn::record::{
    FileRecorder, FullPrecisionSettings, NamedMpkFileRecorder, Record, Recorder, RecorderError,
};
use burn::tensor::backend::Backend;
use serde::{Serialize, de::DeserializeOwned};

use crate::training::run_folder::RunFolderError;

/// Burn's named MessagePack at full precision, written under a temporary name and renamed: a
/// checkpoint file is either complete or absent.
#[derive(Debug, Clone, Default)]
pub struct CheckpointRecorder(NamedMpkFileRecorder<FullPrecisionSettings>);

/// Reads the record in the file `path`, without its extension, and puts its tensors on `device`.
///
/// # Errors
/// If the file is truncated, or is not the record of such a module.
pub(in crate::training) fn read_record<B: Backend, R: Record<B>>(
    path: PathBuf,
    device: &B::Device,
) -> Result<R, RunFolderError> {
    let recorder = CheckpointRecorder::default();
    Recorder::<B>::load(&recorder, path.clone(), device).map_err(|error| {
        let path = path.with_extension(<CheckpointRecorder as FileRecorder<B>>::file_extension());
        tracing::debug!("{}: {error}", path.display());
        RunFolderError::Damaged {
            path,
            message: "it is truncated, or belongs to another network".to_string(),
        }
    })
}

impl<B: Backend> FileRecorder<B> for CheckpointRecorder {
    fn file_extension() -> &'static str {
        <NamedMpkFileRecorder<FullPrecisionSettings> as FileRecorder<B>>::file_extension()
    }
}

impl<B: Backend> Recorder<B> for CheckpointRecorder {
    type Settings = FullPrecisionSettings;
    type RecordArgs = PathBuf;
    type RecordOutput = ();
    type LoadArgs = PathBuf;

    fn save_item<I: Serialize>(&self, item: I, path: PathBuf) -> Result<(), RecorderError> {
        let extension = <Self as FileRecorder<B>>::file_extension();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The leading dot prevents the recorder from taking a part of the name for an extension.
        let temporary = path.with_file_name(format!(".{name}"));
        Recorder::<B>::save_item(&self.0, item, temporary.clone())?;
        fs::rename(
            temporary.with_extension(extension),
            path.with_extension(extension),
        )
        .map_err(|error| RecorderError::Unknown(error.to_string()))
    }

    fn load_item<I: DeserializeOwned>(&self, path: &mut PathBuf) -> Result<I, RecorderError> {
        Recorder::<B>::load_item(&self.0, path)
    }
}
