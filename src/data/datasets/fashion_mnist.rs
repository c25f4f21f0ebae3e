//! Fashion-MNIST (arXiv 1708.07747) as zero-shot retrieval: some of its ten classes are training classes,
//! others test classes.
//!
//! The training split contains the images of `train_classes` among the 60,000 training images, the test
//! split those of `test_classes` among the 10,000 test images. So there are 1,000 queries per class, and
//! none is a training image of the published split. Grey becomes three equal channels.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use image::{Rgb, RgbImage};

use super::error::DatasetError;
use super::files_on_disk::existing_folder;
use super::idx::{IMAGES_MAGIC, IdxError, IdxFile, LABELS_MAGIC};
use crate::data::config::FashionMnistConfig;
use crate::data::image_file::ImageError;
use crate::data::images::Images;
use crate::data::split::{Split, SplitError, Splits};
use crate::progress::Monitor;
use crate::setting::SettingError;

/// The names of the labels 0 to 9, from the authors.
const CLASS_NAMES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

const HINT: &str = "install Debian's package dataset-fashion-mnist, which puts the files into \
                    /usr/share/datasets/fashion-mnist, or download the four IDX files (.gz or unpacked) \
                    from https://github.com/zalandoresearch/fashion-mnist and set data.root to their \
                    folder";

/// Opens the dataset below `config.root`. Checks between its files whether the work is cancelled.
pub(super) fn open(
    config: &FashionMnistConfig,
    monitor: Monitor<'_>,
) -> Result<Splits, DatasetError> {
    check_classes("data.train_classes", &config.train_classes)?;
    check_classes("data.test_classes", &config.test_classes)?;
    if let Some(&both) = config
        .train_classes
        .iter()
        .find(|class| config.test_classes.contains(class))
    {
        return Err(SplitError::ClassInBothSplits {
            class: format!("{both} ({})", CLASS_NAMES[usize::from(both)]),
        }
        .into());
    }
    existing_folder(&config.root, HINT)?;
    let splits = Splits::new(
        read_split(
            "train",
            &config.root,
            "train",
            &config.train_classes,
            monitor,
        )?,
        read_split("test", &config.root, "t10k", &config.test_classes, monitor)?,
    );
    monitor.check()?;
    Ok(splits)
}

fn check_classes(key: &'static str, classes: &[u8]) -> Result<(), SettingError> {
    let setting = |reason: String| Err(SettingError::value(key, classes.to_vec(), reason));
    let mut seen = HashSet::new();
    for class in classes {
        if usize::from(*class) >= CLASS_NAMES.len() {
            return setting(format!(
                "class {class} does not exist; the classes are 0 to 9"
            ));
        }
        if !seen.insert(class) {
            return setting(format!("class {class} is listed twice; list it once"));
        }
    }
    match classes.len() {
        0 | 1 => {
            setting("images of different classes are compared; list at least two classes".into())
        }
        _ => Ok(()),
    }
}

/// Grey images of the same size, one after the other.
struct GreyImages {
    split: &'static str,
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl GreyImages {
    fn area(&self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl Images for GreyImages {
    fn image(&self, index: usize, _min_side: Option<u32>) -> Result<RgbImage, ImageError> {
        let pixels = &self.pixels[index * self.area()..][..self.area()];
        Ok(RgbImage::from_fn(self.width, self.height, |x, y| {
            Rgb([pixels[(y * self.width + x) as usize]; 3])
        }))
    }

    fn name(&self, index: usize) -> String {
        format!("{}/{index}", self.split)
    }
}

/// Reads the images of `classes` from the files whose names start with `prefix`. The label of a class is
/// its position in `classes`.
fn read_split(
    split: &'static str,
    root: &Path,
    prefix: &str,
    classes: &[u8],
    monitor: Monitor<'_>,
) -> Result<Split, DatasetError> {
    let (image_name, label_name) = (
        format!("{prefix}-images-idx3-ubyte"),
        format!("{prefix}-labels-idx1-ubyte"),
    );
    monitor.check()?;
    let image_file = IdxFile::<3>::read(root, &image_name, ("images", IMAGES_MAGIC), HINT)?;
    monitor.check()?;
    let label_file = IdxFile::<1>::read(root, &label_name, ("labels", LABELS_MAGIC), HINT)?;
    let ([count, height, width], [label_count]) = (image_file.sizes, label_file.sizes);
    if count != label_count {
        return Err(IdxError::Count {
            image_path: image_file.path,
            label_path: label_file.path,
            images: count as usize,
            labels: label_count as usize,
        }
        .into());
    }
    let mut images = GreyImages {
        split,
        width,
        height,
        pixels: Vec::new(),
    };
    if images.area() == 0 {
        return Err(IdxError::NoPixels {
            path: image_file.path,
        }
        .into());
    }
    let mut labels = Vec::new();
    let pixels = image_file.bytes.chunks_exact(images.area());
    for (image, class) in pixels.zip(&label_file.bytes) {
        if let Some(label) = classes.iter().position(|wanted| wanted == class) {
            labels.push(label);
            images.pixels.extend_from_slice(image);
        }
    }
    let names = classes
        .iter()
        .map(|&class| CLASS_NAMES[usize::from(class)].to_string());
    Ok(Split::new(split, names.collect(), labels, Arc::new(images)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use tempfile::TempDir;

    use super::*;

    fn idx(magic: u32, sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
        let header = [magic].into_iter().chain(sizes.iter().copied());
        header
            .flat_map(u32::to_be_bytes)
            .chain(bytes.iter().copied())
            .collect()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Makes thirty images of 2×3 in each pair of files. The i-th has class i mod 10 and value i. The
    /// training files are gzipped, the test files are not.
    fn small_set() -> TempDir {
        let folder = TempDir::new().unwrap();
        let pixels: Vec<u8> = (0..30).flat_map(|i| [i; 6]).collect();
        let labels: Vec<u8> = (0..30).map(|i| i % 10).collect();
        let images = idx(IMAGES_MAGIC, &[30, 3, 2], &pixels);
        let labels = idx(LABELS_MAGIC, &[30], &labels);
        for (name, bytes) in [
            ("train-images-idx3-ubyte.gz", gzipped(&images)),
            ("train-labels-idx1-ubyte.gz", gzipped(&labels)),
            ("t10k-images-idx3-ubyte", images),
            ("t10k-labels-idx1-ubyte", labels),
        ] {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn config(folder: &TempDir) -> FashionMnistConfig {
        FashionMnistConfig {
            root: folder.path().into(),
            ..Default::default()
        }
    }

    fn refusal(config: &FashionMnistConfig) -> String {
        open(config, Monitor::none()).unwrap_err().to_string()
    }

    #[test]
    fn classes_are_split_from_gzipped_and_plain_files() {
        let splits = open(&config(&small_set()), Monitor::none()).unwrap();
        assert_eq!(
            splits.train.labels(),
            [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
        );
        assert_eq!(splits.test.class_names()[0], "Sandal");
        // The sixth image of the test split: class 5 for the second time, value 15.
        let image = splits.test.image(5).unwrap();
        assert_eq!(
            (image.dimensions(), image.get_pixel(1, 2).0),
            ((2, 3), [15; 3])
        );
        assert_eq!(splits.test.image_name(5), "test/5");
    }

    #[test]
    fn invalid_classes_are_refused_with_their_key() {
        let folder = small_set();
        let with = |train: &[u8], test: &[u8]| {
            refusal(&FashionMnistConfig {
                train_classes: train.into(),
                test_classes: test.into(),
                ..config(&folder)
            })
        };
        assert!(
            with(&[0, 1, 10], &[2, 3])
                .contains("`data.train_classes = [0, 1, 10]`: class 10 does not exist")
        );
        assert!(with(&[0, 1, 2], &[2, 3]).contains("class 2 (Pullover) is in both"));
        assert!(with(&[0, 0], &[2, 3]).contains("class 0 is listed twice"));
        assert!(with(&[0, 1], &[3]).contains("data.test_classes = [3]"));
    }

    #[test]
    fn missing_root_and_missing_file_are_reported_with_the_package() {
        let message = refusal(&FashionMnistConfig {
            root: "/nowhere/at/all".into(),
            ..Default::default()
        });
        assert!(
            message.contains("/nowhere/at/all is not a folder"),
            "{message}"
        );
        assert!(message.contains("dataset-fashion-mnist"), "{message}");
        let folder = small_set();
        fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
        let message = refusal(&config(&folder));
        assert!(
            message.contains("t10k-labels-idx1-ubyte is missing"),
            "{message}"
        );
    }

    #[test]
    fn swapped_truncated_and_mismatched_files_are_named() {
        let folder = small_set();
        let replace = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            let kept = fs::read(&path).unwrap();
            fs::write(&path, bytes).unwrap();
            let message = refusal(&config(&folder));
            fs::write(&path, kept).unwrap();
            assert!(message.contains(name), "{message}");
            message
        };
        let labels = fs::read(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
        let images = fs::read(folder.path().join("t10k-images-idx3-ubyte")).unwrap();
        let message = replace("t10k-images-idx3-ubyte", &labels);
        assert!(
            message.contains("0x00000801 instead of 0x00000803"),
            "{message}"
        );
        let message = replace("t10k-images-idx3-ubyte", &images[..100]);
        assert!(
            message.contains("has 100 bytes, but its header states 196"),
            "{message}"
        );
        let message = replace("t10k-images-idx3-ubyte", &[&images[..], &[0]].concat());
        assert!(message.contains("has 197 bytes"), "{message}");
        let message = replace("t10k-labels-idx1-ubyte", &idx(LABELS_MAGIC, &[2], &[1, 2]));
        assert!(message.contains("30 images"), "{message}");
        let zipped = gzipped(&images);
        let message = replace("train-images-idx3-ubyte.gz", &zipped[..zipped.len() - 20]);
        assert!(message.contains("is truncated"), "{message}");
        let message = replace("train-images-idx3-ubyte.gz", b"not gzipped");
        assert!(message.contains("cannot read"), "{message}");
        let message = replace("t10k-images-idx3-ubyte", b"");
        assert!(message.contains("is truncated"), "{message}");
    }

    #[test]
    fn headers_that_promise_too_much_are_refused_before_memory_is_reserved() {
        let folder = small_set();
        let path = folder.path().join("train-images-idx3-ubyte.gz");
        let huge = idx(IMAGES_MAGIC, &[u32::MAX; 3], &[]);
        fs::write(&path, gzipped(&huge)).unwrap();
        let message = refusal(&config(&folder));
        assert!(message.contains("at most 2 GiB are read"), "{message}");
        let promise = idx(IMAGES_MAGIC, &[2, 1024, 1 << 20], &[7]);
        fs::write(&path, gzipped(&promise)).unwrap();
        let message = refusal(&config(&folder));
        assert!(
            message.contains("has 17 bytes, but its header states"),
            "{message}"
        );
        // A bomb: the header states 12 bytes, and decompression stops after them.
        let bomb = idx(IMAGES_MAGIC, &[3, 2, 2], &vec![0; 1 << 22]);
        fs::write(&path, gzipped(&bomb)).unwrap();
        let message = refusal(&config(&folder));
        assert!(
            message.contains("has 29 bytes, but its header states 28"),
            "{message}"
        );
    }
}
