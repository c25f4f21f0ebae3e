//! `loop-dml train`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::CliError;
use super::dry_run::{self, DryRunOptions};
use super::option_names::OptionNames;
use super::training_output::{Display, TrainingOutput, print_summary};
use super::{DeviceArgs, cancel_on_interrupt};
use crate::backend::{BackendTask, ComputeContext};
use crate::cancellation::CancellationToken;
use crate::config::{Config, ConfigError};
use crate::distribution::ProcessGroup;
use crate::progress::NoProgress;
use crate::training::{self, RunContext, RunFolder, TrainingError, TrainingSummary};

const EXAMPLES: &str = "\
Without --config, trains the quickstart. In a terminal, shows a dashboard; elsewhere, with \
--plain or with TERM=dumb, prints a line per epoch on standard error.

A configuration has the sections model, data, batch, loss, negatives, optimizer, training and \
evaluation; `loop-dml config` lists their keys. `extends = \"base.toml\"`, or a list of files, extends other files; paths are relative to the \
file. The run folder contains the resolved configuration with every key that has a value, config.toml.

Examples:
  Train the quickstart:
    loop-dml train
  Train for 3 epochs into a folder:
    loop-dml train --set training.epochs=3 --run artifacts/short
  Resume the run and train it up to epoch 6:
    loop-dml train --resume --run artifacts/short --set training.epochs=6
  Check a configuration and estimate time, memory and disk space, without training:
    loop-dml train --config configs/folder.toml --set data.root=photos --dry-run
  Train on a folder of images on a GPU:
    loop-dml train --config configs/folder.toml --set data.root=photos --backend wgpu";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TrainArgs {
    /// Read the configuration from this TOML file [default: the quickstart]
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Set a configuration key, such as training.epochs=3 (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the run to this folder [default: the next free artifacts/NAME-N]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Resume the run in --run from its last checkpoint
    #[arg(long, requires = "run")]
    resume: bool,
    /// Read the images from this folder (short for --set data.root=DIR)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Check configuration, data, weights and disk space, take a few training steps to estimate time and
    /// memory, and exit
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run, print one JSON object on standard output
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Print a line per epoch instead of showing the dashboard
    #[arg(long)]
    plain: bool,
    /// Stop as after Ctrl-C when standard input ends: `sweep` holds the other end
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

impl TrainArgs {
    /// The options that set configuration keys.
    pub(super) fn option_names(&self) -> OptionNames {
        match self.root {
            Some(_) => OptionNames::new(&[("data.root", "--root")]),
            None => OptionNames::default(),
        }
    }

    /// The configuration of a new run.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn new_config(&self) -> Result<Config, ConfigError> {
        match &self.config {
            Some(path) => Config::load(path, &self.set),
            None => Config::quickstart(&self.set),
        }
    }

    /// Whether nothing is trained.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The name of a new run without --run.
    fn run_name(&self) -> String {
        match &self.config {
            Some(path) => path
                .file_stem()
                .map_or("run".into(), |stem| stem.to_string_lossy().into_owned()),
            None => "quickstart".into(),
        }
    }
}

pub(super) fn run(
    mut args: TrainArgs,
    group: ProcessGroup,
    on_machine: Option<usize>,
) -> Result<(), CliError> {
    // Other processes receive the run from process 0, on whose machine its folder is.
    let receives = args.resume && !group.is_main();
    if let (Some(root), true, Some(run)) = (&args.root, args.resume && !receives, &args.run) {
        // Before the other overrides, of which one may name the labels.
        args.set.splice(0..0, RunFolder::open(run)?.moved(root)?);
    } else if let Some(root) = &args.root {
        // Quoted as TOML, so that a path such as `1` remains a string.
        let root = toml::Value::from(root.to_string_lossy().into_owned());
        args.set.push(format!("data.root={root}"));
    }
    if args.dry_run {
        return dry_run::run(DryRunOptions {
            new: (!args.resume).then(|| args.new_config()),
            overrides: &args.set,
            run: args.run.as_deref(),
            name: &args.run_name(),
            device: &args.device,
            json: args.json,
        });
    }
    if let Some(number) = on_machine {
        args.device.choose_for_process(number)?;
    }
    let source = match &args.run {
        _ if receives => TrainSource::Received,
        Some(run) if args.resume => TrainSource::Resumed(RunFolder::open(run)?),
        _ => TrainSource::New {
            config: Box::new(args.new_config()?),
            name: args.run_name(),
        },
    };
    let cancellation = cancel_on_interrupt();
    if args.stop_with_stdin {
        cancel_with_stdin(&cancellation);
    }
    let task = TrainTask {
        source,
        overrides: args.set,
        run: args.run,
        display: display(args.plain),
        cancellation,
        group,
    };
    print_summary(&args.device.run(task)??);
    Ok(())
}

/// Requests a stop when standard input ends. Without the thread, only signals do.
fn cancel_with_stdin(cancellation: &CancellationToken) {
    let cancellation = cancellation.clone();
    let _ = std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            cancellation.cancel();
        });
}

enum TrainSource {
    New {
        config: Box<Config>,
        name: String,
    },
    Resumed(RunFolder),
    /// Resumed by process 0.
    Received,
}

struct TrainTask {
    source: TrainSource,
    overrides: Vec<String>,
    run: Option<PathBuf>,
    display: Display,
    cancellation: CancellationToken,
    group: ProcessGroup,
}

impl BackendTask for TrainTask {
    type Output = Result<TrainingSummary, TrainingError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let context = RunContext {
            compute: &compute,
            observer: match self.group.is_main() {
                true => TrainingOutput::new(self.display),
                false => Arc::new(NoProgress),
            },
            cancellation: &self.cancellation,
            group: self.group,
        };
        let result = match self.source {
            TrainSource::New { config, name } => {
                training::train::<B>(&config, self.run.as_deref(), &name, &context)
            }
            TrainSource::Resumed(folder) => {
                training::resume::<B>(folder, &self.overrides, &context)
            }
            TrainSource::Received => training::resume_with_main::<B>(&self.overrides, &context),
        };
        match context.group.is_main() {
            true => result,
            // Process 0 prints the error, and has the run.
            false => {
                let run = self.run.unwrap_or_else(|| PathBuf::from("DIR"));
                result.map_err(|error| error.of_run(&run))
            }
        }
    }
}

/// The dashboard if input and output are a terminal.
fn display(plain: bool) -> Display {
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    let capable = !plain && !dumb && cfg!(feature = "tui");
    if capable && std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        Display::Dashboard
    } else {
        Display::Lines
    }
}
