//! Caches of twelve images in a folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;
use crate::cancellation::CancellationToken;
use crate::data::image_file::{ImageError, read_image_file};
use crate::data::images::Images;
use crate::progress::NoProgress;

const RESIZES: [ResizeSpec; 2] = [ResizeSpec::Square(8), ResizeSpec::ShorterSide(6)];

/// Image files that count how often they are decoded.
struct Files {
    paths: Vec<PathBuf>,
    decoded: AtomicUsize,
    /// Cancelled when the first image is decoded.
    cancel: Option<CancellationToken>,
}

impl Images for Files {
    fn image(&self, index: usize, _: Option<u32>) -> Result<RgbImage, ImageError> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        self.cancel.iter().for_each(CancellationToken::cancel);
        read_image_file(&self.paths[index])
    }

    fn name(&self, index: usize) -> String {
        format!("{index}.png")
    }

    fn path(&self, index: usize) -> Option<&Path> {
        Some(&self.paths[index])
    }
}

struct Setup {
    folder: TempDir,
    files: Arc<Files>,
}

impl Setup {
    fn new() -> Self {
        Self::cancelling(None)
    }

    fn cancelling(cancel: Option<CancellationToken>) -> Self {
        let folder = TempDir::new().unwrap();
        let draw = |i: u32| {
            let path = folder.path().join(format!("{i}.png"));
            RgbImage::from_fn(9 + i, 12, |x, y| {
                Rgb([(x * 20) as u8, (y * 20) as u8, i as u8])
            })
            .save(&path)
            .unwrap();
            path
        };
        let paths = (0..12).map(draw).collect();
        let decoded = AtomicUsize::new(0);
        let files = Arc::new(Files {
            paths,
            decoded,
            cancel,
        });
        Self { folder, files }
    }

    fn caches(&self) -> PathBuf {
        self.folder.path().join("caches")
    }

    fn images(&self) -> Arc<dyn Images> {
        self.files.clone()
    }

    fn open(&self, skip_broken: bool) -> Result<ImageCache, CacheError> {
        self.with_spec(skip_broken, ImageCache::open)
    }

    fn missing_bytes(&self) -> u64 {
        self.with_spec(false, missing_bytes).unwrap()
    }

    fn with_spec<T>(&self, skip_broken: bool, work: impl FnOnce(&CacheSpec) -> T) -> T {
        work(&CacheSpec {
            images: &self.images(),
            count: 12,
            split: "train",
            options: CacheOptions {
                folder: &self.caches(),
                resizes: &RESIZES,
                min_side: None,
                skip_broken,
                workers: 2,
                cancellation: &CancellationToken::new(),
                progress: &NoProgress,
            },
        })
    }

    /// The one cache file.
    fn file(&self) -> PathBuf {
        let files = self.cache_files();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    fn cache_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.caches()).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "images"))
            .collect()
    }

    fn decoded(&self) -> usize {
        self.files.decoded.load(Ordering::SeqCst)
    }
}

fn assert_complete(setup: &Setup, cache: &ImageCache) {
    for index in 0..12 {
        let image = setup.files.image(index, None).unwrap();
        for resize in RESIZES {
            assert_eq!(cache.get(index, resize).unwrap(), resize.apply(&image));
        }
    }
}

#[test]
fn a_cache_equals_decoding_and_is_built_once() {
    let setup = Setup::new();
    assert_complete(&setup, &setup.open(false).unwrap());
    let decoded = setup.decoded();
    let cache = setup.open(false).unwrap();
    assert_eq!(
        setup.decoded(),
        decoded,
        "the second opening decodes nothing"
    );
    assert_complete(&setup, &cache);
    assert!(cache.get(0, ResizeSpec::Square(9)).is_none());
}

#[test]
fn every_damage_is_detected_and_the_cache_built_again() {
    let setup = Setup::new();
    drop(setup.open(false).unwrap());
    let whole = fs::read(setup.file()).unwrap();
    let index_start = format::HEADER;
    let pixels_start = index_start + 24 * format::ENTRY;
    let last = whole.len() - 1;
    for position in [0, 20, format::HEADER - 1, index_start, pixels_start, last] {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x40;
        fs::write(setup.file(), &damaged).unwrap();
        assert_complete(&setup, &setup.open(false).unwrap());
        assert_eq!(fs::read(setup.file()).unwrap(), whole, "byte {position}");
    }
    for length in [0, 5, pixels_start - 1, last] {
        fs::write(setup.file(), &whole[..length]).unwrap();
        assert_complete(&setup, &setup.open(false).unwrap());
        assert_eq!(
            fs::read(setup.file()).unwrap(),
            whole,
            "truncated to {length}"
        );
    }
    fs::write(setup.file(), [&whole[..], &[0]].concat()).unwrap();
    assert_complete(&setup, &setup.open(false).unwrap());
}

#[test]
fn a_file_that_is_cut_or_overwritten_while_open_is_never_used() {
    let setup = Setup::new();
    let change: [fn(&Path, Vec<u8>); 2] = [
        |path, whole| fs::write(path, &whole[..100]).unwrap(),
        |path, whole| fs::write(path, vec![7; whole.len()]).unwrap(),
    ];
    for change in change {
        let cache = setup.open(false).unwrap();
        change(&setup.file(), fs::read(setup.file()).unwrap());
        for resize in RESIZES {
            assert_eq!(cache.get(3, resize), None);
        }
        assert_complete(&setup, &setup.open(false).unwrap());
    }
}

#[test]
fn a_file_that_is_removed_while_open_is_still_used() {
    let setup = Setup::new();
    let cache = setup.open(false).unwrap();
    fs::remove_file(setup.file()).unwrap();
    assert_complete(&setup, &cache);
}

#[test]
fn a_changed_image_has_another_cache() {
    let setup = Setup::new();
    drop(setup.open(false).unwrap());
    RgbImage::from_pixel(30, 30, Rgb([1, 2, 3]))
        .save(&setup.files.paths[3])
        .unwrap();
    assert_complete(&setup, &setup.open(false).unwrap());
    assert_eq!(setup.cache_files().len(), 2);
}

#[test]
fn eight_threads_that_open_concurrently_build_one_cache() {
    let setup = Setup::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_complete(&setup, &setup.open(false).unwrap()));
        }
    });
    setup.file();
    // Twelve to build it; the others are the comparisons above.
    assert_eq!(setup.decoded(), 12 + 8 * 12);
}

#[test]
fn a_broken_image_is_named_or_left_out_and_no_partial_cache_remains() {
    let setup = Setup::new();
    fs::write(&setup.files.paths[7], "no image").unwrap();
    let error = setup.open(false).err().unwrap().to_string();
    assert!(error.contains("7.png"), "{error}");
    assert!(setup.cache_files().is_empty());
    let cache = setup.open(true).unwrap();
    assert!(cache.get(7, RESIZES[0]).is_none());
    assert!(cache.get(8, RESIZES[0]).is_some());
}

#[test]
fn a_removed_image_is_named_or_left_out() {
    let setup = Setup::new();
    fs::remove_file(&setup.files.paths[7]).unwrap();
    let error = setup.open(false).err().unwrap().to_string();
    assert!(error.contains("7.png"), "{error}");
    let cache = setup.open(true).unwrap();
    assert!(cache.get(7, RESIZES[0]).is_none());
    assert!(cache.get(8, RESIZES[0]).is_some());
}

#[test]
fn cancellation_leaves_no_file_behind() {
    let cancellation = CancellationToken::new();
    let setup = Setup::cancelling(Some(cancellation.clone()));
    let spec = CacheSpec {
        images: &setup.images(),
        count: 12,
        split: "train",
        options: CacheOptions {
            folder: &setup.caches(),
            resizes: &RESIZES,
            min_side: None,
            skip_broken: false,
            workers: 1,
            // Cancelled only after the key was computed.
            cancellation: &cancellation,
            progress: &NoProgress,
        },
    };
    let error = ImageCache::open(&spec).err().unwrap();
    assert_eq!(error, CacheError::Cancelled);
    let left = fs::read_dir(setup.caches()).unwrap();
    let left = left.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_none_or(|kind| kind != "lock")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn leftovers_of_a_killed_run_are_removed() {
    let setup = Setup::new();
    drop(setup.open(false).unwrap());
    let key = setup.file().file_stem().unwrap().to_os_string();
    let key = key.into_string().unwrap();
    fs::remove_file(setup.file()).unwrap();
    let left = setup.caches().join(format!("{key}-x1.partial"));
    let of_another = setup.caches().join("0-x1.partial");
    for path in [&left, &of_another] {
        fs::write(path, "half").unwrap();
    }
    assert_complete(&setup, &setup.open(false).unwrap());
    assert!(!left.exists() && of_another.exists());
}

#[test]
fn an_unwritable_folder_is_reported_with_its_configuration_key() {
    let setup = Setup::new();
    fs::write(setup.caches(), "a file").unwrap();
    let error = setup.open(false).err().unwrap().to_string();
    assert!(error.contains("data.cache_dir"), "{error}");
}

#[test]
fn size_is_known_before_a_cache_is_built_and_0_afterwards() {
    let setup = Setup::new();
    let bytes = setup.missing_bytes();
    assert!(!setup.caches().exists());
    setup.open(false).unwrap();
    assert_eq!(bytes, setup.file().metadata().unwrap().len());
    assert_eq!(setup.missing_bytes(), 0);
}

#[test]
fn an_image_replaced_by_one_of_the_same_length_and_time_is_found_by_its_pixels() {
    let setup = Setup::new();
    let compared = || setup.with_spec(false, compare).unwrap();
    assert_eq!(compared().state, CacheState::Missing);
    assert_eq!(setup.decoded(), 0);
    setup.open(false).unwrap();
    let file = setup.file();
    let state = |stale: &[usize]| CacheState::Compared {
        images: 12,
        stale: stale
            .iter()
            .map(|&i| setup.files.paths[i].clone())
            .collect(),
    };
    let current = compared();
    assert_eq!((current.split.as_str(), &current.file), ("train", &file));
    assert_eq!(current.state, state(&[]));

    // Another image whose file has the same length and time, so that the key of the cache is the same.
    let path = &setup.files.paths[5];
    let (bytes, modified) = (
        fs::read(path).unwrap(),
        fs::metadata(path).unwrap().modified().unwrap(),
    );
    RgbImage::from_pixel(14, 12, Rgb([7; 3]))
        .save(path)
        .unwrap();
    let mut other = fs::read(path).unwrap();
    assert!(other.len() < bytes.len());
    other.resize(bytes.len(), 0);
    fs::write(path, &other).unwrap();
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert_eq!(compared().state, state(&[5]));
    assert_eq!(setup.file(), file, "nothing was built");

    // It cannot even be decoded.
    fs::write(path, vec![0; bytes.len()]).unwrap();
    let opened = File::options().write(true).open(path).unwrap();
    opened.set_modified(modified).unwrap();
    assert_eq!(compared().state, state(&[5]));

    let mut cached = fs::read(&file).unwrap();
    *cached.last_mut().unwrap() ^= 1;
    fs::write(&file, cached).unwrap();
    let reason = "wrong checksum of an image".into();
    assert_eq!(compared().state, CacheState::Damaged { reason });
}

#[test]
fn images_that_could_not_be_cached_are_compared_too() {
    let setup = Setup::new();
    fs::write(&setup.files.paths[3], "no image").unwrap();
    setup.open(true).unwrap();
    let compared = setup.with_spec(true, compare).unwrap();
    let expected = CacheState::Compared {
        images: 12,
        stale: Vec::new(),
    };
    assert_eq!(compared.state, expected);
}
