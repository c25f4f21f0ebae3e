//! Statistics of a dataset: classes, sizes and formats, from headers alone.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use serde::Serialize;

use super::dataset_survey::{Contents, DatasetSurvey, LocatedEntry, all_entries};
use crate::cancellation::Cancelled;
use crate::data::datasets::{DatasetIndex, Entry, Subset};
use crate::data::image_file::{FileKind, MAGIC_BYTES};
use crate::data::split::Split;
use crate::progress::Monitor;

/// The name of the task in progress reports.
const HEADERS: &str = "reading headers";

/// Largest number of bins of a histogram.
const BINS: usize = 10;

/// The report of `loop-dml data stats`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// The dataset's name in the configuration.
    pub dataset: &'static str,
    /// Its root, or `None` for drawn images.
    pub root: Option<PathBuf>,
    /// The training split.
    pub train: SubsetStats,
    /// The validation split that the dataset lists, or `None` if it lists none.
    pub validation: Option<SubsetStats>,
    /// The test split.
    pub test: SubsetStats,
}

/// The statistics of a split. A spread is `None` without values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubsetStats {
    /// Number of images.
    pub images: usize,
    /// Number of classes.
    pub classes: usize,
    /// Images of a class.
    pub images_per_class: Option<Spread>,
    /// Classes by their number of images, in at most ten bins of equal width.
    pub histogram: Vec<Bin>,
    /// Width in pixels of the bounding box, or of the image as stored if it has none.
    pub width: Option<Spread>,
    /// Height in pixels, of the same.
    pub height: Option<Spread>,
    /// Number of readable files by format (`jpeg`, `png`, `webp` and so on), from their content; empty for images
    /// in memory. A file with several bounding boxes counts once.
    pub formats: BTreeMap<&'static str, usize>,
    /// Total bytes of the readable files; 0 for images in memory.
    pub bytes: u64,
    /// Number of images whose header cannot be read. They are not in the other statistics.
    pub unreadable: usize,
}

/// Minimum, median, mean and maximum of some counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// The median; for an even number of values, the mean of the middle two.
    pub median: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The largest.
    pub max: u64,
}

/// A bin of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// Fewest images of a class in the bin.
    pub from: u64,
    /// Most images of a class in the bin.
    pub to: u64,
    /// Number of classes.
    pub classes: usize,
}

/// The header of an image.
struct Header {
    /// Width and height in pixels; `None` for a row of features.
    size: Option<(u32, u32)>,
    /// Format and length in bytes of its file.
    file: Option<(&'static str, u64)>,
}

impl DatasetSurvey {
    /// Counts images and classes and reads the header of every image.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn stats(&self, monitor: Monitor<'_>) -> Result<Stats, Cancelled> {
        let [train, validation, test] = match &self.contents {
            Contents::Files(index) => {
                let headers = self.headers(index, monitor)?;
                divide(headers, |subset| {
                    let classes = index.classes(subset).iter();
                    classes.map(|class| class.images.len()).collect()
                })
            }
            Contents::Memory(splits) => {
                let train = splits.train.labels().len();
                let count = train + splits.test.labels().len();
                let headers = self.in_parallel(count, HEADERS, monitor, |index| {
                    match index.checked_sub(train) {
                        None => in_memory(&splits.train, index),
                        Some(index) => in_memory(&splits.test, index),
                    }
                })?;
                divide(headers, |subset| match subset {
                    Subset::Train => splits.train.class_sizes(),
                    Subset::Validation => Vec::new(),
                    Subset::Test => splits.test.class_sizes(),
                })
            }
        };
        let has_validation = match &self.contents {
            Contents::Files(index) => index.has_validation(),
            Contents::Memory(_) => false,
        };
        Ok(Stats {
            dataset: self.dataset(),
            root: self.root().map(Path::to_path_buf),
            train,
            validation: has_validation.then_some(validation),
            test,
        })
    }

    /// Reads the header of every image, subset by subset.
    fn headers(
        &self,
        index: &DatasetIndex,
        monitor: Monitor<'_>,
    ) -> Result<Vec<Option<Header>>, Cancelled> {
        let entries: Vec<LocatedEntry<'_>> = all_entries(index).collect();
        let mut seen = HashSet::new();
        let is_first: Vec<bool> = entries
            .iter()
            .map(|entry| seen.insert((entry.subset, &entry.image.path)))
            .collect();
        self.in_parallel(entries.len(), HEADERS, monitor, |index| {
            header(entries[index].image, is_first[index])
        })
    }
}

fn in_memory(split: &Split, index: usize) -> Option<Header> {
    let size = match split.features(index) {
        Some(_) => None,
        None => Some(split.image(index).ok()?.dimensions()),
    };
    Some(Header { size, file: None })
}

/// Returns the header of an image, with its file if that `counts`.
fn header(image: &Entry, counts: bool) -> Option<Header> {
    let size = Some(image.check().ok()?);
    let file = match counts {
        true => Some(format_and_bytes(&image.path)?),
        false => None,
    };
    Some(Header { size, file })
}

fn format_and_bytes(path: &Path) -> Option<(&'static str, u64)> {
    let mut head = Vec::with_capacity(MAGIC_BYTES);
    let file = File::open(path).ok()?;
    file.take(MAGIC_BYTES as u64).read_to_end(&mut head).ok()?;
    let FileKind::Image(format) = FileKind::of(&head) else {
        return None;
    };
    Some((format_name(format), fs::metadata(path).ok()?.len()))
}

/// Returns the name of a format, the suffix of most of its files.
fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "jpeg",
        ImageFormat::Tiff => "tiff",
        format => format.extensions_str().first().copied().unwrap_or("other"),
    }
}

/// Divides the headers of all subsets, in the order of [`Subset::ALL`].
fn divide(
    mut headers: Vec<Option<Header>>,
    class_sizes: impl Fn(Subset) -> Vec<usize>,
) -> [SubsetStats; 3] {
    Subset::ALL.map(|subset| {
        let sizes = class_sizes(subset);
        let rest = headers.split_off(sizes.iter().sum());
        let own = std::mem::replace(&mut headers, rest);
        SubsetStats::new(&own, &sizes)
    })
}

impl SubsetStats {
    fn new(headers: &[Option<Header>], class_sizes: &[usize]) -> Self {
        let class_sizes: Vec<u64> = class_sizes.iter().map(|&size| size as u64).collect();
        let readable = || headers.iter().flatten();
        let sizes = || readable().filter_map(|header| header.size);
        let files = || readable().filter_map(|header| header.file);
        let mut formats = BTreeMap::new();
        for (format, _) in files() {
            *formats.entry(format).or_insert(0) += 1;
        }
        Self {
            images: headers.len(),
            classes: class_sizes.len(),
            width: Spread::from_values(sizes().map(|size| size.0.into()).collect()),
            height: Spread::from_values(sizes().map(|size| size.1.into()).collect()),
            formats,
            bytes: files().map(|(_, bytes)| bytes).sum(),
            unreadable: headers.len() - readable().count(),
            histogram: histogram(&class_sizes),
            images_per_class: Spread::from_values(class_sizes),
        }
    }
}

impl Spread {
    fn from_values(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        let (&min, &max) = (values.first()?, values.last()?);
        let count = values.len();
        Some(Self {
            min,
            median: (values[(count - 1) / 2] + values[count / 2]) as f64 / 2.0,
            mean: values.iter().sum::<u64>() as f64 / count as f64,
            max,
        })
    }
}

fn histogram(class_sizes: &[u64]) -> Vec<Bin> {
    let (Some(&min), Some(&max)) = (class_sizes.iter().min(), class_sizes.iter().max()) else {
        return Vec::new();
    };
    let width = (max - min + 1).div_ceil(BINS as u64);
    let mut bins: Vec<Bin> = (min..=max)
        .step_by(width as usize)
        .map(|from| Bin {
            from,
            to: from + width - 1,
            classes: 0,
        })
        .collect();
    for size in class_sizes {
        bins[((size - min) / width) as usize].classes += 1;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_number_of_values_is_the_mean_of_the_middle_two() {
        let spread = Spread::from_values(vec![9, 1, 4, 2]).unwrap();
        assert_eq!((spread.min, spread.max), (1, 9));
        assert_eq!((spread.median, spread.mean), (3.0, 4.0));
        assert_eq!(Spread::from_values(vec![5, 1, 3]).unwrap().median, 3.0);
        assert_eq!(Spread::from_values(Vec::new()), None);
    }

    #[test]
    fn every_class_is_in_one_of_at_most_ten_bins() {
        for largest in [1, 9, 10, 11, 57, 1000] {
            let sizes: Vec<u64> = (1..=largest).collect();
            let bins = histogram(&sizes);
            assert!(bins.len() <= BINS);
            assert!(bins.windows(2).all(|pair| pair[0].to + 1 == pair[1].from));
            let inside = |bin: &Bin| {
                sizes
                    .iter()
                    .filter(|s| (bin.from..=bin.to).contains(s))
                    .count()
            };
            assert!(bins.iter().all(|bin| bin.classes == inside(bin)));
            assert_eq!(
                bins.iter().map(|bin| bin.classes).sum::<usize>(),
                sizes.len()
            );
        }
        assert_eq!(histogram(&[]), []);
    }
}
