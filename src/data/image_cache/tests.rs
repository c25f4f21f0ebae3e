//! Caches of twelve pictures in a folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;
use crate::cancellation::CancellationToken;
use crate::data::Images;
use crate::progress::NoProgress;

const RESIZES: [ResizeSpec; 2] = [ResizeSpec::Square(8), ResizeSpec::ShorterSide(6)];

/// Pictures in files, counting how often they are decoded.
struct Pictures {
    files: Vec<PathBuf>,
    decoded: AtomicUsize,
    /// Cancelled when the first picture is decoded.
    cancel: Option<CancellationToken>,
}

impl Images for Pictures {
    fn image(&self, index: usize, _: Option<u32>) -> Result<RgbImage, DataError> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        self.cancel.iter().for_each(CancellationToken::cancel);
        crate::data::read_image_file(&self.files[index])
    }

    fn name(&self, index: usize) -> String {
        format!("{index}.png")
    }

    fn path(&self, index: usize) -> Option<&Path> {
        Some(&self.files[index])
    }
}

struct Scene {
    folder: TempDir,
    pictures: Arc<Pictures>,
}

impl Scene {
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
        let files = (0..12).map(draw).collect();
        let decoded = AtomicUsize::new(0);
        let pictures = Arc::new(Pictures {
            files,
            decoded,
            cancel,
        });
        Self { folder, pictures }
    }

    fn caches(&self) -> PathBuf {
        self.folder.path().join("caches")
    }

    fn split(&self) -> Split {
        let labels = (0..12).map(|i| i / 6).collect();
        let names = ["a", "b"].map(String::from).to_vec();
        Split::new("train", names, labels, self.pictures.clone())
    }

    fn open(&self, skip_broken: bool) -> Result<ImageCache, DataError> {
        let spec = CacheSpec {
            folder: &self.caches(),
            resizes: &RESIZES,
            min_side: None,
            skip_broken,
            workers: 2,
            cancellation: &CancellationToken::new(),
            progress: &NoProgress,
        };
        ImageCache::open(&self.split(), spec)
    }

    /// The one cache file.
    fn file(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.caches()).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "images"))
            .collect()
    }

    fn decoded(&self) -> usize {
        self.pictures.decoded.load(Ordering::SeqCst)
    }
}

fn assert_whole(scene: &Scene, cache: &ImageCache) {
    for index in 0..12 {
        let image = scene.split().image(index).unwrap();
        for resize in RESIZES {
            assert_eq!(cache.get(index, resize).unwrap(), resize.apply(&image));
        }
    }
}

#[test]
fn a_cache_holds_what_decoding_gives_and_is_made_once() {
    let scene = Scene::new();
    assert_whole(&scene, &scene.open(false).unwrap());
    let decoded = scene.decoded();
    let cache = scene.open(false).unwrap();
    assert_eq!(
        scene.decoded(),
        decoded,
        "the second opening decodes nothing"
    );
    assert_whole(&scene, &cache);
    assert!(cache.get(0, ResizeSpec::Square(9)).is_none());
}

#[test]
fn every_damage_is_found_and_mended() {
    let scene = Scene::new();
    drop(scene.open(false).unwrap());
    let whole = fs::read(scene.file()).unwrap();
    let index_start = format::HEADER;
    let pixels_start = index_start + 24 * format::ENTRY;
    let last = whole.len() - 1;
    for place in [0, 20, format::HEADER - 1, index_start, pixels_start, last] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x40;
        fs::write(scene.file(), &damaged).unwrap();
        assert_whole(&scene, &scene.open(false).unwrap());
        assert_eq!(fs::read(scene.file()).unwrap(), whole, "byte {place}");
    }
    for length in [0, 5, pixels_start - 1, last] {
        fs::write(scene.file(), &whole[..length]).unwrap();
        assert_whole(&scene, &scene.open(false).unwrap());
        assert_eq!(fs::read(scene.file()).unwrap(), whole, "cut to {length}");
    }
    fs::write(scene.file(), [&whole[..], &[0]].concat()).unwrap();
    assert_whole(&scene, &scene.open(false).unwrap());
}

#[test]
fn a_changed_image_has_another_cache() {
    let scene = Scene::new();
    drop(scene.open(false).unwrap());
    RgbImage::from_pixel(30, 30, Rgb([1, 2, 3]))
        .save(&scene.pictures.files[3])
        .unwrap();
    assert_whole(&scene, &scene.open(false).unwrap());
    assert_eq!(scene.files().len(), 2);
}

#[test]
fn eight_threads_that_open_at_once_make_one_cache() {
    let scene = Scene::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_whole(&scene, &scene.open(false).unwrap()));
        }
    });
    scene.file();
    // Twelve to make it; the others are the comparisons above.
    assert_eq!(scene.decoded(), 12 + 8 * 12);
}

#[test]
fn a_broken_image_is_named_or_left_out_and_no_half_cache_stays() {
    let scene = Scene::new();
    fs::write(&scene.pictures.files[7], "no image").unwrap();
    let error = scene.open(false).err().unwrap().to_string();
    assert!(error.contains("7.png"), "{error}");
    assert!(scene.files().is_empty());
    let cache = scene.open(true).unwrap();
    assert!(cache.get(7, RESIZES[0]).is_none());
    assert!(cache.get(8, RESIZES[0]).is_some());
}

#[test]
fn interruption_leaves_nothing_behind() {
    let cancellation = CancellationToken::new();
    let scene = Scene::cancelling(Some(cancellation.clone()));
    let spec = CacheSpec {
        folder: &scene.caches(),
        resizes: &RESIZES,
        min_side: None,
        skip_broken: false,
        workers: 1,
        // Once the key has been computed.
        cancellation: &cancellation,
        progress: &NoProgress,
    };
    let error = ImageCache::open(&scene.split(), spec).err().unwrap();
    assert_eq!(error, DataError::Cancelled);
    let left = fs::read_dir(scene.caches()).unwrap();
    let left = left.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_none_or(|kind| kind != "lock")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn what_a_killed_run_left_behind_is_removed() {
    let scene = Scene::new();
    drop(scene.open(false).unwrap());
    let key = scene.file().file_stem().unwrap().to_os_string();
    let key = key.into_string().unwrap();
    fs::remove_file(scene.file()).unwrap();
    let left = scene.caches().join(format!("{key}-x1.partial"));
    let of_another = scene.caches().join("0-x1.partial");
    for path in [&left, &of_another] {
        fs::write(path, "half").unwrap();
    }
    assert_whole(&scene, &scene.open(false).unwrap());
    assert!(!left.exists() && of_another.exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_key() {
    let scene = Scene::new();
    fs::write(scene.caches(), "a file").unwrap();
    let error = scene.open(false).err().unwrap().to_string();
    assert!(error.contains("data.cache_dir"), "{error}");
}
