//! `loop-dml train --dry-run`, and the table of the checks before a training.

use std::path::PathBuf;
use std::time::Duration;

use burn::tensor::backend::AutodiffBackend;
use indicatif::DecimalBytes;
use serde_json::{Value, json};

use super::output::{print, print_json, print_lines};
use super::train::TrainArgs;
use super::training_output::{Display, TrainingOutput};
use super::{CliError, cancel_on_interrupt};
use crate::backend::{BackendTask, ComputeContext};
use crate::cancellation::CancellationToken;
use crate::config::{Config, ConfigError};
use crate::training::{self, Check, CheckOutcome, DryRun, Estimate, RunContext, TrainingError};

/// Width of the column of the names.
const NAME: usize = 13;
/// Width of the column of the outcomes.
const OUTCOME: usize = 7;

pub(super) fn run(args: &TrainArgs) -> Result<(), CliError> {
    let (dry_run, has_lines) = check(args)?;
    if args.json {
        print_json(to_json(&dry_run))?;
    } else {
        for line in lines(&dry_run.checks) {
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
fn check(args: &TrainArgs) -> Result<(DryRun, bool), CliError> {
    let source = match &args.run {
        Some(run) if args.resume => Source::Resumed(run.clone()),
        _ => match args.new_config() {
            Ok(config) => Source::New(Box::new(config)),
            Err(error) => {
                let refused = DryRun::refused("configuration", &error)
                    .with_run_folder(args.run.as_deref(), &args.run_name());
                return Ok((refused, matches!(error, ConfigError::Syntax { .. })));
            }
        },
    };
    let task = DryRunTask {
        source,
        overrides: args.set.clone(),
        run: args.run.clone(),
        name: args.run_name(),
        cancellation: cancel_on_interrupt(),
    };
    match args.device.run(task) {
        Ok(dry_run) => Ok((dry_run?, false)),
        Err(CliError::Backend(error)) => Ok((DryRun::refused("device", &error), false)),
        Err(error) => Err(error),
    }
}

enum Source {
    New(Box<Config>),
    Resumed(PathBuf),
}

struct DryRunTask {
    source: Source,
    overrides: Vec<String>,
    run: Option<PathBuf>,
    name: String,
    cancellation: CancellationToken,
}

impl BackendTask for DryRunTask {
    type Output = Result<DryRun, TrainingError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let context = RunContext {
            compute: &compute,
            observer: TrainingOutput::new(Display::Lines),
            cancellation: &self.cancellation,
        };
        match self.source {
            Source::New(config) => {
                training::dry_run::<B>(&config, self.run.as_deref(), &self.name, &context)
            }
            Source::Resumed(run) => training::dry_run_resume::<B>(&run, &self.overrides, &context),
        }
    }
}

/// The checks as the lines of a table.
pub(super) fn lines(checks: &[Check]) -> Vec<String> {
    let line = |check: &Check| {
        let outcome = match check.outcome {
            CheckOutcome::Passed => "ok",
            CheckOutcome::Warning => "warning",
            CheckOutcome::Failed => "FAILED",
        };
        format!(
            "{:NAME$}  {outcome:OUTCOME$}  {}",
            check.name, check.message
        )
    };
    checks.iter().map(line).collect()
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
    format!(
        "{:NAME$}  {:OUTCOME$}  {}",
        "estimate",
        "",
        parts.join(", ")
    )
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
    fn table_has_columns() {
        let check = |name, outcome| Check {
            name,
            outcome,
            message: "text".into(),
        };
        let checks = [
            check("data", CheckOutcome::Passed),
            check("configuration", CheckOutcome::Failed),
        ];
        assert_eq!(
            lines(&checks),
            [
                "data           ok       text",
                "configuration  FAILED   text"
            ]
        );
    }

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
