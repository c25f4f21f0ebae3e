//! `loop-dml data`.

mod batches;
mod duplicates;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::CliError;
use super::DeviceArgs;
use super::interrupt::CommandMonitor;
use super::option_names::OptionNames;
use super::output::{print, print_json, print_lines};
use super::values::{MAXIMUM_WORKERS, dataset, whole_number};
use crate::config::{Config, ConfigError};
use crate::data::config::DataConfig;
use crate::data::survey::{
    CheckReport, ContactSheet, DatasetSurvey, SheetLayout, check_sheet_path,
};
use crate::data::{self, DataError, DatasetError, HoldOut, Transform};
use crate::escape::path_with_bytes;
use crate::progress::Monitor;
use crate::setting::SettingError;

/// Time after Ctrl-C in which the images that are being decoded are finished and the report is printed.
const REPORT_GRACE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  loop-dml data check --dataset cub200 --root CUB_200_2011
  loop-dml data check --dataset folder --root photos --set data.single_image_classes=drop --json
  loop-dml data check --config configs/folder.toml
  loop-dml data stats --dataset sop --root Stanford_Online_Products --sheet sheet.png
  loop-dml data duplicates --dataset folder --root photos --network artifacts/quickstart-1";

const CHECK_EXAMPLES: &str = "\
Decodes every image once. Errors are what training refuses or what makes results wrong; warnings may be \
intended. The exit status is 2 if there are errors, otherwise 0. Bytes changed in the middle of a JPEG \
are often not detected, because the file still decodes. Ctrl-C prints what was found until then.

Examples:
  loop-dml data check --dataset cars196 --root cars
  loop-dml data check --dataset manifest --root images.csv --set data.images=photos --json
  loop-dml data check --config configs/folder.toml --root photos --cache";

const STATS_EXAMPLES: &str = "\
Examples:
  loop-dml data stats --dataset in-shop --root In-shop
  loop-dml data stats --dataset folder --root photos --sheet sheet.png --classes 12 --images 6 --seed 3";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Report every problem of a dataset
    Check(CheckArgs),
    /// Print classes, image sizes and formats of a dataset
    Stats(StatsArgs),
    /// Find near-duplicate and likely mislabelled images by their embeddings
    Duplicates(duplicates::DuplicatesArgs),
    /// Print which images each training batch consists of
    Batches(batches::BatchesArgs),
}

#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Compare the image caches of this configuration with the images
    #[arg(long)]
    cache: bool,
}

#[derive(Debug, Args)]
#[command(after_help = STATS_EXAMPLES)]
struct StatsArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Write a contact sheet, one class per row, to this .png, .jpg or .jpeg file
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Number of random classes on the sheet, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = whole_number::<u8>(1..=64), allow_negative_numbers = true, requires = "sheet")]
    classes: u8,
    /// Number of random images per class on the sheet, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = whole_number::<u8>(1..=64), allow_negative_numbers = true, requires = "sheet")]
    images: u8,
    /// Seed of the random choices
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = whole_number::<u64>(..), allow_negative_numbers = true, requires = "sheet")]
    seed: u64,
}

#[derive(Debug, Args)]
struct SourceArgs {
    /// Dataset
    #[arg(long, value_name = "NAME", value_parser = dataset(), required_unless_present_any = ["config", "set"])]
    dataset: Option<String>,
    /// Folder of the dataset, or CSV file of a manifest
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Read the section data of this configuration; --dataset, --root and --set override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key of the section data, such as data.single_image_classes=drop (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Number of threads that read images; 0 means one per core
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>(..=MAXIMUM_WORKERS), allow_negative_numbers = true)]
    workers: Option<u64>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

impl DataArgs {
    /// The device that the command computes on, if it computes.
    pub(super) fn device(&self) -> Option<&DeviceArgs> {
        match &self.command {
            DataCommand::Duplicates(args) => Some(&args.device),
            _ => None,
        }
    }

    /// The options that set configuration keys.
    pub(super) fn option_names(&self) -> OptionNames {
        let source = match &self.command {
            DataCommand::Check(args) => &args.source,
            DataCommand::Stats(args) => &args.source,
            DataCommand::Duplicates(args) => &args.source,
            // Its options set no keys.
            DataCommand::Batches(_) => return OptionNames::default(),
        };
        let options = [
            ("data.dataset", "--dataset", source.dataset.is_some()),
            ("data.root", "--root", source.root.is_some()),
            ("data.workers", "--workers", source.workers.is_some()),
        ];
        // A key that a file may set keeps its name, unless the option is given too.
        let named = options
            .iter()
            .filter(|(.., given)| *given || source.config.is_none());
        let named: Vec<_> = named.map(|&(key, option, _)| (key, option)).collect();
        OptionNames::new(&named).without_set(&source.set)
    }
}

pub(super) fn run(args: DataArgs) -> Result<(), CliError> {
    let names = args.option_names();
    match args.command {
        DataCommand::Check(args) => {
            let command = CommandMonitor::with_grace(REPORT_GRACE);
            check(&args, &names, command.monitor())
        }
        DataCommand::Stats(args) => stats(&args, CommandMonitor::install().monitor()),
        DataCommand::Duplicates(args) => {
            duplicates::run(&args, CommandMonitor::install().monitor())
        }
        DataCommand::Batches(args) => batches::run(&args, CommandMonitor::install().monitor()),
    }
}

fn check(args: &CheckArgs, names: &OptionNames, monitor: Monitor<'_>) -> Result<(), CliError> {
    let source = &args.source;
    let read = read_config(source).and_then(|(config, hold_out)| {
        let transform = args.cache.then(|| Transform::new(&config.transform));
        Ok((config, hold_out, transform.transpose()?))
    });
    let (config, hold_out, transform) = match read {
        Ok(read) => read,
        Err(error) if source.json => {
            print_json(refusal(source, names, &error))?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let report = data::check(&config, hold_out, transform.as_ref(), monitor);
    if source.json {
        let mut object = json!(report);
        for problem in object["problems"].as_array_mut().into_iter().flatten() {
            let message = problem["message"].as_str().unwrap_or_default();
            problem["message"] = json!(names.in_message(message));
        }
        print_json(object)?;
    } else {
        print_lines(names.in_message(report.to_string().trim_end()))?;
    }
    match (report.interrupted, report.errors) {
        (true, _) => Err(DataError::Cancelled.into()),
        (false, 0) => Ok(()),
        (false, errors) => Err(CliError::DatasetErrors {
            dataset: named(report.dataset, report.root.as_deref()),
            errors,
        }),
    }
}

/// A dataset with its root, for a message.
fn named(dataset: &str, root: Option<&Path>) -> String {
    match root {
        Some(root) => format!("{dataset} ({})", root.display()),
        None => dataset.to_string(),
    }
}

/// Returns the report of a configuration that cannot be read.
fn refusal(source: &SourceArgs, names: &OptionNames, error: &CliError) -> Value {
    let problem = json!({
        "severity": "error",
        "kind": "configuration",
        "file": source.config.as_deref().map(path_with_bytes),
        "list": null,
        "line": null,
        "message": names.in_message(&error.to_string()),
    });
    // A report without images, so that it has all keys.
    let mut report = json!(CheckReport::unopened(
        &DataConfig::default(),
        DatasetError::Cancelled
    ));
    let known = json!({
        "interrupted": false,
        "dataset": source.dataset,
        "root": source.root.as_deref().map(path_with_bytes),
        "errors": 1,
        "problems": [problem],
    });
    if let (Some(report), Value::Object(known)) = (report.as_object_mut(), known) {
        report.extend(known);
    }
    report
}

fn stats(args: &StatsArgs, monitor: Monitor<'_>) -> Result<(), CliError> {
    let since = Instant::now();
    if let Some(path) = &args.sheet {
        check_sheet_path(path)?;
    }
    let config = read_config(&args.source)?.0;
    if let (true, Some(path)) = (config.source.has_features(), &args.sheet) {
        let reason = "features have no pictures; remove it";
        return Err(SettingError::value("--sheet", path.display().to_string(), reason).into());
    }
    let survey = DatasetSurvey::open(&config, monitor)?;
    survey.check_splits()?;
    let stats = survey.stats(monitor).map_err(DataError::from)?;
    let sheet = match &args.sheet {
        Some(path) => Some((path, write_sheet(&survey, args, path, monitor)?)),
        None => None,
    };
    if args.source.json {
        let mut object = json!(stats);
        if let Some((path, sheet)) = sheet {
            object["sheet"] = json!({ "file": path.to_string_lossy(), "rows": sheet.rows });
        }
        object["seconds"] = json!(since.elapsed().as_secs_f64());
        return print_json(object);
    }
    print_lines(stats.to_string().trim_end())?;
    if let Some((path, sheet)) = sheet {
        print("")?;
        print(format_args!("{}, from above:", path.display()))?;
        for (number, row) in sheet.rows.iter().enumerate() {
            print(format_args!("{:3}  {row}", number + 1))?;
        }
    }
    Ok(())
}

fn write_sheet(
    survey: &DatasetSurvey,
    args: &StatsArgs,
    path: &Path,
    monitor: Monitor<'_>,
) -> Result<ContactSheet, CliError> {
    let layout = SheetLayout {
        classes: args.classes.into(),
        images: args.images.into(),
        seed: args.seed,
    };
    let sheet = survey
        .contact_sheet(layout, monitor)
        .map_err(DataError::from)?;
    sheet.write(path).map_err(|source| CliError::Output {
        path: path.into(),
        source,
    })?;
    Ok(sheet)
}

/// Returns the root as text, which a configuration is.
fn as_text(root: &Path) -> Result<&str, SettingError> {
    root.to_str().ok_or_else(|| {
        let reason = "the name is not UTF-8; rename the folder, for example with convmv";
        SettingError::value("data.root", path_with_bytes(root).into_owned(), reason)
    })
}

/// The section `[data]` of the file with the arguments' overrides, and how the file holds classes out for
/// validation.
fn read_config(args: &SourceArgs) -> Result<(DataConfig, Option<HoldOut>), CliError> {
    let sets_dataset = |text: &String| {
        let key = text.split_once('=').map(|(key, _)| key.trim());
        key == Some("data.dataset")
    };
    if args.dataset.is_none() && args.config.is_none() && !args.set.iter().any(sets_dataset) {
        let reason =
            "give the dataset, for example --dataset folder, or a configuration with --config";
        return Err(SettingError::value("data.dataset", "", reason).into());
    }
    let mut overrides = Vec::new();
    overrides.extend(
        args.dataset
            .iter()
            .map(|name| format!("data.dataset={name}")),
    );
    if let Some(root) = &args.root {
        overrides.push(format!("data.root={}", as_text(root)?));
    }
    overrides.extend(args.workers.map(|count| format!("data.workers={count}")));
    overrides.extend_from_slice(&args.set);
    let config = match &args.config {
        Some(path) => Config::load(path, &overrides)?,
        None => {
            let config = Config::parse("", "the command line", &overrides)?;
            // Features need another backbone than the default, and keys of [model] are not accepted here.
            match config.data.source.has_features() {
                true => config.data.check().map_err(ConfigError::from)?,
                false => config.check()?,
            }
            config
        }
    };
    let foreign = args
        .set
        .iter()
        .find(|text| !text.trim().starts_with("data."));
    match foreign {
        Some(text) => Err(SettingError::NotApplicable {
            key: text
                .split('=')
                .next()
                .unwrap_or_default()
                .trim()
                .to_string(),
            chosen: "`loop-dml data`, which accepts keys of [data] only".into(),
        }
        .into()),
        None => {
            let hold_out = args.config.as_ref().and_then(|_| config.hold_out());
            Ok((config.data, hold_out))
        }
    }
}
