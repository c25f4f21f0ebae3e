//! The check of the space that a training needs on disk.

use std::path::{Path, PathBuf};

use super::Checks;
use super::names::DISK;
use crate::data::MissingCaches;
use crate::free_space::{free_bytes, same_disk};
use crate::training::run_folder::RunFolderError;

/// Checkpoints that a training needs at once besides the last ones: the best, and the one that is being
/// written.
const BEST_AND_PARTIAL: u64 = 2;
/// With fewer checkpoints on disk than these, the second one could not be written.
const FEWEST: u64 = 2;

/// The space that a training needs.
#[derive(Debug, Clone, Default)]
pub(in crate::training) struct DiskNeed {
    /// The run folder; it need not exist.
    pub(in crate::training) folder: PathBuf,
    /// Bytes of a checkpoint.
    pub(in crate::training) checkpoint: u64,
    /// Number of latest checkpoints that are kept (`training.keep_checkpoints`).
    pub(in crate::training) keep: u64,
    /// Bytes of the checkpoints that a resumed run already has.
    pub(in crate::training) existing: u64,
    /// Bytes of the events for TensorBoard.
    pub(in crate::training) events: u64,
    /// The image caches that have to be built.
    pub(in crate::training) caches: Option<MissingCaches>,
}

impl DiskNeed {
    /// Returns the largest number of checkpoints that are on disk at once.
    fn checkpoints(&self) -> u64 {
        self.keep.saturating_add(BEST_AND_PARTIAL)
    }

    /// Returns the bytes of further checkpoints.
    fn checkpoint_bytes(&self) -> u64 {
        let all = self.checkpoints().saturating_mul(self.checkpoint);
        all.saturating_sub(self.existing)
    }

    /// Returns the bytes without which the second checkpoint cannot be written.
    fn fewest_bytes(&self) -> u64 {
        (FEWEST * self.checkpoint).saturating_sub(self.existing)
    }

    /// Returns the bytes of the image caches.
    fn cache_bytes(&self) -> u64 {
        self.caches.as_ref().map_or(0, |caches| caches.bytes)
    }

    /// Returns the bytes that will be written and kept.
    pub(in crate::training) fn bytes(&self) -> u64 {
        self.run_bytes().saturating_add(self.cache_bytes())
    }

    /// Returns the bytes that will be written to the run folder and kept.
    fn run_bytes(&self) -> u64 {
        self.checkpoint_bytes().saturating_add(self.events)
    }
}

/// Compares what a training needs with the free space, and adds the result. Space that is too small for
/// some checkpoints or for the image cache is a warning.
///
/// # Errors
/// If not even two checkpoints fit.
pub(in crate::training) fn check_disk(
    checks: &mut Checks,
    need: &DiskNeed,
) -> Result<(), RunFolderError> {
    let free = free_bytes(&need.folder);
    let fits = judge(need, need.run_bytes(), free)?;
    let mut message = format!(
        "{} for {} checkpoints of {}",
        format_bytes(need.checkpoint_bytes()),
        need.checkpoints(),
        format_bytes(need.checkpoint)
    );
    if need.existing > 0 {
        message += &format!(", of which {} exist", format_bytes(need.existing));
    }
    if need.events > 0 {
        message += &format!(", {} for TensorBoard", format_bytes(need.events));
    }
    message += &format_free(free, &need.folder);
    let mut enough = fits;
    if let Some(caches) = &need.caches {
        let bytes = format_bytes(caches.bytes);
        message += &format!(
            "; {bytes} for the image cache in {}",
            caches.folder.display()
        );
        let needed = match same_disk(&need.folder, &caches.folder) {
            true => need.bytes(),
            false => caches.bytes,
        };
        let free = free_bytes(&caches.folder);
        message += &format_free(free, &caches.folder);
        enough &= free.is_none_or(|free| free >= needed);
    }
    match enough {
        true => checks.passed(DISK, message),
        false => checks.warning(DISK, format!("too little space: needs {message}")),
    }
    Ok(())
}

/// Returns whether `needed` bytes fit; `free` is unknown if it is `None`.
fn judge(need: &DiskNeed, needed: u64, free: Option<u64>) -> Result<bool, RunFolderError> {
    match free {
        Some(free) if free < need.fewest_bytes() => Err(RunFolderError::NoSpace {
            path: need.folder.clone(),
            checkpoint: format_bytes(need.checkpoint),
            needed: format_bytes(need.checkpoint_bytes()),
            free: format_bytes(free),
        }),
        Some(free) => Ok(free >= needed),
        None => Ok(true),
    }
}

fn format_free(free: Option<u64>, path: &Path) -> String {
    match free {
        Some(free) => format!("; {} free", format_bytes(free)),
        None => format!("; the free space of {} is not known", path.display()),
    }
}

/// A number of bytes with a decimal unit.
fn format_bytes(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(checkpoint: u64, keep: u64, existing: u64) -> DiskNeed {
        DiskNeed {
            folder: "run".into(),
            checkpoint,
            keep,
            existing,
            events: 0,
            caches: None,
        }
    }

    #[test]
    fn kept_ones_the_best_and_the_one_being_written_are_needed() {
        assert_eq!(need(10, 2, 0).bytes(), 40);
        assert_eq!(need(10, 5, 0).bytes(), 70);
        assert_eq!(need(10, 2, 25).bytes(), 15);
        assert_eq!(need(10, 2, 100).bytes(), 0);
        let with_cache = DiskNeed {
            caches: Some(MissingCaches {
                folder: "cache".into(),
                bytes: 7,
            }),
            ..need(10, 2, 0)
        };
        assert_eq!(with_cache.bytes(), 47);
        assert_eq!(need(u64::MAX, 2, 0).bytes(), u64::MAX);
    }

    #[test]
    fn less_than_two_checkpoints_is_an_error_and_less_than_all_a_warning() {
        let fits = |free| {
            let need = need(10, 2, 0);
            judge(&need, need.bytes(), free)
        };
        assert!(fits(Some(40)).unwrap());
        assert!(!fits(Some(39)).unwrap());
        assert!(!fits(Some(20)).unwrap());
        let message = fits(Some(19)).unwrap_err().to_string();
        assert!(message.contains("19 B are free"), "{message}");
        assert!(message.contains("checkpoint of 10 B"), "{message}");
        assert!(fits(None).unwrap());
        // Those that exist count.
        let resumed = need(10, 2, 20);
        assert!(judge(&resumed, resumed.bytes(), Some(20)).unwrap());
        assert!(!judge(&resumed, resumed.bytes(), Some(0)).unwrap());
    }

    #[test]
    fn warning_has_both_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let free = free_bytes(folder.path()).unwrap();
        let mut checks = Checks::default();
        let mut need = need(free / 3, 2, 0);
        need.folder = folder.path().join("run");
        check_disk(&mut checks, &need).unwrap();
        let check = &checks.as_slice()[0];
        assert_eq!(check.outcome, crate::training::CheckOutcome::Warning);
        let needed = format_bytes(need.bytes());
        assert!(
            check
                .message
                .contains(&format!("needs {needed} for 4 checkpoints")),
            "{}",
            check.message
        );
        assert!(check.message.ends_with(" free"), "{}", check.message);
    }
}
