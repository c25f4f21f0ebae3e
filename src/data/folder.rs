//! A folder of class folders: `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or `ROOT/CLASS/*`.
//!
//! Images are the files named `.jpg`, `.jpeg` or `.png`, in any case; names are sorted, so that a
//! folder gives the same split on every machine. Hidden files and files that are no images
//! (`Thumbs.db`, `notes.txt`) are passed over; images of other kinds are refused, since leaving
//! them out silently would change the dataset.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;

use super::image_file::{check_image_file, read_image_file};
use super::parallel::in_parallel;
use super::{DataError, Images, Split, Splits};
use crate::config::FolderConfig;

/// Extensions of image files that are refused rather than passed over.
const UNSUPPORTED: [&str; 19] = [
    "avif", "bmp", "dng", "exr", "gif", "heic", "heif", "jfif", "jp2", "jxl", "pbm", "pgm", "pnm",
    "ppm", "svg", "tga", "tif", "tiff", "webp",
];

/// The class folders of a split with their image files, both sorted.
struct Class {
    name: String,
    files: Vec<PathBuf>,
}

struct ImageFiles {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Images for ImageFiles {
    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        read_image_file(&self.files[index])
    }

    fn name(&self, index: usize) -> String {
        let path = &self.files[index];
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        below.to_string_lossy().into_owned()
    }
}

/// Opens the dataset below `config.root`; looks at the header and the end of every image.
pub(super) fn open(config: &FolderConfig, workers: usize) -> Result<Splits, DataError> {
    let root = &config.root;
    if !root.is_dir() {
        return Err(DataError::RootMissing {
            root: root.clone(),
            mend: "it has to hold train/CLASS/* and test/CLASS/*, or CLASS/*",
        });
    }
    let (train, test) = (root.join("train"), root.join("test"));
    let missing_split = |found, missing| DataError::MissingSplit {
        root: root.clone(),
        found,
        missing,
    };
    let (train, test) = match (train.is_dir(), test.is_dir()) {
        (true, true) => (read_classes(&train)?, read_classes(&test)?),
        (true, false) => return Err(missing_split("train", "test")),
        (false, true) => return Err(missing_split("test", "train")),
        (false, false) => halve(root, read_classes(root)?)?,
    };
    let trained: HashSet<&str> = train.iter().map(|class| class.name.as_str()).collect();
    if let Some(both) = test
        .iter()
        .find(|class| trained.contains(class.name.as_str()))
    {
        return Err(DataError::ClassInBothSplits {
            class: both.name.clone(),
        });
    }
    Ok(Splits {
        train: split("train", root, train, workers)?,
        test: split("test", root, test, workers)?,
    })
}

/// The first half of the sorted classes trains, the rest tests.
fn halve(root: &Path, mut classes: Vec<Class>) -> Result<(Vec<Class>, Vec<Class>), DataError> {
    if classes.len() < 4 {
        return Err(DataError::TooFewClasses {
            what: root.display().to_string(),
            found: classes.len(),
            needed: 4,
        });
    }
    let test = classes.split_off(classes.len() / 2);
    Ok((classes, test))
}

fn split(
    name: &'static str,
    root: &Path,
    classes: Vec<Class>,
    workers: usize,
) -> Result<Split, DataError> {
    let mut class_names = Vec::with_capacity(classes.len());
    let (mut labels, mut files) = (Vec::new(), Vec::new());
    for (label, class) in classes.into_iter().enumerate() {
        labels.extend(vec![label; class.files.len()]);
        files.extend(class.files);
        class_names.push(class.name);
    }
    in_parallel(workers, files.len(), |i| {
        check_image_file(&files[i]).map(drop)
    })
    .into_iter()
    .collect::<Result<(), _>>()?;
    let images = ImageFiles {
        root: root.into(),
        files,
    };
    Ok(Split::new(name, class_names, labels, Arc::new(images)))
}

fn read_classes(folder: &Path) -> Result<Vec<Class>, DataError> {
    let mut classes = Vec::new();
    for entry in sorted_entries(folder)? {
        if entry.is_folder {
            classes.push(Class {
                name: entry.name.to_string_lossy().into_owned(),
                files: read_class(&entry.path)?,
            });
        } else if is_image(&entry.path)? {
            return Err(DataError::StrayImage { path: entry.path });
        }
    }
    Ok(classes)
}

fn read_class(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for entry in sorted_entries(folder)? {
        if entry.is_folder {
            return Err(DataError::NestedFolder { path: entry.path });
        }
        if is_image(&entry.path)? {
            files.push(entry.path);
        }
    }
    if files.is_empty() {
        return Err(DataError::EmptyClass {
            path: folder.into(),
        });
    }
    Ok(files)
}

/// Whether the name is that of a readable image; an error if it is that of another kind of image.
fn is_image(path: &Path) -> Result<bool, DataError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let extension = extension.to_ascii_lowercase();
    if UNSUPPORTED.contains(&extension.as_str()) {
        return Err(DataError::UnsupportedImage {
            path: path.into(),
            found: format!("a .{extension} image"),
        });
    }
    Ok(["jpg", "jpeg", "png"].contains(&extension.as_str()))
}

struct Entry {
    name: OsString,
    path: PathBuf,
    is_folder: bool,
}

/// The entries of a folder that are not hidden, sorted by name; links are followed.
fn sorted_entries(folder: &Path) -> Result<Vec<Entry>, DataError> {
    let unreadable = |path: &Path, error: std::io::Error| DataError::Unreadable {
        path: path.into(),
        reason: error.to_string(),
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry
            .file_type()
            .map_err(|error| unreadable(&path, error))?;
        let is_folder = if kind.is_symlink() {
            fs::metadata(&path)
                .map_err(|error| unreadable(&path, error))?
                .is_dir()
        } else {
            kind.is_dir()
        };
        entries.push(Entry {
            name,
            path,
            is_folder,
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use tempfile::TempDir;

    use super::*;

    /// Writes a small image of one colour, in the format of its name.
    fn draw(root: &Path, name: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let format = match name.to_lowercase().ends_with("png") {
            true => image::ImageFormat::Png,
            false => image::ImageFormat::Jpeg,
        };
        RgbImage::from_pixel(9, 7, Rgb([name.len() as u8; 3]))
            .save_with_format(path, format)
            .unwrap();
    }

    fn folder_of(names: &[&str]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for name in names {
            draw(folder.path(), name);
        }
        folder
    }

    fn open_folder(folder: &TempDir) -> Result<Splits, DataError> {
        let config = FolderConfig {
            root: folder.path().into(),
        };
        crate::data::open(&crate::config::DataConfig {
            source: crate::config::DatasetConfig::Folder(config),
            ..Default::default()
        })
    }

    fn refusal(folder: &TempDir) -> String {
        open_folder(folder).unwrap_err().to_string()
    }

    const FOUR: [&str; 8] = [
        "b/1.png", "b/0.JPG", "a/0.png", "a/1.jpeg", "d/1.PNG", "d/0.png", "c/0.jpg", "c/1.jpg",
    ];

    #[test]
    fn first_half_of_the_sorted_classes_trains_and_the_rest_tests() {
        let folder = folder_of(&FOUR);
        let splits = open_folder(&folder).unwrap();
        assert_eq!(splits.train.class_names(), ["a", "b"]);
        assert_eq!(splits.test.class_names(), ["c", "d"]);
        assert_eq!(splits.train.labels(), [0, 0, 1, 1]);
        assert_eq!(splits.train.image_name(2), "b/0.JPG");
        assert_eq!(splits.test.image(3).unwrap().dimensions(), (9, 7));
    }

    #[test]
    fn train_and_test_folders_are_the_splits() {
        let folder = folder_of(&[
            "train/x/0.png",
            "train/x/1.png",
            "train/y/0.png",
            "train/y/1.png",
            "train/z/0.png",
            "train/z/1.png",
            "test/a/0.png",
            "test/a/1.png",
            "test/b/0.png",
            "test/b/1.png",
        ]);
        let splits = open_folder(&folder).unwrap();
        assert_eq!(splits.train.class_names(), ["x", "y", "z"]);
        assert_eq!(splits.test.image_name(0), "test/a/0.png");
    }

    #[test]
    fn hidden_files_and_files_that_are_no_images_are_passed_over() {
        let folder = folder_of(&FOUR);
        for name in [
            "a/.hidden.png",
            "a/Thumbs.db",
            "a/notes.txt",
            "README",
            ".git",
        ] {
            fs::write(folder.path().join(name), "no image").unwrap();
        }
        assert_eq!(open_folder(&folder).unwrap().train.labels().len(), 4);
    }

    #[test]
    fn images_of_other_kinds_are_refused_by_name() {
        let folder = folder_of(&FOUR);
        fs::write(folder.path().join("a/x.WebP"), "").unwrap();
        let message = refusal(&folder);
        assert!(message.contains("x.WebP is a .webp image"), "{message}");
        assert!(message.contains("convert it to JPEG or PNG"), "{message}");
    }

    #[test]
    fn missing_root_and_missing_split_say_what_to_add() {
        let config = FolderConfig {
            root: "/nowhere/at/all".into(),
        };
        let message = open(&config, 1).unwrap_err().to_string();
        assert!(
            message.contains("/nowhere/at/all is not a folder"),
            "{message}"
        );
        let message = refusal(&folder_of(&["train/a/0.png", "train/a/1.png"]));
        assert!(message.contains("has train/ but no test/"), "{message}");
        let message = refusal(&folder_of(&["test/a/0.png", "test/a/1.png"]));
        assert!(message.contains("has test/ but no train/"), "{message}");
    }

    #[test]
    fn too_few_classes_are_refused() {
        let message = refusal(&folder_of(&["only/0.png", "only/1.png"]));
        assert!(
            message.contains("has 1 class(es) and needs at least 4"),
            "{message}"
        );
        let message = refusal(&folder_of(&[
            "train/a/0.png",
            "train/a/1.png",
            "test/b/0.png",
            "test/b/1.png",
        ]));
        assert!(
            message.contains("the train split has 1 class(es)"),
            "{message}"
        );
        assert!(refusal(&TempDir::new().unwrap()).contains("0 class(es)"));
    }

    #[test]
    fn empty_and_single_image_classes_are_named() {
        let folder = folder_of(&FOUR);
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert!(refusal(&folder).contains("/empty holds no .jpg"));
        fs::remove_dir(folder.path().join("empty")).unwrap();
        draw(folder.path(), "e/0.png");
        let message = refusal(&folder);
        assert!(
            message.contains("class e of the test split has 1 image(s)"),
            "{message}"
        );
    }

    #[test]
    fn a_class_of_both_splits_is_named() {
        let message = refusal(&folder_of(&[
            "train/a/0.png",
            "train/a/1.png",
            "train/b/0.png",
            "train/b/1.png",
            "test/b/0.png",
            "test/b/1.png",
            "test/c/0.png",
            "test/c/1.png",
        ]));
        assert!(message.contains("class b is in both"), "{message}");
    }

    #[test]
    fn nested_folders_and_stray_images_are_named() {
        let mut names = FOUR.to_vec();
        names.push("a/inner/0.png");
        assert!(refusal(&folder_of(&names)).contains("inner is a folder inside a class folder"));
        *names.last_mut().unwrap() = "stray.png";
        assert!(refusal(&folder_of(&names)).contains("stray.png lies beside the class folders"));
    }

    #[test]
    fn cut_and_foreign_files_are_refused_before_training() {
        let folder = folder_of(&FOUR);
        let path = folder.path().join("c/1.jpg");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let message = refusal(&folder);
        assert!(message.contains("c/1.jpg is cut off"), "{message}");
        fs::write(&path, "<html>").unwrap();
        assert!(refusal(&folder).contains("c/1.jpg is neither JPEG nor PNG inside"));
    }
}
