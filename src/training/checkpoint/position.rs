//! The point of a training that a checkpoint belongs to.

use std::fmt;

/// The point of a training that a checkpoint belongs to. Positions are ordered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckpointPosition {
    /// Number of complete epochs: trained, measured if due, and recorded.
    complete: usize,
    /// Number of steps taken since.
    steps: usize,
}

impl CheckpointPosition {
    /// The end of `epoch`, counted from 1. Epoch 0 is the start of the training.
    pub const fn end_of(epoch: usize) -> Self {
        Self {
            complete: epoch,
            steps: 0,
        }
    }

    /// After `steps` steps of `epoch`, counted from 1. After the last step, the epoch still has to be
    /// measured and recorded.
    pub const fn within(epoch: usize, steps: usize) -> Self {
        Self {
            complete: epoch.saturating_sub(1),
            steps,
        }
    }

    /// The epoch that ends here, counted from 1; `None` within an epoch.
    pub const fn end(self) -> Option<usize> {
        match self.steps {
            0 => Some(self.complete),
            _ => None,
        }
    }

    /// Number of complete epochs.
    pub const fn complete_epochs(self) -> usize {
        self.complete
    }

    /// Number of steps taken after the last complete epoch.
    pub const fn steps(self) -> usize {
        self.steps
    }

    /// The file name of the checkpoint: `epoch-12.safetensors` at the end of an epoch,
    /// `epoch-12-step-3.safetensors` within one.
    pub fn file_name(self) -> String {
        match self.end() {
            Some(epoch) => format!("epoch-{epoch}.safetensors"),
            None => format!(
                "epoch-{}-step-{}.safetensors",
                self.complete + 1,
                self.steps
            ),
        }
    }

    /// The position of a file name; `None` if it is not that of a checkpoint.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let stem = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?;
        let position = match stem.split_once("-step-") {
            None => Self::end_of(stem.parse().ok()?),
            Some((epoch, steps)) => Self::within(epoch.parse().ok()?, steps.parse().ok()?),
        };
        // Names such as `epoch-+1` or `epoch-01` are not ours.
        (position.file_name() == name).then_some(position)
    }
}

impl fmt::Display for CheckpointPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end() {
            Some(epoch) => write!(f, "epoch {epoch}"),
            None => write!(f, "epoch {}, step {}", self.complete + 1, self.steps),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered_in_time() {
        let order = [
            CheckpointPosition::within(1, 2),
            CheckpointPosition::end_of(1),
            CheckpointPosition::within(2, 1),
            CheckpointPosition::within(2, 10),
            CheckpointPosition::end_of(2),
            CheckpointPosition::end_of(10),
        ];
        assert!(order.is_sorted());
    }

    #[test]
    fn file_names_are_read_back_and_others_are_not() {
        for position in [
            CheckpointPosition::end_of(12),
            CheckpointPosition::within(12, 3),
        ] {
            let name = position.file_name();
            assert_eq!(CheckpointPosition::from_file_name(&name), Some(position));
        }
        for name in [
            "epoch-01.safetensors",
            "epoch-+1.safetensors",
            "epoch-.safetensors",
            "epoch-1-step-0.safetensors",
            ".epoch-1.safetensors.partial",
            "model-1.mpk",
        ] {
            assert_eq!(CheckpointPosition::from_file_name(name), None, "{name}");
        }
    }
}
