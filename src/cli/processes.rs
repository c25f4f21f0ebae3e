//! The processes that an MPI launcher has started, such as `mpirun -n 4 loop-dml train`.

use super::{CliError, Command};
use crate::distribution::ProcessGroup;

/// This process's place among those that train together.
#[derive(Debug, Default)]
pub(super) struct Processes {
    #[cfg(feature = "mpi")]
    membership: Option<crate::distribution::Membership>,
}

#[cfg(not(feature = "mpi"))]
impl Processes {
    /// Without MPI, there is one process.
    ///
    /// # Errors
    ///
    /// If an MPI launcher has started several: each would train the whole run.
    pub(super) fn join(command: &Command) -> Result<Self, CliError> {
        let several = |name| {
            let count = std::env::var(name).ok()?.parse::<usize>().ok()?;
            (count > 1).then_some(count)
        };
        let sizes = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].into_iter();
        // PMIx does not say how many there are; SLURM, which may use it, does.
        let of_slurm = std::env::var_os("PMIX_RANK").map(|_| "SLURM_STEP_NUM_TASKS");
        match sizes.chain(of_slurm).filter_map(several).next() {
            Some(processes) if command.trains() => Err(CliError::NoMpi { processes }),
            _ => Ok(Self::default()),
        }
    }

    pub(super) fn group(&self) -> ProcessGroup {
        ProcessGroup::single()
    }

    pub(super) fn threads(&self) -> Option<usize> {
        None
    }

    pub(super) fn number_on_machine(&self) -> Option<usize> {
        None
    }

    pub(super) fn fail(self, _: &str, _: u8) {}
}

#[cfg(feature = "mpi")]
impl Processes {
    /// Joins the other processes, if a launcher has started several for `command`. All but process 0 are silent from
    /// then on.
    ///
    /// # Errors
    ///
    /// If the MPI library is not suitable.
    pub(super) fn join(command: &Command) -> Result<Self, CliError> {
        use crate::distribution::{is_launched, join};

        if !command.trains() || !is_launched() {
            return Ok(Self::default());
        }
        let membership = join(report).map_err(|error| CliError::Processes(error.to_string()))?;
        if membership.exchange().rank() > 0 {
            super::output::silence();
        }
        Ok(Self {
            membership: Some(membership),
        })
    }

    /// The group of the processes.
    pub(super) fn group(&self) -> ProcessGroup {
        match &self.membership {
            Some(membership) => ProcessGroup::new(membership.exchange()),
            None => ProcessGroup::single(),
        }
    }

    /// Returns this process's share of the processors, if there are several processes on the machine. A launcher may
    /// have bound it to fewer processors.
    pub(super) fn threads(&self) -> Option<usize> {
        let (_, processes) = self.membership.as_ref()?.on_this_machine();
        let allowed = std::thread::available_parallelism().map_or(1, usize::from);
        let share = online_processors().unwrap_or(allowed) / processes;
        (processes > 1).then(|| allowed.min(share.max(1)))
    }

    /// Returns the number of this process among those on its machine, if there are several processes.
    pub(super) fn number_on_machine(&self) -> Option<usize> {
        let membership = self.membership.as_ref()?;
        Some(membership.on_this_machine().0)
    }

    /// Ends all processes with the exit status of an error; does nothing if this process is alone. Process 0 has
    /// printed its error, and prints that of another process.
    pub(super) fn fail(self, message: &str, status: u8) {
        if let Some(membership) = self.membership {
            membership.fail(message, status, || {
                super::output::unsilence();
                super::output::status(format!("error: {message}"));
            });
        }
    }
}

/// Prints the failure of another process, and returns the exit status.
#[cfg(feature = "mpi")]
fn report(failure: &crate::distribution::GroupFailure) -> u8 {
    use super::{error, logging, output};
    use crate::distribution::GroupFailure;

    #[cfg(feature = "tui")]
    super::dashboard::restore_terminal();
    logging::release();
    output::unsilence();
    output::status(format!("error: {failure}"));
    crate::temporary_files::remove_all();
    match failure {
        GroupFailure::Failed { status, .. } => *status,
        GroupFailure::Silent { .. } => error::FAILURE,
    }
}

/// The processors of the machine, whether or not this process may use them; `None` if the system does not say.
#[cfg(feature = "mpi")]
fn online_processors() -> Option<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    let ranges = text.trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<usize>().ok()? + 1 - first.parse::<usize>().ok()?)
    });
    ranges.sum()
}
