//! `loop-dml search`.

mod index;
mod output;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Args;

use super::CliError;
use super::DeviceArgs;
use super::embedding_args::EmbeddingArgs;
use super::extension::check_extension;
use super::interrupt::CommandMonitor;
use super::output::status;
use super::training_output::print_skipped;
use super::values::{checkpoint, whole_number};
use crate::atomic_file::{check_free, write_new};
use crate::backend::{BackendTask, ComputeContext};
use crate::data::config::LoadingConfig;
use crate::data::{ImageSelection, ImageSet, named_image_file};
use crate::embedding_file::Embeddings;
use crate::inference::search::{
    EmbeddedImages, SearchInput, SearchInputs, SearchResult, SearchSets, search,
};
use crate::inference::{self, EmbeddingNetwork, EmbeddingSource, InferenceError};
use crate::progress::Monitor;
use crate::report::search_page;
use crate::training::Checkpoint;
use index::IndexUse;

const EXAMPLES: &str = "\
A QUERY is an image, a folder, a list (a text file with one path per line, or a CSV file with a column path), or a file of \
embeddings (safetensors, .npy or .npz). So is the gallery. Without images, no network is needed. A query that is in the \
gallery is not its own neighbour. Neighbours are exact: distances are Euclidean, and of images as near, the first in the \
gallery is first. The class of an image is its folder, its label in the list, or its label in the file.

Examples:
  Find the images of a folder that are nearest to two photos:
    loop-dml search artifacts/quickstart-1 a.jpg b.jpg --gallery photos
  Embed a large gallery once, then search it:
    loop-dml embed embedder.safetensors --images photos --output photos.safetensors
    loop-dml search embedder.safetensors a.jpg --gallery photos.safetensors --gallery-root photos
  Show every image of a folder beside the 5 nearest others, in a page for a browser:
    loop-dml search artifacts/quickstart-1 photos --gallery photos -k 5 --html photos.html
  Search millions of embeddings approximately, by an index that is built once (feature index):
    loop-dml search queries.npy --gallery shop.safetensors --index shop.usearch
  Search embeddings in embeddings, as JSON:
    loop-dml search queries.npy --gallery shop.safetensors --json";

const USAGE: &str = "\
loop-dml search <RUN|FILE> <QUERY>... --gallery <DIR|LIST|FILE> [OPTIONS]
       loop-dml search <EMBEDDINGS> --gallery <EMBEDDINGS> [OPTIONS]";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(super) struct SearchArgs {
    /// Run folder or file written by `loop-dml export`, then queries; or a file of embeddings
    #[arg(value_name = "RUN|FILE QUERY", required = true)]
    paths: Vec<PathBuf>,
    /// Folder, list or file of embeddings to search in
    #[arg(long, value_name = "DIR|LIST|FILE")]
    gallery: PathBuf,
    /// Number of neighbours of each query
    #[arg(short = 'k', value_name = "K", default_value_t = 10, value_parser = whole_number::<usize>(1..), allow_negative_numbers = true)]
    k: usize,
    /// Search approximately by this index of the gallery; it is built if it does not exist
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
    /// Write a page with the queries and their neighbours to this .html file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Checkpoint of the run; best has the highest Recall@1 [default: best]
    #[arg(long, value_name = "best|last|EPOCH", value_parser = checkpoint, allow_negative_numbers = true)]
    checkpoint: Option<Checkpoint>,
    /// Folder that the paths of the queries are relative to, if they are a list or embeddings
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Folder that the paths of the gallery are relative to, if it is a list or embeddings
    #[arg(long, value_name = "DIR")]
    gallery_root: Option<PathBuf>,
    #[command(flatten)]
    embedding: EmbeddingArgs,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

pub(super) fn run(args: SearchArgs) -> Result<(), CliError> {
    let since = Instant::now();
    let command = CommandMonitor::install();
    let monitor = command.monitor();
    if let Some(path) = &args.html {
        check_extension("--html", path, "html")?;
        check_free(path)?;
    }
    if let Some(path) = &args.index {
        index::check(path)?;
    }
    let inputs = SearchInputs::new(&args.paths, &args.gallery)?;
    let source = network(&args, &inputs)?;
    let name = source.as_ref().map(EmbeddingSource::describe);
    let loading = source.as_ref().map(|source| &source.config().data.loading);
    let loading = loading.cloned().unwrap_or_default();
    let open = |input: &SearchInput, root| Side::open(input, root, &loading, monitor);
    let queries = open(&inputs.queries, &args.root)?;
    let gallery = inputs.gallery.as_ref();
    let gallery = gallery.map(|input| open(input, &args.gallery_root));
    let gallery = gallery.transpose()?;
    let task = SearchTask {
        source,
        queries,
        gallery,
        k: args.k,
        index: args.index.clone(),
        monitor,
    };
    let (found, skipped) = args.device.run(task)??;
    print_skipped(&skipped);
    let Found { result, index } = found;
    if let Some(index) = &index {
        index.print(args.k);
    }
    warn(&args, &inputs, &result);
    if let Some(path) = &args.html {
        write_page(path, &result, name.as_deref(), monitor)?;
    }
    let seconds = since.elapsed().as_secs_f64();
    match args.json {
        true => output::print_result_json(&result, name.as_deref(), index, seconds),
        false => output::print_result(&result, seconds),
    }
}

/// Opens the network that embeds images; `None` if there are none.
fn network(
    args: &SearchArgs,
    inputs: &SearchInputs,
) -> Result<Option<EmbeddingSource>, InferenceError> {
    let Some(path) = &inputs.network else {
        return Ok(None);
    };
    let mut source = EmbeddingSource::open(path, args.checkpoint)?;
    if source.takes_features() {
        source.check_input(!inputs.has_images())?;
    } else if !inputs.has_images() {
        tracing::warn!(
            "queries and gallery are embeddings already; {} is not used",
            path.display()
        );
        return Ok(None);
    }
    args.embedding.apply(source.config_mut())?;
    Ok(Some(source))
}

/// Queries or a gallery, before they are embedded.
enum Side {
    /// A file of embeddings, or of features for a head, and the folder of its paths.
    File(Embeddings, Option<PathBuf>),
    Images(ImageSet),
}

impl Side {
    fn open(
        input: &SearchInput,
        root: &Option<PathBuf>,
        loading: &LoadingConfig,
        monitor: Monitor<'_>,
    ) -> Result<Self, CliError> {
        match input {
            SearchInput::Embeddings(path) => {
                let file = Embeddings::read_with_any_labels(path)?;
                Ok(Self::File(file, root.clone()))
            }
            SearchInput::Images(paths) => {
                let selection = ImageSelection {
                    root: root.clone(),
                    split: None,
                };
                let open = |path: &PathBuf| ImageSet::open(path, &selection, loading, monitor);
                let sets: Vec<ImageSet> = paths.iter().map(open).collect::<Result<_, _>>()?;
                Ok(Self::Images(ImageSet::join(sets)))
            }
        }
    }

    fn embed<B: Backend>(
        self,
        network: Option<&EmbeddingNetwork<B>>,
        source: Option<&EmbeddingSource>,
        compute: &ComputeContext<B>,
        monitor: Monitor<'_>,
    ) -> Result<(EmbeddedImages, Vec<String>), InferenceError> {
        match (self, network.zip(source)) {
            (Self::File(features, root), Some((network, source))) if network.takes_features() => {
                let config = source.config();
                let embedded =
                    inference::embed_features(network, config, features, compute, monitor)?;
                Ok((EmbeddedImages::from_file(embedded, root), Vec::new()))
            }
            (Self::File(embeddings, root), _) => {
                Ok((EmbeddedImages::from_file(embeddings, root), Vec::new()))
            }
            (Self::Images(images), Some((network, source))) => {
                let config = source.config();
                let (embedded, skipped) =
                    inference::embed_with(network, config, &images, compute, monitor)?;
                Ok((EmbeddedImages::from_images(&images.path, embedded), skipped))
            }
            (Self::Images(_), None) => unreachable!("images are refused without a network"),
        }
    }
}

struct SearchTask<'a> {
    source: Option<EmbeddingSource>,
    queries: Side,
    gallery: Option<Side>,
    k: usize,
    index: Option<PathBuf>,
    monitor: Monitor<'a>,
}

/// What was found, and by which index.
struct Found {
    result: SearchResult,
    index: Option<IndexUse>,
}

impl BackendTask for SearchTask<'_> {
    type Output = Result<(Found, Vec<String>), InferenceError>;

    fn run<B: AutodiffBackend>(self, compute: ComputeContext<B>) -> Self::Output {
        let compute = compute.without_gradients();
        let (source, monitor) = (self.source.as_ref(), self.monitor);
        let network = source.map(|source| source.network(&compute, monitor));
        let network = network.transpose()?;
        let embed = |side: Side| side.embed(network.as_ref(), source, &compute, monitor);
        let (queries, mut skipped) = embed(self.queries)?;
        let gallery = match self.gallery.map(embed).transpose()? {
            Some((gallery, more)) => {
                skipped.extend(more);
                Some(gallery)
            }
            None => None,
        };
        let sets = SearchSets { queries, gallery };
        let device = &compute.device;
        let found = match &self.index {
            Some(path) => index::search::<B::InnerBackend>(sets, path, self.k, device, monitor)?,
            None => Found {
                result: search::<B::InnerBackend>(sets, self.k, device, monitor)?,
                index: None,
            },
        };
        Ok((found, skipped))
    }
}

/// Warns about neighbours that cannot be found, and images whose place is not known.
fn warn(args: &SearchArgs, inputs: &SearchInputs, result: &SearchResult) {
    let searched = match inputs.gallery {
        Some(_) => result.gallery().count(),
        None => result.gallery().count() - 1,
    };
    if searched < args.k {
        tracing::warn!(
            "a query is searched among {searched} image(s), fewer than the {} neighbours of -k",
            args.k
        );
    }
    let sides = [
        (Some(&inputs.queries), result.queries(), "--root"),
        (inputs.gallery.as_ref(), result.gallery(), "--gallery-root"),
    ];
    for (input, images, option) in sides {
        let (Some(SearchInput::Embeddings(path)), Some(_)) = (input, &args.html) else {
            continue;
        };
        let folder = match option {
            "--root" => args.root.as_deref(),
            _ => args.gallery_root.as_deref(),
        };
        let folder = folder.or(path.parent()).unwrap_or(Path::new(""));
        match images.path(0) {
            None => tracing::warn!(
                "{} has no paths, so its images are not shown; write it with loop-dml embed",
                path.display()
            ),
            Some(name) if !named_image_file(folder, name).is_file() => tracing::warn!(
                "{} is not found, so the images of {} may not be shown; give their folder with {option}",
                folder.join(name).display(),
                path.display()
            ),
            Some(_) => {}
        }
    }
}

fn write_page(
    path: &Path,
    result: &SearchResult,
    network: Option<&str>,
    monitor: Monitor<'_>,
) -> Result<(), CliError> {
    let page = search_page(result, network, monitor).map_err(InferenceError::from)?;
    write_new(path, |file| file.write_all(page.html.as_bytes()))?;
    let queries = result.queries().count();
    let left_out = match page.queries < queries {
        true => format!(" (the first of {queries})"),
        false => String::new(),
    };
    status(format_args!(
        "wrote {}: {} query image(s){left_out}, up to {} neighbours of each",
        path.display(),
        page.queries,
        page.neighbours
    ));
    if page.without_image > 0 {
        tracing::warn!("{} image(s) cannot be shown", page.without_image);
    }
    Ok(())
}
