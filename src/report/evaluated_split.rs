//! The test split of a run, embedded with one of its checkpoints, and the measures of each query.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::backend::ComputeContext;
use crate::cancellation::Cancelled;
use crate::config::Config;
use crate::data::config::BrokenImages;
use crate::data::{self, DataError, Split, Transform};
use crate::evaluation::{
    QueryMeasures, Resampling, RetrievalIntervals, RetrievalMeasures, Role, mean_interval,
    measure_queries,
};
use crate::progress::Monitor;
use crate::training::{
    self, Checkpoint, RetrievalProtocol, RunFolder, RunFolderError, SplitSummary, TrainingError,
};

/// The seed of bootstrap samples: the same embeddings have the same intervals, as in `evaluate`.
const INTERVAL_SEED: u64 = 0;

/// The embeddings of images, row by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbeddedRows {
    /// The embeddings \[N, D\].
    pub values: Vec<f32>,
    /// The dimension D.
    pub dim: usize,
    /// The label of each row.
    pub labels: Vec<usize>,
    /// The index in the split of the image of each row.
    pub indices: Vec<usize>,
    /// The role of each row; `None` if each is a query and in the gallery.
    pub roles: Option<Vec<Role>>,
}

impl EmbeddedRows {
    /// The number of rows N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The embedding of a row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dim..][..self.dim]
    }

    /// The role of a row.
    pub fn role(&self, row: usize) -> Role {
        self.roles.as_ref().map_or(Role::Both, |roles| roles[row])
    }
}

/// A query that has a positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasuredQuery {
    /// Its row.
    pub row: usize,
    /// Its measures.
    pub measures: QueryMeasures,
}

/// A split that was embedded and measured.
#[derive(Debug, Clone)]
pub struct EvaluatedSplit {
    /// The epoch of the checkpoint.
    pub epoch: usize,
    /// The images.
    pub split: Split,
    /// The identity of the split.
    pub summary: SplitSummary,
    /// The embeddings.
    pub rows: EmbeddedRows,
    /// The queries that have a positive, in the order of the rows.
    pub queries: Vec<MeasuredQuery>,
    /// The K of Recall@K that were measured.
    pub recall: Vec<usize>,
    /// The causes of skipped images.
    pub skipped: Vec<String>,
    /// The number of images that are missing since the run began.
    pub missing: usize,
}

impl EvaluatedSplit {
    /// Embeds the test split of a run as `evaluate` does, except that images that cannot be read are skipped, and
    /// measures each query.
    ///
    /// # Errors
    /// If the checkpoint, the images or the configuration are invalid, no query can be read, or a stop was requested.
    pub fn evaluate<B: Backend>(
        folder: &RunFolder,
        config: &Config,
        checkpoint: Checkpoint,
        compute: &ComputeContext<B>,
        monitor: Monitor<'_>,
    ) -> Result<Self, TrainingError> {
        folder.checkpoint(checkpoint)?;
        let mut config = config.clone();
        config.data.loading.broken_images = BrokenImages::Skip;
        let transform = Transform::new(&config.data.transform)?;
        let (cancellation, progress) = (&monitor.cancellation(), monitor.observer());
        let (split, warnings) = data::open_test(&config.data, &transform, cancellation, progress)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        training::check_feature_dim(&config, &split)?;
        let recorded = folder.record()?.test;
        let summary = SplitSummary::new(&split, monitor).map_err(DataError::from)?;
        // Rows of features cannot be missing: the file is another one.
        let missing = match split.feature_dim() {
            Some(_) => None,
            None => recorded.missing_images(&summary),
        };
        if missing.is_none() {
            folder.check_split("test", &recorded, &summary)?;
        }
        let (epoch, embedder) = training::load_checkpoint(folder, &config, checkpoint, compute)?;
        let device = &compute.device;
        let (embeddings, mut skipped) =
            training::embed_split(&embedder, &config, &split, compute, monitor)?;
        skipped.extend(split.skipped().iter().cloned());
        let rows = EmbeddedRows {
            values: embeddings.values().to_vec(),
            dim: embeddings.dim(),
            labels: embeddings.labels().to_vec(),
            indices: embeddings.indices().to_vec(),
            roles: split
                .roles()
                .map(|roles| embeddings.indices().iter().map(|&i| roles[i]).collect()),
        };
        let queries = measured_queries::<B>(&rows, device, monitor).map_err(DataError::from)?;
        if queries.is_empty() {
            return Err(training::no_readable_query(&skipped));
        }
        let protocol = RetrievalProtocol::new(&config.evaluation, &split);
        Ok(Self {
            epoch,
            split,
            summary,
            rows,
            queries,
            recall: protocol.recall,
            skipped,
            missing: missing.unwrap_or(0),
        })
    }

    /// The means over the queries.
    pub fn measures(&self) -> RetrievalMeasures {
        let queries = self.queries.iter().map(|query| Some(query.measures));
        RetrievalMeasures::from_queries(&queries.collect::<Vec<_>>(), &self.recall)
    }

    /// 95 % intervals of the means, drawn over classes.
    pub fn intervals(&self) -> Option<RetrievalIntervals> {
        let classes: Vec<usize> = self
            .queries
            .iter()
            .map(|q| self.rows.labels[q.row])
            .collect();
        let interval = |measure: &dyn Fn(&QueryMeasures) -> f64| {
            let values: Vec<f64> = self.queries.iter().map(|q| measure(&q.measures)).collect();
            mean_interval(&values, &classes, Resampling::Classes, INTERVAL_SEED)
        };
        let found = |&k: &usize| {
            let found = interval(&|query| f64::from(u8::from(query.nearest <= k)))?;
            Some((k, found))
        };
        Some(RetrievalIntervals {
            recall: self.recall.iter().map(found).collect::<Option<_>>()?,
            map_at_r: interval(&|query| query.map_at_r)?,
            r_precision: interval(&|query| query.r_precision)?,
            map: interval(&|query| query.average_precision)?,
        })
    }

    /// The name of a class.
    pub fn class_name(&self, label: usize) -> &str {
        &self.split.class_names()[label]
    }

    /// The class and the name of the image of a row.
    pub fn names(&self, row: usize) -> (&str, String) {
        let class = self.class_name(self.rows.labels[row]);
        (class, self.split.image_name(self.rows.indices[row]))
    }
}

/// Measures the queries that have a positive.
pub(super) fn measured_queries<B: Backend>(
    rows: &EmbeddedRows,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<Vec<MeasuredQuery>, Cancelled> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let data = TensorData::new(rows.values.clone(), [rows.len(), rows.dim]);
    let embeddings = Tensor::<B, 2>::from_data(data, device);
    let measures = measure_queries(embeddings, &rows.labels, rows.roles.as_deref(), monitor)?;
    let queries = (0..rows.len()).filter(|&row| rows.role(row).is_query());
    let measured = queries.zip(measures).filter_map(|(row, measures)| {
        Some(MeasuredQuery {
            row,
            measures: measures?,
        })
    });
    Ok(measured.collect())
}

/// Why a split was not evaluated although the rest of a report can be written: the message. Other errors, an
/// interrupt among them, end the report.
///
/// # Errors
/// The error, if it ends the report.
pub fn reason_without_evaluation(error: TrainingError) -> Result<String, TrainingError> {
    match error {
        TrainingError::Data(DataError::Cancelled | DataError::Setting(_)) => Err(error),
        TrainingError::Data(_)
        | TrainingError::BrokenNetwork
        | TrainingError::RunFolder(
            RunFolderError::NoCheckpoint { .. }
            | RunFolderError::Damaged { .. }
            | RunFolderError::ImagesChanged { .. }
            | RunFolderError::RolesChanged { .. },
        ) => Ok(error.to_string()),
        error => Err(error),
    }
}
