//! All problems of a dataset in one report.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::class_checks::{class_problems, query_problems};
use super::dataset_survey::{Contents, DatasetSurvey, LocatedEntry, all_entries, subset_entries};
use super::duplicates::{Digest, duplicates};
use super::problem::{Problem, Severity};
use super::size::unusual_size;
use crate::cancellation::Cancelled;
use crate::data::datasets::{
    DatasetError, DatasetIndex, Entry, ListError, Subset, compare, single_image_classes,
};
use crate::data::image_file::{self, decode_image};
use crate::data::split::{Split, Splits};
use crate::progress::Monitor;

/// The report of `loop-dml data check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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

impl DatasetSurvey {
    /// Checks the lists, the classes and the images of the dataset. The configured workers decode every
    /// image.
    ///
    /// Each worker holds one file and its pixels, at most 100 million.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn check(&self, monitor: Monitor<'_>) -> Result<CheckReport, Cancelled> {
        let start = Instant::now();
        let (train, validation, test) = match &self.contents {
            Contents::Files(index) => (
                SubsetSummary::from_class_sizes(index.train.iter().map(|class| class.images.len())),
                index
                    .has_validation()
                    .then(|| evaluated_summary(index, Subset::Validation)),
                evaluated_summary(index, Subset::Test),
            ),
            Contents::Memory(splits) => {
                let (train, test) = summaries_in_memory(splits);
                (train, None, test)
            }
        };
        let (published, mut problems) = match &self.contents {
            Contents::Files(index) => self.problems(index, monitor)?,
            Contents::Memory(_) => (None, Vec::new()),
        };
        let hold_out = self.held_out().unwrap_or_else(|error| {
            problems.push(Problem::new(error));
            problems.sort_by_key(|problem| problem.severity);
            None
        });
        let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
        Ok(CheckReport {
            dataset: self.dataset(),
            root: self.root().map(Path::to_path_buf),
            train,
            hold_out,
            validation,
            test,
            published,
            in_memory: matches!(self.contents, Contents::Memory(_)),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            problems,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Returns the sizes of the parts of the training split, if classes are held out.
    fn held_out(&self) -> Result<Option<HoldOutSummary>, DatasetError> {
        let Some(hold_out) = self.hold_out else {
            return Ok(None);
        };
        if let Contents::Files(index) = &self.contents
            && index.has_validation()
        {
            self.config.hold_out.check_unused()?;
            return Ok(None);
        }
        let sizes = self.training_class_sizes();
        let division = hold_out.divide(&sizes, &self.config.hold_out)?;
        let summary = |classes: &[usize]| {
            SubsetSummary::from_class_sizes(classes.iter().map(|&class| sizes[class]))
        };
        Ok(Some(HoldOutSummary {
            train: summary(&division.train),
            validation: summary(&division.validation),
        }))
    }

    /// Returns the comparison with the published splits, and every problem once, errors first.
    fn problems(
        &self,
        index: &DatasetIndex,
        monitor: Monitor<'_>,
    ) -> Result<(Option<Agreement>, Vec<Problem>), Cancelled> {
        let mut problems: Vec<Problem> = index.errors.iter().cloned().map(Problem::new).collect();
        problems.extend(index.warnings.iter().cloned().map(|warning| Problem {
            severity: Severity::Warning,
            ..Problem::new(warning)
        }));
        let (agreement, differences) = compare_with_published(index);
        problems.extend(differences);
        problems.extend(class_problems(
            index,
            single_image_classes(&self.config.source),
        ));
        problems.extend(query_problems(index));
        problems.extend(self.image_problems(index, monitor)?);

        // The reader of the lists may have reported the same problem.
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.error.to_string()));
        problems.sort_by_key(|problem| problem.severity);
        Ok((agreement, problems))
    }

    /// Reads and decodes every image.
    fn image_problems(
        &self,
        index: &DatasetIndex,
        monitor: Monitor<'_>,
    ) -> Result<Vec<Problem>, Cancelled> {
        let images: Vec<LocatedEntry<'_>> = all_entries(index).collect();
        let examined = self.in_parallel(images.len(), "decoding", monitor, |index| {
            examine(images[index].image)
        })?;
        let mut problems = Vec::new();
        let mut intact = Vec::new();
        for (&image, examined) in images.iter().zip(examined) {
            let problem = match examined {
                Ok((digest, unusual)) => {
                    intact.push((image, digest));
                    unusual
                }
                Err(error) => Some(Problem::new(error)),
            };
            problems.extend(problem.map(|problem| Problem {
                error: image.image.locate(problem.error),
                class: Some(image.class.name.clone()),
                ..problem
            }));
        }
        problems.extend(duplicates(intact, index.published.is_some()));
        Ok(problems)
    }
}

impl SubsetSummary {
    fn from_class_sizes(class_sizes: impl Iterator<Item = usize> + Clone) -> Self {
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

fn evaluated_summary(index: &DatasetIndex, subset: Subset) -> EvaluatedSummary {
    let roles = || subset_entries(index, subset).map(|entry| entry.image.role);
    let classes = index.classes(subset).iter();
    EvaluatedSummary {
        subset: SubsetSummary::from_class_sizes(classes.map(|class| class.images.len())),
        queries: roles().filter(|role| role.is_query()).count(),
        gallery: roles().filter(|role| role.is_in_gallery()).count(),
    }
}

/// Returns the sizes of splits in memory. All test images are queries and gallery images.
fn summaries_in_memory(splits: &Splits) -> (SubsetSummary, EvaluatedSummary) {
    let summary = |split: &Split| SubsetSummary::from_class_sizes(split.class_sizes().into_iter());
    let images = splits.test.labels().len();
    let test = EvaluatedSummary {
        subset: summary(&splits.test),
        queries: images,
        gallery: images,
    };
    (summary(&splits.train), test)
}

fn compare_with_published(index: &DatasetIndex) -> (Option<Agreement>, Vec<Problem>) {
    let Some(published) = &index.published else {
        return (None, Vec::new());
    };
    let differences = compare(index);
    let agreement = if !differences.is_empty() {
        Agreement::Differs
    } else if published.train.digest.is_some() && published.test.digest.is_some() {
        Agreement::Exact
    } else {
        Agreement::Counts
    };
    let differences = differences.into_iter().map(Problem::new).collect();
    (Some(agreement), differences)
}

/// Decodes an image. Returns the digest of what is used of it, and a problem with its size.
fn examine(entry: &Entry) -> Result<(Digest, Option<Problem>), DatasetError> {
    let path = &entry.path;
    let bytes = image_file::read(path).map_err(|error| match path.exists() {
        true => DatasetError::from(error),
        false => ListError::ImageMissing { path: path.clone() }.into(),
    })?;
    let image = decode_image(path, &bytes, None)?;
    let mut hash = Sha256::new_with_prefix(&bytes);
    let mut size = image.dimensions();
    if let Some(bounding_box) = entry.bounding_box {
        entry.check_inside(bounding_box, size)?;
        size = bounding_box.size();
        hash.update(bounding_box.to_string());
    }
    Ok((
        hash.finalize().into(),
        unusual_size(path, size, entry.bounding_box.is_some()),
    ))
}
