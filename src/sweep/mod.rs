//! Sweeps: trainings with every combination of some values, and their results.
//!
//! A [`SweepFile`] names a base configuration and axes. [`Sweep::new`] plans and checks the runs, each an ordinary run
//! folder; [`Sweep::states`] says which of them exist, [`Execution`] trains the others in processes of this program, and
//! [`SweepResults`] averages and compares them.
//!
//! | term | meaning |
//! | --- | --- |
//! | axis | a configuration key with a list of values, or a name with a list of settings of several keys |
//! | run | a training with one value of each axis |
//! | cell | the runs that differ only in the axes that are averaged over, such as `training.seed` |
//! | baseline | the cell that another one is compared with, run by run |

mod axis;
mod error;
mod execution;
mod file;
mod folder;
mod formats;
mod measured_split;
mod names;
mod plan;
mod results;
mod statistics;

pub use axis::{Axis, AxisValue};
pub use error::SweepError;
pub use execution::{Execution, FailedRun, SweepEvent};
pub use file::SweepFile;
pub use folder::{RunState, SweepLock};
pub use measured_split::MeasuredSplit;
pub use names::shell_command;
pub use plan::{PlannedRun, Sweep};
pub use results::{CellResults, SweepResults};
pub use statistics::{Difference, Summary};
