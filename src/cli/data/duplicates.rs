//! `loop-dml data duplicates`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use serde_json::{Value, json};

use super::super::CliError;
use super::super::DeviceArgs;
use super::super::output::{print, print_json, status};
use super::super::training_output::print_skipped;
use super::super::values::{checkpoint, whole_number};
use super::{SourceArgs, read_config};
use crate::atomic_file::{check_free, write_new};
use crate::backend::{BackendTask, ComputeContext};
use crate::data::ImageSet;
use crate::data::survey::DatasetSurvey;
use crate::escape::escaped;
use crate::inference::duplicates::{
    DuplicateGroup, DuplicateOptions, DuplicateReport, ImagePart, Mislabelled, Relation, duplicates,
};
use crate::inference::embedding_file::Embeddings;
use crate::inference::search::EmbeddedImages;
use crate::inference::{self, EmbeddingSource, InferenceError};
use crate::progress::Monitor;
use crate::report::duplicates_page;
use crate::setting::SettingError;
use crate::training::Checkpoint;

/// The groups and images that are printed, unless all are asked for.
const PRINTED: usize = 20;

/// The images of a group that are printed.
const PRINTED_OF_GROUP: usize = 10;

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
        true => print_json(as_json(&report, since.elapsed().as_secs_f64())),
        false => print_report(&report, &title, args.all),
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

fn print_report(report: &DuplicateReport, title: &str, all: bool) -> Result<(), CliError> {
    let splits = report
        .splits()
        .map(|(split, count)| format!("{count} in {split}"));
    let splits: Vec<String> = splits.collect();
    print(format_args!(
        "{title}: {} images ({})",
        report.count(),
        splits.join(", ")
    ))?;
    print(format_args!(
        "near duplicates are at most {:.6} apart; the median distance to the nearest image is {:.6}",
        report.threshold, report.median_distance
    ))?;
    let limit = if all { usize::MAX } else { PRINTED };
    for (relation, heading) in [
        (
            Relation::AcrossSplits,
            "across splits: a test image may be trained on",
        ),
        (
            Relation::AcrossClasses,
            "across classes: one of the classes is wrong",
        ),
        (Relation::WithinClass, "within a class: they count twice"),
    ] {
        let groups = report.groups.iter();
        let groups: Vec<&DuplicateGroup> =
            groups.filter(|group| group.relation == relation).collect();
        if groups.is_empty() {
            continue;
        }
        print(format_args!("{} group(s) {heading}", groups.len()))?;
        for group in groups.iter().take(limit) {
            print_group(report, group)?;
        }
        print_more(groups.len(), limit)?;
    }
    if report.groups.is_empty() {
        print("no near duplicates")?;
    }
    print_mislabelled(report, limit)
}

fn print_group(report: &DuplicateReport, group: &DuplicateGroup) -> Result<(), CliError> {
    for (at, &image) in group.images.iter().take(PRINTED_OF_GROUP).enumerate() {
        let distance = match at {
            0 => format!("{:9.6}", group.distance),
            _ => " ".repeat(9),
        };
        let class = report.class(image);
        let class = class.map_or(String::new(), |class| format!("  ({class})"));
        let name = report.name(image);
        print(format_args!(
            "{distance}  {:10}  {name}{class}",
            report.split(image)
        ))?;
    }
    match group.images.len().saturating_sub(PRINTED_OF_GROUP) {
        0 => Ok(()),
        more => print(format_args!("{}  and {more} more", " ".repeat(9))),
    }
}

fn print_mislabelled(report: &DuplicateReport, limit: usize) -> Result<(), CliError> {
    let found = &report.mislabelled;
    if found.is_empty() {
        return print("no likely mislabelled images");
    }
    print(format_args!("{} likely mislabelled image(s)", found.len()))?;
    for found in found.iter().take(limit) {
        let class = |image| {
            report
                .class(image)
                .map_or(String::new(), |class| class.to_string())
        };
        print(format_args!(
            "  {} of {} neighbours are {}, {} are {}: {}",
            found.votes,
            found.neighbours.len(),
            escaped(&class(found.suggested_by)),
            found.own_votes,
            escaped(&class(found.image)),
            report.name(found.image)
        ))?;
    }
    print_more(found.len(), limit)
}

fn print_more(count: usize, limit: usize) -> Result<(), CliError> {
    match count.saturating_sub(limit) {
        0 => Ok(()),
        more => print(format_args!(
            "  and {more} more; print all with --all or --json"
        )),
    }
}

fn as_json(report: &DuplicateReport, seconds: f64) -> Value {
    let image = |image: usize| {
        let (images, row) = report.located(image);
        json!({
            "path": images.path(row),
            "row": row,
            "split": report.split(image),
            "label": report.class(image),
        })
    };
    let group = |group: &DuplicateGroup| {
        json!({
            "relation": group.relation,
            "distance": group.distance,
            "images": group.images.iter().map(|&of| image(of)).collect::<Vec<_>>(),
        })
    };
    let mislabelled = |found: &Mislabelled| {
        let mut object = image(found.image);
        let neighbours = found.neighbours.iter().map(|near| {
            let mut object = image(near.row);
            object["distance"] = json!(near.distance);
            object
        });
        object["suggested"] = json!(report.class(found.suggested_by));
        object["votes"] = json!(found.votes);
        object["own_votes"] = json!(found.own_votes);
        object["margin"] = json!(found.margin());
        object["neighbours"] = neighbours.collect();
        object
    };
    let splits = report
        .splits()
        .map(|(split, count)| (split.to_string(), json!(count)));
    json!({
        "images": report.count(),
        "splits": splits.collect::<serde_json::Map<_, _>>(),
        "threshold": report.threshold,
        "median_distance": report.median_distance,
        "incomplete": report.incomplete,
        "groups": report.groups.iter().map(group).collect::<Vec<_>>(),
        "mislabelled": report.mislabelled.iter().map(mislabelled).collect::<Vec<_>>(),
        "seconds": seconds,
    })
}
