//! The report of one run.

use burn::tensor::backend::Backend;
use maud::html;

use super::distances::DistanceSample;
use super::evaluated_split::EvaluatedSplit;
use super::images::{Thumbnails, small_images};
use super::map::EmbeddingMap;
use super::neighbours::{Confusions, QueryNeighbours, confusions, extremes, with_neighbours};
use super::page::{Page, Section};
use super::run_files::RunFiles;
use super::sections;
use super::sprite_sheet::SpriteSheet;
use super::text;
use super::thumbnail::ThumbnailSpec;
use crate::cancellation::Cancelled;
use crate::progress::Monitor;

/// The kind of page.
pub const REPORT: &str = "report";
/// Shows the image of a point of the map.
const SCRIPT: &str = include_str!("map.js");

/// Best queries that are shown.
const BEST: usize = 6;
/// Worst queries that are shown.
const WORST: usize = 10;
/// The seed of everything that is drawn.
const SEED: u64 = 1;
/// The side of the images of the map in pixels.
const MAP_SIDE: u32 = 56;
/// The most bytes of the images of the map. With at most 168 thumbnails of 8,000 bytes, the images of a report have
/// less than 3 MB.
const MAP_BYTES: usize = 1_500_000;

/// The report of one run.
#[derive(Debug, Clone)]
pub struct RunReport {
    files: RunFiles,
    /// The test split, or why it was not evaluated.
    evaluation: Result<Evaluation, String>,
}

/// A test split, and what is shown of it.
#[derive(Debug, Clone)]
struct Evaluation {
    split: EvaluatedSplit,
    best: Vec<QueryNeighbours>,
    worst: Vec<QueryNeighbours>,
    confusions: Confusions,
    distances: Option<DistanceSample>,
    map: Option<(EmbeddingMap, SpriteSheet)>,
    thumbnails: Thumbnails,
}

impl RunReport {
    /// A report of what the run folder says, without evaluation for a `reason`.
    pub fn without_evaluation(files: RunFiles, reason: String) -> Self {
        Self {
            files,
            evaluation: Err(reason),
        }
    }

    /// Examines the embeddings of the test split.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn new<B: Backend>(
        files: RunFiles,
        split: EvaluatedSplit,
        device: &B::Device,
        monitor: Monitor<'_>,
    ) -> Result<Self, Cancelled> {
        let rows = &split.rows;
        let [best, worst] = extremes(rows, &split.queries, [BEST, WORST]);
        let best = with_neighbours(rows, &best, monitor)?;
        let worst = with_neighbours(rows, &worst, monitor)?;
        let confusions = confusions(rows, &split.queries, SEED, monitor)?;
        let map = EmbeddingMap::new::<B>(rows, SEED, device, monitor)?;
        let map = match map {
            Some(map) => {
                let images = small_images(&split, &map.rows, MAP_SIDE, monitor)?;
                Some((map, SpriteSheet::new(&images, MAP_SIDE, MAP_BYTES)))
            }
            None => None,
        };
        let mut shown: Vec<usize> = Vec::new();
        for query in best.iter().chain(&worst) {
            shown.push(query.query.row);
            shown.extend(query.neighbours.iter().map(|neighbour| neighbour.row));
        }
        let pairs = confusions.pairs.iter();
        shown.extend(pairs.flat_map(|pair| [pair.example, pair.neighbour]));
        let thumbnails = Thumbnails::new(&split, shown, ThumbnailSpec::default(), monitor)?;
        let distances = DistanceSample::draw(rows, SEED);
        let evaluation = Evaluation {
            split,
            best,
            worst,
            confusions,
            distances,
            map,
            thumbnails,
        };
        Ok(Self {
            files,
            evaluation: Ok(evaluation),
        })
    }

    /// The report as an HTML page.
    pub fn to_html(&self) -> String {
        let files = &self.files;
        let split = self.evaluation.as_ref().map(|evaluation| &evaluation.split);
        let mut found: Vec<Option<Section>> = vec![
            Some(sections::overview(files, split.map_err(String::as_str))),
            sections::curves(files),
        ];
        if let Ok(evaluation) = &self.evaluation {
            let (split, images) = (&evaluation.split, &evaluation.thumbnails);
            found.push(
                evaluation
                    .distances
                    .as_ref()
                    .map(|sample| sections::distances(split, sample)),
            );
            let map = evaluation.map.as_ref();
            found.push(map.map(|(map, sprites)| sections::map(split, map, sprites)));
            found.push(sections::worst_queries(split, &evaluation.worst, images));
            found.push(sections::best_queries(split, &evaluation.best, images));
            found.push(Some(sections::confusions(
                split,
                &evaluation.confusions,
                images,
            )));
            found.push(sections::skipped(split, &files.record));
        }
        found.push(sections::published(files));
        found.push(Some(sections::configuration(files)));
        found.push(Some(sections::environment(files)));
        let config = &files.config;
        Page {
            kind: REPORT,
            title: format!("Run {}", text::name(&files.name())),
            summary: html! {
                p {
                    (config.data.source.name()) " · " (config.model.backbone.to_string()) " · "
                    (config.loss.kind.name()) " · negatives " (config.negatives.description())
                }
            },
            sections: found.into_iter().flatten().collect(),
            script: match self.evaluation.is_ok() {
                true => SCRIPT,
                false => "",
            },
        }
        .to_html()
    }
}
