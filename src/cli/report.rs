//! `loop-dml report`.

use std::path::{Path, PathBuf};

use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Args;

use super::CliError;
use super::DeviceArgs;
use super::embedding_args::check_mirror;
use super::extension::check_extension;
use super::interrupt::CommandMonitor;
use super::option_names::OptionNames;
use super::output::status;
use super::training_output::print_skipped;
use super::values::{MAXIMUM_BATCH_SIZE, checkpoint, whole_number};
use crate::backend::{BackendTask, ComputeContext};
use crate::config::Config;
use crate::data::DataError;
use crate::progress::Monitor;
use crate::report::{
    Comparison, EvaluatedSplit, ReportOutput, RunFiles, RunReport, reason_without_evaluation,
};
use crate::setting::SettingError;
use crate::training::{Checkpoint, RunFolder, TrainingError};

const EXAMPLES: &str = "\
Examples:
  Write artifacts/quickstart-1/report.html, from the best checkpoint on the test split:
    loop-dml report artifacts/quickstart-1
  Compare runs, with differences to the first:
    loop-dml report artifacts/triplet artifacts/loop --output comparison.html
  Read the run's images from a folder they were moved to:
    loop-dml report artifacts/photos-1 --root /data/photos

A report is one HTML file without links to other files. It replaces an earlier report of the same name, and no other \
file. Images that cannot be read are skipped and listed. If the test split cannot be evaluated, the report has the \
curves and the configuration.";

/// The name of a report.
const REPORT: &str = "report.html";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportArgs {
    /// Run folders
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Write this file [default: report.html in the run folder, or here for several runs]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Checkpoint to evaluate; best has the highest Recall@1 [default: best]
    #[arg(long, value_name = "best|last|EPOCH", value_parser = checkpoint, allow_negative_numbers = true)]
    checkpoint: Option<Checkpoint>,
    /// Read the images of the runs from this folder, if they were moved
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Number of images embedded at once; does not affect results [default: that of the run]
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>(1..=MAXIMUM_BATCH_SIZE), allow_negative_numbers = true)]
    batch_size: Option<usize>,
    /// Average the embeddings of each image and its mirror image [default: as in the run]
    #[arg(long)]
    mirror: bool,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

impl ReportArgs {
    /// The options that set configuration keys.
    pub(super) fn option_names(&self) -> OptionNames {
        match self.root {
            Some(_) => OptionNames::new(&[("data.root", "--root")]),
            None => OptionNames::default(),
        }
    }

    /// Opens a run, with the options of this command in its configuration.
    fn open(&self, path: &Path) -> Result<Run, CliError> {
        let folder = RunFolder::open(path)?;
        let moved = match &self.root {
            Some(root) => folder.moved(root)?,
            None => Vec::new(),
        };
        let mut config = folder.config(&moved)?;
        check_mirror(self.mirror, &config)?;
        if let Some(size) = self.batch_size {
            config.evaluation.batch_size = size;
        }
        config.evaluation.mirror |= self.mirror;
        let files = RunFiles::read(&folder)?;
        if let Some(checkpoint) = self.checkpoint {
            folder.checkpoint(checkpoint)?;
        }
        Ok(Run {
            folder,
            config,
            files,
        })
    }
}

/// A run that is reported.
struct Run {
    folder: RunFolder,
    config: Config,
    files: RunFiles,
}

pub(super) fn run(args: ReportArgs) -> Result<(), CliError> {
    let command = CommandMonitor::install();
    check_different(&args.runs)?;
    let runs = args.runs.iter().map(|path| args.open(path));
    let runs: Vec<Run> = runs.collect::<Result<_, _>>()?;
    if let Some(output) = &args.output {
        check_extension("--output", output, "html")?;
    }
    let output = match (&args.output, &args.runs[..]) {
        (Some(output), _) => ReportOutput::new(output)?,
        (None, [run]) => ReportOutput::new(&run.join(REPORT))?,
        (None, _) => ReportOutput::new(Path::new(REPORT))?,
    };
    let task = ReportTask {
        runs,
        checkpoint: args.checkpoint.unwrap_or(Checkpoint::Best),
        is_strict: args.checkpoint.is_some() || args.root.is_some(),
        monitor: command.monitor(),
    };
    let html = args.device.run(task)??;
    output.write(&html)?;
    let kilobytes = html.len().div_ceil(1000);
    status(format_args!(
        "wrote {} ({kilobytes} kB)",
        output.path().display()
    ));
    Ok(())
}

/// Checks that no run is given twice.
fn check_different(runs: &[PathBuf]) -> Result<(), SettingError> {
    let mut seen: Vec<PathBuf> = Vec::new();
    for run in runs {
        let path = run.canonicalize().unwrap_or_else(|_| run.clone());
        if seen.contains(&path) {
            let value = run.display().to_string();
            return Err(SettingError::value(
                "RUN",
                value,
                "the run is given twice; omit one",
            ));
        }
        seen.push(path);
    }
    Ok(())
}

struct ReportTask<'a> {
    runs: Vec<Run>,
    checkpoint: Checkpoint,
    /// Whether options name what is evaluated, so that a report without evaluation is an error.
    is_strict: bool,
    monitor: Monitor<'a>,
}

impl BackendTask for ReportTask<'_> {
    type Output = Result<String, TrainingError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        report(self, &compute.without_gradients())
    }
}

/// Returns the report as HTML.
fn report<B: Backend>(
    mut task: ReportTask<'_>,
    compute: &ComputeContext<B>,
) -> Result<String, TrainingError> {
    let interrupted = |cancelled| TrainingError::from(DataError::from(cancelled));
    if task.runs.len() > 1 {
        let mut compared = Vec::new();
        for run in std::mem::take(&mut task.runs) {
            let split = evaluate(&task, &run, compute)?;
            // The embeddings of one run at a time are in memory.
            compared.push((run.files, split.map(Into::into)));
        }
        return Ok(Comparison::new(compared).to_html());
    }
    let run = task.runs.pop().expect("clap requires a run");
    let report = match evaluate(&task, &run, compute)? {
        Err(reason) => RunReport::without_evaluation(run.files, reason),
        Ok(split) => RunReport::new::<B>(run.files, split, &compute.device, task.monitor)
            .map_err(interrupted)?,
    };
    Ok(report.to_html())
}

/// Evaluates the test split of a run. If it cannot be evaluated, warns and returns why.
fn evaluate<B: Backend>(
    task: &ReportTask<'_>,
    run: &Run,
    compute: &ComputeContext<B>,
) -> Result<Result<EvaluatedSplit, String>, TrainingError> {
    let (folder, config) = (&run.folder, &run.config);
    match EvaluatedSplit::evaluate(folder, config, task.checkpoint, compute, task.monitor) {
        Ok(split) => {
            if split.missing > 0 {
                let missing = split.missing;
                tracing::warn!(
                    "{missing} test image(s) are missing since the run began, and are skipped"
                );
            }
            print_skipped(&split.skipped);
            Ok(Ok(split))
        }
        Err(error) if task.is_strict => Err(error),
        Err(error) => {
            let reason = reason_without_evaluation(error)?;
            tracing::warn!(
                "{} is reported without evaluation: {reason}",
                folder.path().display()
            );
            Ok(Err(reason))
        }
    }
}
