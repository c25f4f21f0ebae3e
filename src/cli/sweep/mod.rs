//! `loop-dml sweep`.

mod outputs;
mod progress;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::output::{print, print_json, print_lines, status};
use super::progress::duration;
use super::values::whole_number;
use super::{CliError, DeviceArgs, cancel_on_interrupt};
use crate::cancellation::CancellationToken;
use crate::report::SweepTable;
use crate::sweep::{
    Execution, FailedRun, RunState, Sweep, SweepError, SweepFile, SweepResults, shell_command,
};
use outputs::Outputs;
use progress::SweepProgress;

const EXAMPLES: &str = "\
A sweep file is TOML (docs/sweep.md):

  base = \"../folder.toml\"          # relative to this file [default: the quickstart]
  output = \"artifacts/sweeps/a\"    # folder of the runs [default: artifacts/sweeps/FILE]
  [set]                            # keys of every run
  \"training.epochs\" = 30
  [axes]                           # every combination is a run
  \"loss.name\" = [\"triplet\", \"n-pair\"]
  \"negatives.name\" = [\"none\", \"loop\"]
  \"training.seed\" = [1, 2, 3]
  [compare]
  baseline = { \"negatives.name\" = \"none\" }

Each run is a run folder, for evaluate, report and train --resume. Finished runs are not repeated, interrupted and \
failed ones are resumed, and a failed run does not stop the others. Prints the mean and the standard deviation over \
training.seed, and differences to the baseline.

Examples:
  List the runs and their commands:
    loop-dml sweep configs/sweeps/quickstart.toml --dry-run
  Train them, two at a time, and write the results as a web page:
    loop-dml sweep configs/sweeps/quickstart.toml --jobs 2 --html results.html
  Print the results so far:
    loop-dml sweep configs/sweeps/quickstart.toml --results";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SweepArgs {
    /// Sweep file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the run folders into this folder [default: output in FILE]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Train this many runs at once, each with its share of the CPU threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole_number::<usize>(1..=256), allow_negative_numbers = true)]
    jobs: usize,
    /// Check every configuration, list the runs and their commands, and exit
    #[arg(long, conflicts_with_all = ["results", "json", "csv", "markdown", "html"])]
    dry_run: bool,
    /// Print the results so far, without training
    #[arg(long)]
    results: bool,
    /// Print the results as one JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Write the results to this new CSV file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the results and the commands to this new Markdown file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the results and the commands to this HTML file, which may replace an earlier report
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

pub(super) fn run(args: SweepArgs) -> Result<(), CliError> {
    let sweep = Sweep::new(SweepFile::read(&args.file)?, args.run.as_deref())?;
    let states = sweep.states()?;
    if args.dry_run {
        return list(&sweep, &states, &args.device);
    }
    let outputs = Outputs::new(&args)?;
    let failed = match args.results {
        true => Vec::new(),
        false => train(&sweep, &args)?,
    };
    let results = SweepResults::read(&sweep, &args.device.arguments())?;
    let table = SweepTable::new(&results);
    if args.json {
        let mut object = results.to_json();
        let failed = failed.iter().map(|failed| {
            json!({
                "run": sweep.folder(&sweep.runs()[failed.run]).display().to_string(),
                "message": failed.message,
                "log": failed.log.display().to_string(),
            })
        });
        object["failed"] = failed.collect();
        print_json(object)?;
    } else {
        print_lines(table.to_text().trim_end())?;
    }
    outputs.write(&results, &table)?;
    match failed.len() {
        0 => Ok(()),
        failed => Err(CliError::SweepFailed {
            failed,
            runs: sweep.runs().len(),
        }),
    }
}

/// Prints the runs with their states and commands.
fn list(sweep: &Sweep, states: &[RunState], device: &DeviceArgs) -> Result<(), CliError> {
    for (run, state) in sweep.runs().iter().zip(states) {
        let state = match state {
            RunState::New => "new".to_string(),
            RunState::Started { epochs, .. } => format!("started, {epochs} epoch(s)"),
            RunState::Finished { .. } => "finished".to_string(),
        };
        print(format_args!("{} ({state})", run.name))?;
        let program = vec!["loop-dml".to_string()];
        let command = [program, sweep.arguments(run), device.arguments()].concat();
        print(format_args!("  {}", shell_command(&command)))?;
    }
    print(format_args!("{} runs, all valid", states.len()))
}

/// Trains the runs that are not finished. Returns those that failed.
fn train(sweep: &Sweep, args: &SweepArgs) -> Result<Vec<FailedRun>, CliError> {
    let cancellation = cancel_on_interrupt();
    let _lock = sweep.lock()?;
    let states = sweep.states()?;
    let program = std::env::current_exe().map_err(|source| SweepError::Program {
        program: "loop-dml".into(),
        source,
    })?;
    let execution = Execution {
        program,
        arguments: args.device.arguments(),
        jobs: args.jobs,
        threads: rayon::current_num_threads(),
    };
    let finished = |state: &&RunState| matches!(state, RunState::Finished { .. });
    let done = states.iter().filter(finished).count();
    let left = states.len() - done;
    status(format_args!(
        "{} runs in {}: {done} finished, {left} to train, {} at once",
        states.len(),
        sweep.output().display(),
        args.jobs.min(left)
    ));
    if left == 0 {
        return Ok(Vec::new());
    }
    let seconds = estimate(sweep, &execution, &states, &cancellation)?;
    let mut progress = SweepProgress::new(sweep, done, args.jobs, seconds);
    let failed = execution.run(sweep, &cancellation, |event| progress.event(event));
    progress.end();
    let failed = failed?;
    for one in &failed {
        status(progress::failure(sweep, one));
    }
    Ok(failed)
}

/// Estimates the seconds of a run and prints those of the sweep: from the runs that are finished, else from a few steps
/// of the first.
fn estimate(
    sweep: &Sweep,
    execution: &Execution,
    states: &[RunState],
    cancellation: &CancellationToken,
) -> Result<Option<f64>, CliError> {
    let finished = states.iter().filter_map(|state| match state {
        RunState::Finished { seconds, .. } => Some(*seconds),
        _ => None,
    });
    let finished: Vec<f64> = finished.collect();
    let left = states.len() - finished.len();
    let new = states.iter().position(|state| *state == RunState::New);
    let (seconds, source) = if !finished.is_empty() {
        let mean = finished.iter().sum::<f64>() / finished.len() as f64;
        let source = format!("from the time of {} finished run(s)", finished.len());
        (Ok(mean), source)
    } else if let Some(first) = new {
        let run = &sweep.runs()[first];
        let seconds = execution.estimate(sweep, run, cancellation)?;
        (seconds, format!("from a few steps of {}", run.name))
    } else {
        let reason = "it is made from the first finished run".to_string();
        (Err(reason), "yet".to_string())
    };
    match &seconds {
        Ok(seconds) => {
            let all = progress::remaining(*seconds, left, execution.jobs);
            status(format_args!("estimate: {}, {source}", duration(all)));
        }
        Err(reason) => status(format_args!("no estimate {source}: {reason}")),
    }
    Ok(seconds.ok())
}
