//! `loop-dml train --dry-run`.

use std::path::Path;
use std::time::Duration;

use burn::tensor::backend::AutodiffBackend;
use indicatif::DecimalBytes;
use serde_json::{Value, json};

use super::interrupt::end_soon;
use super::output::{print, print_json, print_lines};
use super::training_output::{Display, TrainingOutput};
use super::{CliError, DeviceArgs, cancel_on_interrupt, check_table};
use crate::backend::{BackendTask, ComputeContext};
use crate::cancellation::CancellationToken;
use crate::config::{Config, ConfigError};
use crate::distribution::ProcessGroup;
use crate::training::{self, Check, CheckOutcome, DryRun, Estimate, RunContext, TrainingError};

/// What is checked.
pub(super) struct DryRunOptions<'a> {
    /// The configuration of a new run; `None` to resume the run in `run`.
    pub(super) new: Option<Result<Config, ConfigError>>,
    /// Keys that a resumed run changes.
    pub(super) overrides: &'a [String],
    /// The run folder.
    pub(super) run: Option<&'a Path>,
    /// The name of a new run without a folder.
    pub(super) name: &'a str,
    pub(super) device: &'a DeviceArgs,
    /// Whether to print JSON.
    pub(super) json: bool,
}

pub(super) fn run(options: DryRunOptions<'_>) -> Result<(), CliError> {
    let json = options.json;
    let (dry_run, has_lines) = check(options)?;
    if json {
        print_json(to_json(&dry_run))?;
    } else {
        for line in check_table::lines(&dry_run.checks) {
            match has_lines {
                true => print_lines(line)?,
                false => print(line)?,
            }
        }
        if dry_run.is_ok() {
            print(estimate_line(&dry_run.estimate))?;
        }
    }
    let failed = |check: &&Check| check.outcome == CheckOutcome::Failed;
    match dry_run.checks.iter().filter(failed).count() {
        0 => Ok(()),
        failed => Err(CliError::DryRun { failed }),
    }
}

/// Makes the checks. Also returns whether a message has several lines.
fn check(options: DryRunOptions<'_>) -> Result<(DryRun, bool), CliError> {
    let DryRunOptions {
        new,
        overrides,
        run,
        name,
        device,
        ..
    } = options;
    let config = match new.transpose() {
        Ok(config) => config,
        Err(error) => {
            let refused = DryRun::refused("configuration", &error).with_run_folder(run, name);
            return Ok((refused, matches!(error, ConfigError::Syntax { .. })));
        }
    };
    let cancellation = cancel_on_interrupt();
    let _end = end_soon(&cancellation);
    let task = DryRunTask {
        config,
        overrides,
        run,
        name,
        cancellation,
    };
    match device.run(task) {
        Ok(dry_run) => Ok((dry_run?, false)),
        Err(CliError::Backend(error)) => Ok((DryRun::refused("device", &error), false)),
        Err(error) => Err(error),
    }
}

struct DryRunTask<'a> {
    config: Option<Config>,
    overrides: &'a [String],
    run: Option<&'a Path>,
    name: &'a str,
    cancellation: CancellationToken,
}

impl BackendTask for DryRunTask<'_> {
    type Output = Result<DryRun, TrainingError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let context = RunContext {
            compute: &compute,
            observer: TrainingOutput::new(Display::Lines),
            cancellation: &self.cancellation,
            group: ProcessGroup::single(),
        };
        match self.config {
            Some(config) => training::dry_run::<B>(&config, self.run, self.name, &context),
            None => {
                let run = self.run.expect("--resume requires --run");
                training::dry_run_resume::<B>(run, self.overrides, &context)
            }
        }
    }
}

fn estimate_line(estimate: &Estimate) -> String {
    let Estimate {
        seconds_per_epoch,
        seconds,
        memory_bytes,
        disk_bytes,
    } = *estimate;
    let bytes = |bytes: Option<u64>, what: &str| match bytes {
        Some(bytes) => format!("{} {what}", DecimalBytes(bytes)),
        None => format!("an unknown amount {what}"),
    };
    let mut parts = Vec::new();
    if let Some(seconds) = seconds_per_epoch {
        parts.push(format!("{} per epoch", format_seconds(seconds)));
    }
    if let Some(seconds) = seconds {
        parts.push(format!("{} in all", format_seconds(seconds)));
    }
    parts.push(bytes(memory_bytes, "of memory"));
    parts.push(bytes(disk_bytes, "on disk"));
    check_table::row("estimate", "", &parts.join(", "))
}

/// A time, as `0.25 s` or `3 hours`.
fn format_seconds(seconds: f64) -> String {
    /// From here on, whole units are exact enough.
    const WHOLE: f64 = 90.0;

    match seconds < WHOLE {
        true => format!("{seconds:.2} s"),
        false => indicatif::HumanDuration(Duration::from_secs_f64(seconds)).to_string(),
    }
}

fn to_json(dry_run: &DryRun) -> Value {
    let check = |check: &Check| {
        json!({
            "name": check.name,
            "ok": check.outcome != CheckOutcome::Failed,
            "warning": check.outcome == CheckOutcome::Warning,
            "message": check.message,
        })
    };
    json!({
        "ok": dry_run.is_ok(),
        "checks": dry_run.checks.iter().map(check).collect::<Vec<_>>(),
        "estimate": dry_run.estimate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_names_what_is_not_known() {
        let estimate = Estimate {
            seconds_per_epoch: Some(0.25),
            seconds: Some(7200.0),
            memory_bytes: None,
            disk_bytes: Some(4_000_000),
        };
        let line = estimate_line(&estimate);
        assert!(
            line.ends_with(
                "0.25 s per epoch, 2 hours in all, an unknown amount of memory, 4.00 MB on disk"
            ),
            "{line}"
        );
    }
}
