//! Every problem of a dataset in one report, before hours are spent on it.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::duplicates::{Digest, duplicates};
use super::size::unusual_size;
use super::{Contents, DatasetSurvey, LocatedEntry, Problem, Severity, entries_of};
use crate::data::config::SingleImageClasses;
use crate::data::datasets::index::{ClassEntries, DatasetIndex, Subset};
use crate::data::datasets::{published, single_image_classes};
use crate::data::image_file::decode_image;
use crate::data::{DataError, Split, Splits};
use crate::evaluation::Role;
use crate::progress::ProgressObserver;

/// Classes that a split needs for images of different classes to be compared.
const FEWEST_CLASSES: usize = 2;

/// What `loop-dml data check` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The dataset's name in the configuration.
    pub dataset: &'static str,
    /// Its root; none where images are drawn.
    pub root: Option<PathBuf>,
    /// The training split.
    pub train: SubsetSummary,
    /// The test split.
    pub test: TestSummary,
    /// How the splits compare with the published ones; none where none was published.
    pub published: Option<Agreement>,
    /// Whether the images are held in memory, verified when they were read or drawn.
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

/// What a split consists of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubsetSummary {
    /// Number of images.
    pub images: usize,
    /// Number of classes.
    pub classes: usize,
    /// Images of the smallest and of the largest class; none without classes.
    pub images_per_class: Option<[usize; 2]>,
}

/// What the test split consists of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestSummary {
    /// Images and classes.
    #[serde(flatten)]
    pub subset: SubsetSummary,
    /// Images that others of their class are looked for.
    pub queries: usize,
    /// Images that can be found.
    pub gallery: usize,
}

/// How a split compares with the published one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Agreement {
    /// The same images in the same classes.
    Exact,
    /// As many images and classes; more is not known of it.
    Counts,
    /// Others.
    Differs,
}

impl DatasetSurvey {
    /// Looks for everything that is wrong with the dataset: in its lists, in its classes, and in its
    /// images, each of which is decoded by one of the configured workers.
    ///
    /// A worker holds one file and its pixels, at most 100 million.
    pub fn check(&self, progress: &dyn ProgressObserver) -> CheckReport {
        let since = Instant::now();
        let (train, test) = match &self.contents {
            Contents::Files(index) => (
                SubsetSummary::of(index.train.iter().map(|class| class.images.len())),
                test_summary(index),
            ),
            Contents::Memory(splits) => summaries_in_memory(splits),
        };
        let (published, problems) = match &self.contents {
            Contents::Files(index) => self.problems(index, progress),
            Contents::Memory(_) => (None, Vec::new()),
        };
        let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
        CheckReport {
            dataset: self.dataset(),
            root: self.root().map(Path::to_path_buf),
            train,
            test,
            published,
            in_memory: matches!(self.contents, Contents::Memory(_)),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            problems,
            seconds: since.elapsed().as_secs_f64(),
        }
    }

    /// The agreement with what was published, and every problem once, errors first.
    fn problems(
        &self,
        index: &DatasetIndex,
        progress: &dyn ProgressObserver,
    ) -> (Option<Agreement>, Vec<Problem>) {
        let mut problems: Vec<Problem> = index.faults.iter().cloned().map(Problem::of).collect();
        let (agreement, differences) = compare_with_published(index);
        problems.extend(differences);
        problems.extend(class_problems(
            index,
            single_image_classes(&self.config.source),
        ));
        problems.extend(query_problems(index));
        problems.extend(self.image_problems(index, progress));

        // A reader may have met the same before.
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.error.to_string()));
        problems.sort_by_key(|problem| problem.severity);
        (agreement, problems)
    }

    /// Reads and decodes every image.
    fn image_problems(
        &self,
        index: &DatasetIndex,
        progress: &dyn ProgressObserver,
    ) -> Vec<Problem> {
        let images: Vec<LocatedEntry<'_>> = entries_of(index, Subset::Train)
            .chain(entries_of(index, Subset::Test))
            .collect();
        let examined = self.in_parallel(images.len(), "decoding", progress, |index| {
            examine(&images[index].image.path)
        });
        let mut problems = Vec::new();
        let mut sound = Vec::new();
        for (&image, examined) in images.iter().zip(examined) {
            let problem = match examined {
                Ok((digest, unusual)) => {
                    sound.push((image, digest));
                    unusual
                }
                Err(error) => Some(Problem::of(error)),
            };
            problems.extend(problem.map(|problem| Problem {
                error: image.image.locate(problem.error),
                class: Some(image.class.name.clone()),
                ..problem
            }));
        }
        problems.extend(duplicates(sound, index.published.is_some()));
        problems
    }
}

impl SubsetSummary {
    fn of(class_sizes: impl Iterator<Item = usize> + Clone) -> Self {
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

fn test_summary(index: &DatasetIndex) -> TestSummary {
    let roles = || entries_of(index, Subset::Test).map(|entries_of| entries_of.image.role);
    TestSummary {
        subset: SubsetSummary::of(index.test.iter().map(|class| class.images.len())),
        queries: roles().filter(|role| role.is_query()).count(),
        gallery: roles().filter(|role| role.is_in_gallery()).count(),
    }
}

/// All images in memory are queries and gallery.
fn summaries_in_memory(splits: &Splits) -> (SubsetSummary, TestSummary) {
    let summary = |split: &Split| SubsetSummary::of(split.class_sizes().into_iter());
    let images = splits.test.labels().len();
    let test = TestSummary {
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
    let differences = published::compare(index);
    let agreement = if !differences.is_empty() {
        Agreement::Differs
    } else if published.train.digest.is_some() && published.test.digest.is_some() {
        Agreement::Exact
    } else {
        Agreement::Counts
    };
    let differences = differences.into_iter().map(Problem::of).collect();
    (Some(agreement), differences)
}

/// Too few classes, classes with too few images, classes in both splits.
fn class_problems(index: &DatasetIndex, single: SingleImageClasses) -> Vec<Problem> {
    let mut problems = Vec::new();
    for subset in [Subset::Train, Subset::Test] {
        let classes = index.subset(subset);
        if classes.len() < FEWEST_CLASSES {
            problems.push(Problem::of(DataError::TooFewClasses {
                what: format!("the {} split", subset.name()),
                found: classes.len(),
                needed: FEWEST_CLASSES,
            }));
        }
        let small = classes.iter().filter(|class| class.images.len() < 2);
        problems.extend(
            small
                .filter_map(|class| too_few_images(class, subset, single))
                .map(Problem::of),
        );
    }
    let trained: HashSet<&str> = index.train.iter().map(|c| c.name.as_str()).collect();
    let both = index.test.iter().map(|class| &class.name);
    problems.extend(
        both.filter(|name| trained.contains(name.as_str()))
            .map(|name| {
                Problem::of(DataError::ClassInBothSplits {
                    class: name.clone(),
                })
            }),
    );
    problems
}

/// What becomes of a class of less than two images; nothing for a query or distractor by the list's
/// own word.
fn too_few_images(
    class: &ClassEntries,
    subset: Subset,
    single: SingleImageClasses,
) -> Option<DataError> {
    use SingleImageClasses::{Drop, Gallery, Refuse, Repeat};
    let role = class.images.first().map(|image| image.role);
    let fate = match (subset, role, single) {
        (Subset::Test, Some(Role::Query | Role::Gallery), _) => return None,
        (_, None, _) | (_, _, Refuse) => {
            return Some(DataError::TooFewImages {
                class: class.name.clone(),
                split: subset.name(),
                found: class.images.len(),
            });
        }
        (_, _, Drop) | (Subset::Train, _, Gallery) => {
            "it is left out, as data.single_image_classes says"
        }
        (Subset::Train, _, Repeat) => {
            "it is its own positive, as data.single_image_classes = \"repeat\" says"
        }
        (Subset::Test, _, Gallery | Repeat) => {
            "it is in the gallery only, as data.single_image_classes says"
        }
    };
    Some(DataError::SingleImageClass {
        class: class.name.clone(),
        split: subset.name(),
        fate,
    })
}

/// Queries that nothing can be found for; where that is so of all, the split cannot be measured.
fn query_problems(index: &DatasetIndex) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut queries = 0;
    for class in &index.test {
        // Such a class is reported itself.
        if class.images.len() == 1 && class.images[0].role == Role::Both {
            continue;
        }
        let gallery = class
            .images
            .iter()
            .filter(|i| i.role.is_in_gallery())
            .count();
        for query in class.images.iter().filter(|i| i.role.is_query()) {
            queries += 1;
            if gallery == usize::from(query.role.is_in_gallery()) {
                problems.push(Problem::of(query.locate(DataError::UnmatchedQuery {
                    path: query.path.clone(),
                    class: class.name.clone(),
                })));
            }
        }
    }
    if queries == problems.len() && !index.test.is_empty() {
        problems.push(Problem::of(DataError::NoQuery));
    }
    problems
}

/// The digest of an image file that can be used, with what is odd about its size.
fn examine(path: &Path) -> Result<(Digest, Option<Problem>), DataError> {
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => DataError::ImageMissing { path: path.into() },
        _ => DataError::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        },
    })?;
    let image = decode_image(path, &bytes, None)?;
    let digest = Sha256::digest(&bytes).into();
    Ok((digest, unusual_size(path, image.dimensions())))
}
