//! `loop-dml data duplicates`.

mod output;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;

use super::super::CliError;
use super::super::DeviceArgs;
use super::super::extension::check_extension;
use super::super::output::status;
use super::super::training_output::print_skipped;
use super::super::values::{checkpoint, whole_number};
use super::{SourceArgs, read_config};
use crate::atomic_file::{check_free, write_new};
use crate::backend::{BackendTask, ComputeContext};
use crate::data::ImageSet;
use crate::data::survey::DatasetSurvey;
use crate::embedding_file::Embeddings;
use crate::inference::duplicates::{DuplicateOptions, DuplicateReport, ImagePart, duplicates};
use crate::inference::search::EmbeddedImages;
use crate::inference::{self, EmbeddingSource, InferenceError};
use crate::progress::Monitor;
use crate::report::duplicates_page;
use crate::setting::SettingError;
use crate::training::Checkpoint;

const EXAMPLES: &str = "\
Compares every image with its nearest neighbours in all splits, by a network or by files of embeddings. Near duplicates \
are at most --threshold apart. By default, it is a tenth of the median distance of an image to its nearest neighbour: \
unrelated images are almost never that near. Duplicates across splits are listed first, then those across classes. An image \
is likely mislabelled if another class leads its own by half of the votes of its neighbours; as many neighbours vote as its \
class has other images. `loop-dml data check` finds files with the same bytes without a network.

Examples:
  Compare the images of all splits by a trained network:
    loop-dml data duplicates --dataset folder --root photos --network artifacts/quickstart-1
  Write a page for a browser with the images:
    loop-dml data duplicates --config configs/folder.toml --root photos --network embedder.safetensors --html duplicates.html
  Compare embeddings; each file is a split:
    loop-dml data duplicates --embeddings train.safetensors --embeddings test.safetensors --json";

#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    mut_arg("dataset", |arg| arg.required_unless_present_any(["config", "set", "embeddings"])),
)]
pub(super) struct DuplicatesArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Embed the images with this run folder, or file written by `loop-dml export`
    #[arg(
        long,
        value_name = "RUN|FILE",
        required_unless_present = "embeddings",
        conflicts_with = "embeddings"
    )]
    network: Option<PathBuf>,
    /// Checkpoint of the run; best has the highest Recall@1 [default: best]
    #[arg(long, value_name = "best|last|EPOCH", value_parser = checkpoint, allow_negative_numbers = true, requires = "network")]
    checkpoint: Option<Checkpoint>,
    /// Compare the embeddings of this file instead of a dataset (repeatable; each file is a split)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dataset", "config", "set", "workers"])]
    embeddings: Vec<PathBuf>,
    /// Number of nearest neighbours with which an image is compared, 1 to 1,000
    #[arg(short = 'k', value_name = "K", default_value_t = 10, value_parser = whole_number::<usize>(1..=1000), allow_negative_numbers = true)]
    k: usize,
    /// Greatest distance of near duplicates [default: a tenth of the median distance to the nearest image]
    #[arg(long, value_name = "DISTANCE", value_parser = distance, allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Print all groups and images, not only the first 20
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Write a page with the images to this .html file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

/// Parses a distance.
fn distance(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let number = number.filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "give a distance, 0 or more".into())
}

pub(super) fn run(args: &DuplicatesArgs, monitor: Monitor<'_>) -> Result<(), CliError> {
    let since = Instant::now();
    if let Some(path) = &args.html {
        check_extension("--html", path, "html")?;
        check_free(path)?;
    }
    let (title, parts) = match args.embeddings.is_empty() {
        true => dataset_parts(args, monitor)?,
        false => file_parts(args)?,
    };
    let task = DuplicatesTask {
        parts,
        options: DuplicateOptions {
            neighbours: args.k,
            threshold: args.threshold,
        },
        monitor,
    };
    let (report, skipped) = args.device.run(task)??;
    print_skipped(&skipped);
    if report.incomplete > 0 {
        tracing::warn!(
            "all {} neighbours of {} image(s) are near duplicates, so there may be more; give a greater -k",
            args.k,
            report.incomplete
        );
    }
    if let Some(path) = &args.html {
        let page = duplicates_page(&report, format!("Near duplicates of {title}"), monitor);
        let (html, without_image) = page.map_err(InferenceError::from)?;
        write_new(path, |file| file.write_all(html.as_bytes()))?;
        status(format_args!("wrote {}", path.display()));
        if without_image > 0 {
            tracing::warn!(
                "{without_image} image(s) cannot be shown; for embeddings, give their folder with --root"
            );
        }
    }
    match args.source.json {
        true => output::print_report_json(&report, since.elapsed().as_secs_f64()),
        false => output::print_report(&report, &title, args.all),
    }
}

/// The splits before they are embedded.
enum Parts {
    Embedded(Vec<ImagePart>),
    Images(Box<EmbeddingSource>, Vec<(&'static str, ImageSet)>),
}

fn file_parts(args: &DuplicatesArgs) -> Result<(String, Parts), CliError> {
    let mut parts = Vec::new();
    for path in &args.embeddings {
        let file = Embeddings::read_with_any_labels(path)?;
        parts.push(ImagePart {
            split: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
            images: EmbeddedImages::from_file(file, args.source.root.clone()),
        });
    }
    let mut names: Vec<&str> = parts.iter().map(|part| part.split.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let reason = "two files have this name, which is that of a split; rename one of them";
        return Err(SettingError::value("--embeddings", pair[0], reason).into());
    }
    let files = args.embeddings.iter();
    let files: Vec<String> = files.map(|path| path.display().to_string()).collect();
    Ok((files.join(", "), Parts::Embedded(parts)))
}

fn dataset_parts(args: &DuplicatesArgs, monitor: Monitor<'_>) -> Result<(String, Parts), CliError> {
    let network = args
        .network
        .as_deref()
        .expect("clap requires one of the two");
    let mut source = EmbeddingSource::open(network, args.checkpoint)?;
    let data = read_config(&args.source)?.0;
    let survey = DatasetSurvey::open(&data, monitor)?;
    survey.check_splits()?;
    if let [first, ..] = survey.errors() {
        let count = survey.errors().len();
        tracing::warn!(
            "{first}; what has errors ({count} in all) is not compared: `loop-dml data check` lists them"
        );
    }
    source.config_mut().data.loading = data.loading.clone();
    let title = super::named(data.source.name(), data.source.root());
    let sets = survey.image_sets().into_iter();
    let sets = sets.map(|(split, set)| (split, ImageSet::join(vec![set])));
    Ok((title, Parts::Images(Box::new(source), sets.collect())))
}

struct DuplicatesTask<'a> {
    parts: Parts,
    options: DuplicateOptions,
    monitor: Monitor<'a>,
}

impl BackendTask for DuplicatesTask<'_> {
    type Output = Result<(DuplicateReport, Vec<String>), InferenceError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let (compute, monitor) = (compute.without_gradients(), self.monitor);
        let mut skipped = Vec::new();
        let parts = match self.parts {
            Parts::Embedded(parts) => parts,
            Parts::Images(source, sets) => {
                let network = source.network(&compute, monitor)?;
                let mut parts = Vec::new();
                for (split, images) in sets {
                    let config = source.config();
                    let (embedded, more) =
                        inference::embed_with(&network, config, &images, &compute, monitor)?;
                    skipped.extend(more);
                    parts.push(ImagePart {
                        split: split.into(),
                        images: EmbeddedImages::from_images(&images.path, embedded),
                    });
                }
                parts
            }
        };
        let found = duplicates::<B::InnerBackend>(parts, self.options, &compute.device, monitor)?;
        Ok((found, skipped))
    }
}
