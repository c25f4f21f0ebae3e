//! Fashion-MNIST (arXiv 1708.07747) as zero-shot retrieval: some of its ten classes train, others
//! test.
//!
//! The training split is the images of `train_classes` among the 60,000 training images, the test
//! split those of `test_classes` among the 10,000 test images: 1,000 queries a class, none of which
//! was ever a training image of anyone. Grey becomes three equal channels.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use image::{Rgb, RgbImage};

use crate::data::config::FashionMnistConfig;
use crate::data::{DataError, Images, Split, Splits};

/// What the labels 0 to 9 stand for, as its authors name them.
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

/// Where the files are to be had.
const SOURCE: &str = "it may end in .gz; install Debian's package dataset-fashion-mnist, which puts them into \
                      /usr/share/datasets/fashion-mnist, or download the four IDX files from \
                      https://github.com/zalandoresearch/fashion-mnist and set data.root to their folder";

/// Start of an IDX file of bytes in three dimensions: images, rows, columns.
const IMAGES_MAGIC: u32 = 0x0803;
/// Start of an IDX file of bytes in one dimension.
const LABELS_MAGIC: u32 = 0x0801;

/// Opens the dataset below `config.root`.
pub(in crate::data) fn open(config: &FashionMnistConfig) -> Result<Splits, DataError> {
    check_classes("data.train_classes", &config.train_classes)?;
    check_classes("data.test_classes", &config.test_classes)?;
    if let Some(&both) = config
        .train_classes
        .iter()
        .find(|class| config.test_classes.contains(class))
    {
        return Err(DataError::ClassInBothSplits {
            class: format!("{both} ({})", CLASS_NAMES[usize::from(both)]),
        });
    }
    if !config.root.is_dir() {
        return Err(DataError::RootMissing {
            root: config.root.clone(),
            hint: SOURCE,
        });
    }
    Ok(Splits {
        train: read_split("train", &config.root, "train", &config.train_classes)?,
        test: read_split("test", &config.root, "t10k", &config.test_classes)?,
        warnings: Vec::new(),
    })
}

fn check_classes(key: &'static str, classes: &[u8]) -> Result<(), DataError> {
    let setting = |hint: String| Err(DataError::setting(key, classes, hint));
    let mut seen = HashSet::new();
    for class in classes {
        if usize::from(*class) >= CLASS_NAMES.len() {
            return setting(format!("there is no class {class}; the classes are 0 to 9"));
        }
        if !seen.insert(class) {
            return setting(format!("class {class} is listed twice; list it once"));
        }
    }
    match classes.len() {
        0 | 1 => setting("images of different classes are compared; list at least two".into()),
        _ => Ok(()),
    }
}

/// Grey images of one size, one after the other.
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
    fn image(&self, index: usize, _needed: Option<u32>) -> Result<RgbImage, DataError> {
        let pixels = &self.pixels[index * self.area()..][..self.area()];
        Ok(RgbImage::from_fn(self.width, self.height, |x, y| {
            Rgb([pixels[(y * self.width + x) as usize]; 3])
        }))
    }

    fn name(&self, index: usize) -> String {
        format!("{}/{index}", self.split)
    }
}

/// The images of `classes` in the files whose names start with `prefix`, labelled by position in
/// `classes`.
fn read_split(
    split: &'static str,
    root: &Path,
    prefix: &str,
    classes: &[u8],
) -> Result<Split, DataError> {
    let (image_path, sizes, pixels) = read_idx(
        root,
        &format!("{prefix}-images-idx3-ubyte"),
        "images",
        IMAGES_MAGIC,
    )?;
    let (label_path, label_sizes, all_labels) = read_idx(
        root,
        &format!("{prefix}-labels-idx1-ubyte"),
        "labels",
        LABELS_MAGIC,
    )?;
    let ([count, height, width], [label_count]) = (sizes, label_sizes);
    if count != label_count {
        return Err(DataError::IdxCount {
            image_path,
            label_path,
            images: count as usize,
            labels: label_count as usize,
        });
    }
    let mut images = GreyImages {
        split,
        width,
        height,
        pixels: Vec::new(),
    };
    if images.area() == 0 {
        return Err(DataError::BrokenImage {
            path: image_path,
            reason: "its images have no pixels".into(),
        });
    }
    let mut labels = Vec::new();
    for (image, class) in pixels.chunks_exact(images.area()).zip(&all_labels) {
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

/// Reads the IDX file `name` or `name.gz`: its path, its D sizes and its bytes. An IDX file is a
/// number that tells type and D, the D sizes, all big-endian 32 bit, and the bytes.
fn read_idx<const D: usize>(
    root: &Path,
    name: &str,
    kind: &'static str,
    magic: u32,
) -> Result<(PathBuf, [u32; D], Vec<u8>), DataError> {
    let (plain, zipped) = (root.join(name), root.join(format!("{name}.gz")));
    let path = [zipped, plain.clone()]
        .into_iter()
        .find(|path| path.is_file());
    let Some(path) = path else {
        return Err(DataError::FileMissing {
            path: plain,
            hint: SOURCE,
        });
    };
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => DataError::Truncated { path: path.clone() },
        _ => DataError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        },
    };
    let file = BufReader::new(File::open(&path).map_err(unreadable)?);
    let mut file: Box<dyn Read> = match path.extension() {
        Some(extension) if extension == "gz" => Box::new(GzDecoder::new(file)),
        _ => Box::new(file),
    };
    let mut next_u32 = || {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes)
            .map(|()| u32::from_be_bytes(bytes))
    };
    let found = next_u32().map_err(unreadable)?;
    if found != magic {
        return Err(DataError::IdxMagic {
            path,
            kind,
            expected: magic,
            found,
        });
    }
    let mut sizes = [0; D];
    for size in &mut sizes {
        *size = next_u32().map_err(unreadable)?;
    }
    let header = 4 * (1 + D as u64);
    let stated = sizes.iter().fold(1_u64, |product, &size| {
        product.saturating_mul(u64::from(size))
    });
    let mut bytes = Vec::new();
    // One byte more than stated shows that there are too many.
    file.take(stated.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 != stated {
        return Err(DataError::IdxLength {
            path,
            expected: header.saturating_add(stated),
            found: header + bytes.len() as u64,
        });
    }
    Ok((path, sizes, bytes))
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

    /// Thirty images of 2×3 in each pair of files, the i-th of class i mod 10 and value i; training
    /// files gzipped, test files plain.
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
        open(config).unwrap_err().to_string()
    }

    #[test]
    fn classes_go_to_their_split_from_gzipped_and_plain_files() {
        let splits = open(&config(&small_set())).unwrap();
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
    fn wrong_classes_are_named_with_their_key() {
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
                .contains("`data.train_classes = [0, 1, 10]`: there is no class 10")
        );
        assert!(with(&[0, 1, 2], &[2, 3]).contains("class 2 (Pullover) is in both"));
        assert!(with(&[0, 0], &[2, 3]).contains("class 0 is listed twice"));
        assert!(with(&[0, 1], &[3]).contains("data.test_classes = [3]"));
    }

    #[test]
    fn missing_root_and_missing_file_name_the_package() {
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
    fn swapped_cut_and_mismatched_files_are_named() {
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
            message.contains("holds 100 bytes where its header states 196"),
            "{message}"
        );
        let message = replace("t10k-images-idx3-ubyte", &[&images[..], &[0]].concat());
        assert!(message.contains("holds 197 bytes"), "{message}");
        let message = replace("t10k-labels-idx1-ubyte", &idx(LABELS_MAGIC, &[2], &[1, 2]));
        assert!(message.contains("30 images"), "{message}");
        let zipped = gzipped(&images);
        let message = replace("train-images-idx3-ubyte.gz", &zipped[..zipped.len() - 20]);
        assert!(message.contains("is cut off"), "{message}");
        let message = replace("train-images-idx3-ubyte.gz", b"no gzip at all");
        assert!(message.contains("cannot read"), "{message}");
        let message = replace("t10k-images-idx3-ubyte", b"");
        assert!(message.contains("is cut off"), "{message}");
    }
}
