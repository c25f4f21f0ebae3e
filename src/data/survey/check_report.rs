//! The report of a check: counts, comparisons and problems.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::dataset_survey::subset_entries;
use super::problem::{Problem, Severity};
use crate::data::config::DataConfig;
use crate::data::datasets::{DatasetError, DatasetIndex, Subset};
use crate::data::image_cache::{CacheComparison, CacheError, CacheState};
use crate::data::split::{Split, Splits};

/// The report of `loop-dml data check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// Whether the dataset was checked completely and has no errors.
    pub ok: bool,
    /// Whether the check was interrupted. The report has the problems that were found until then.
    pub interrupted: bool,
    /// Whether the lists and folders could be read. If not, no image was found, and a problem says why.
    pub opened: bool,
    /// The dataset's name in the configuration.
    pub dataset: &'static str,
    /// Its root, or `None` for drawn images.
    pub root: Option<PathBuf>,
    /// The training split.
    pub train: SubsetSummary,
    /// The classes of the training split that train and validate. `None` without a configuration that
    /// holds classes out, if there are too few, or if the dataset lists a validation split.
    pub hold_out: Option<HoldOutSummary>,
    /// The validation split that the dataset lists, or `None` if it lists none.
    pub validation: Option<EvaluatedSummary>,
    /// The test split.
    pub test: EvaluatedSummary,
    /// The comparison with the published splits, or `None` if the dataset has none.
    pub published: Option<Agreement>,
    /// Number of images that were decoded, all unless the check was interrupted.
    pub checked: usize,
    /// The comparisons of the image caches with the images. `None` if they were not requested or not possible.
    pub caches: Option<Vec<CacheComparison>>,
    /// Whether the images are in memory. They were verified when they were read or drawn.
    pub in_memory: bool,
    /// Number of problems that are errors.
    pub errors: usize,
    /// Number of problems that are warnings.
    pub warnings: usize,
    /// The problems, errors first.
    pub problems: Vec<Problem>,
    /// Wall-clock time of the check in seconds.
    pub seconds: f64,
}

/// The size of a split.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SubsetSummary {
    /// Number of images.
    pub images: usize,
    /// Number of classes.
    pub classes: usize,
    /// Images of the smallest and of the largest class. `None` without classes.
    pub images_per_class: Option<[usize; 2]>,
}

/// The sizes of the parts of the training split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HoldOutSummary {
    /// The classes that train.
    pub train: SubsetSummary,
    /// The classes that validate.
    pub validation: SubsetSummary,
}

/// The size of a validation or test split.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EvaluatedSummary {
    /// Images and classes.
    #[serde(flatten)]
    pub subset: SubsetSummary,
    /// Number of queries.
    pub queries: usize,
    /// Number of gallery images.
    pub gallery: usize,
}

/// The comparison of a dataset with its published splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Agreement {
    /// The same images in the same classes.
    Exact,
    /// The same numbers of images and classes. The published list is not known.
    Counts,
    /// Different images or classes.
    Differs,
}

impl CheckReport {
    /// Returns the report of a configured dataset that was not examined yet.
    pub(super) fn new(config: &DataConfig) -> Self {
        Self {
            ok: true,
            interrupted: false,
            opened: true,
            dataset: config.source.name(),
            root: config.source.root().map(Path::to_path_buf),
            train: SubsetSummary::default(),
            hold_out: None,
            validation: None,
            test: EvaluatedSummary::default(),
            published: None,
            checked: 0,
            caches: None,
            in_memory: false,
            errors: 0,
            warnings: 0,
            problems: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Returns the report of a dataset whose lists and folders cannot be read.
    pub fn unopened(config: &DataConfig, error: DatasetError) -> Self {
        let mut report = Self {
            opened: false,
            ..Self::new(config)
        };
        match error {
            DatasetError::Cancelled => report.interrupt(),
            error => report.add(vec![Problem::new(error)]),
        }
        report
    }

    /// Records that the check was interrupted.
    pub(in crate::data) fn interrupt(&mut self) {
        self.interrupted = true;
        self.ok = false;
    }

    /// Adds problems.
    pub(super) fn add(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
        self.problems.sort_by_key(|problem| problem.severity);
        let problems = || self.problems.iter();
        let count = |severity| problems().filter(|p| p.severity == severity).count();
        (self.errors, self.warnings) = (count(Severity::Error), count(Severity::Warning));
        self.ok = self.errors == 0 && !self.interrupted;
    }

    /// Adds the comparisons of the image caches, or why they were not compared.
    pub(in crate::data) fn add_caches(
        &mut self,
        compared: Result<Vec<CacheComparison>, CacheError>,
    ) {
        let caches = match compared {
            Ok(caches) => caches,
            Err(CacheError::Cancelled) => return self.interrupt(),
            Err(error) => return self.add(vec![Problem::new(error)]),
        };
        let problems = caches.iter().flat_map(cache_problems).collect();
        self.add(problems);
        self.caches = Some(caches);
    }

    /// Returns the number of images that a check decodes.
    pub(super) fn total(&self) -> usize {
        let validation = self.validation.as_ref();
        let validation = validation.map_or(0, |validation| validation.subset.images);
        self.train.images + validation + self.test.subset.images
    }
}

fn cache_problems(cache: &CacheComparison) -> Vec<Problem> {
    let errors = match &cache.state {
        CacheState::Missing => Vec::new(),
        CacheState::Damaged { reason } => vec![CacheError::Damaged {
            path: cache.file.clone(),
            reason: reason.clone(),
        }],
        CacheState::Compared { stale, .. } => {
            let error = |image: &PathBuf| CacheError::Stale {
                image: image.clone(),
                cache: cache.file.clone(),
            };
            stale.iter().map(error).collect()
        }
    };
    errors.into_iter().map(Problem::new).collect()
}

impl SubsetSummary {
    pub(super) fn from_class_sizes(class_sizes: impl Iterator<Item = usize> + Clone) -> Self {
        Self {
            images: class_sizes.clone().sum(),
            classes: class_sizes.clone().count(),
            images_per_class: class_sizes
                .clone()
                .min()
                .zip(class_sizes.max())
                .map(|(smallest, largest)| [smallest, largest]),
        }
    }
}

pub(super) fn evaluated_summary(index: &DatasetIndex, subset: Subset) -> EvaluatedSummary {
    let roles = || subset_entries(index, subset).map(|entry| entry.image.role);
    let classes = index.classes(subset).iter();
    EvaluatedSummary {
        subset: SubsetSummary::from_class_sizes(classes.map(|class| class.images.len())),
        queries: roles().filter(|role| role.is_query()).count(),
        gallery: roles().filter(|role| role.is_in_gallery()).count(),
    }
}

/// Returns the sizes of splits in memory. All test images are queries and gallery images.
pub(super) fn summaries_in_memory(splits: &Splits) -> (SubsetSummary, EvaluatedSummary) {
    let summary = |split: &Split| SubsetSummary::from_class_sizes(split.class_sizes().into_iter());
    let images = splits.test.labels().len();
    let test = EvaluatedSummary {
        subset: summary(&splits.test),
        queries: images,
        gallery: images,
    };
    (summary(&splits.train), test)
}
