#[path = "folder_layouts.rs"]
mod layouts;

use super::super::index::Subset;
use super::super::test_tree::{Tree, contents, error_messages, unmonitored};
use super::*;
use crate::cancellation::CancellationToken;
use crate::data::config::DataConfig;
use crate::data::config::DatasetConfig;
use crate::data::datasets;
use crate::progress::Monitor;
use crate::progress::test_observer::RecordingObserver;

const FOUR: [&str; 8] = [
    "b/1.png", "b/0.JPG", "a/0.png", "a/1.jpeg", "d/1.PNG", "d/0.png", "c/0.jpg", "c/1.jpg",
];
const SPLIT: [&str; 8] = [
    "train/x/0.png",
    "train/x/1.png",
    "train/y/0.png",
    "train/y/1.png",
    "test/a/0.png",
    "test/a/1.png",
    "test/b/0.png",
    "test/b/1.png",
];

fn tree(names: &[&str]) -> Tree {
    let tree = Tree::new();
    tree.images(names);
    tree
}

fn config(tree: &Tree) -> FolderConfig {
    FolderConfig {
        root: tree.root().into(),
        ..FolderConfig::default()
    }
}

fn read(tree: &Tree) -> DatasetIndex {
    index(&config(tree), None, &unmonitored()).unwrap()
}

fn errors_of(tree: &Tree) -> Vec<String> {
    error_messages(&read(tree), tree.root())
}

fn names(index: &DatasetIndex, subset: Subset) -> String {
    index
        .classes(subset)
        .iter()
        .map(|class| class.name.as_str())
        .collect()
}

#[test]
fn first_half_of_the_sorted_classes_is_the_training_split() {
    let tree = tree(&FOUR);
    let index = read(&tree);
    assert_eq!(
        contents(&index.train),
        [
            ("a", vec!["a/0.png", "a/1.jpeg"]),
            ("b", vec!["b/0.JPG", "b/1.png"])
        ]
    );
    assert_eq!(
        contents(&index.test),
        [
            ("c", vec!["c/0.jpg", "c/1.jpg"]),
            ("d", vec!["d/0.png", "d/1.PNG"])
        ]
    );
    assert_eq!(index.test[0].images[0].path, tree.root().join("c/0.jpg"));
    assert_eq!(index.errors, []);
}

#[test]
fn share_and_seed_divide_the_classes() {
    let mut names_of_eight = FOUR.to_vec();
    names_of_eight.extend([
        "e/0.png", "e/1.png", "f/0.png", "f/1.png", "g/0.png", "g/1.png", "h/0.png", "h/1.png",
    ]);
    let tree = tree(&names_of_eight);
    let with = |train_share, split_seed| {
        let keys = FolderConfig {
            train_share,
            ..config(&tree)
        };
        names(
            &index(&keys, split_seed, &unmonitored()).unwrap(),
            Subset::Train,
        )
    };
    assert_eq!(with(0.75, None), "abcdef");
    let drawn = with(0.5, Some(4));
    assert_eq!(drawn.len(), 4);
    assert_ne!(drawn, "abcd");
    assert_eq!(with(0.5, Some(4)), drawn);
}

#[test]
fn train_and_test_folders_are_the_splits() {
    let mut names_of_five = SPLIT.to_vec();
    names_of_five.extend(["train/z/0.png", "train/z/1.png"]);
    let index = read(&tree(&names_of_five));
    assert_eq!(names(&index, Subset::Train), "xyz");
    assert_eq!(index.test[0].images[0].name, "test/a/0.png");
}

#[test]
fn hidden_files_and_other_files_are_ignored() {
    let tree = tree(&FOUR);
    tree.images(&[
        "a/.hidden.png",
        "a/Thumbs.db",
        "a/notes.txt",
        "README",
        ".git/x.png",
    ]);
    let index = read(&tree);
    assert_eq!(index.errors, []);
    assert_eq!(index.train[0].images.len(), 2);
}

#[test]
fn images_of_formats_that_are_not_read_are_entries_whose_check_fails() {
    let tree = tree(&FOUR);
    tree.images(&["a/x.HEIC", "a/y.NEF"]);
    let index = read(&tree);
    let message = error_messages(&index, tree.root()).concat();
    assert!(
        message.starts_with("a/y.NEF is a camera's raw image (.nef), which is not supported"),
        "{message}"
    );
    assert_eq!(index.train[0].images[2].name, "a/x.HEIC");
}

#[test]
fn images_are_known_by_their_content() {
    let tree = tree(&FOUR);
    tree.images(&["a/2.jpe", "a/3.jif", "a/4.JFIF"]);
    for name in ["a/5.jpg_large", "a/6", "a/7.jpg:orig"] {
        tree.write(name, b"\xff\xd8\xff\xe0\0\x10JFIF");
    }
    tree.write("a/LICENSE", "all rights");
    let index = read(&tree);
    assert_eq!(index.errors, []);
    assert_eq!(
        contents(&index.train)[0].1,
        [
            "a/0.png",
            "a/1.jpeg",
            "a/2.jpe",
            "a/3.jif",
            "a/4.JFIF",
            "a/5.jpg_large",
            "a/6",
            "a/7.jpg:orig",
        ]
    );
    // Beside the class folders, it is found too.
    tree.write("stray", b"\xff\xd8\xff\xe0\0\x10JFIF");
    let found = errors_of(&tree);
    assert_eq!(
        found,
        ["image stray is beside the class folders; move it into the folder of its class"]
    );
}

#[test]
fn folders_of_systems_are_no_classes() {
    let tree = tree(&FOUR);
    tree.images(&[
        "@eaDir/0.jpg",
        "a/@eaDir/0.jpg",
        "__MACOSX/a/0.jpg",
        "a/.ipynb_checkpoints/0.jpg",
        "a/Thumbs.db",
        "a/.DS_Store",
        "lost+found/0.jpg",
        "$RECYCLE.BIN/0.jpg",
        "System Volume Information/0.jpg",
        "desktop.ini",
    ]);
    let index = read(&tree);
    assert_eq!(index.errors, []);
    assert_eq!(
        names(&index, Subset::Train) + &names(&index, Subset::Test),
        "abcd"
    );
    assert_eq!(index.train[0].images.len(), 2);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_refused_with_their_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let tree = tree(&FOUR);
    for class in [&b"caf\xe9"[..], b"caf\xe8"] {
        let folder = tree.root().join(OsStr::from_bytes(class));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("0.jpg"), "").unwrap();
    }
    for image in [&b"a\xe9.jpg"[..], b"a\xe8.jpg"] {
        std::fs::write(tree.root().join("d").join(OsStr::from_bytes(image)), "").unwrap();
    }
    let message = |name: &str| {
        format!(
            "the name {name} is not UTF-8 (other bytes are shown as \\x…); rename it, for example with convmv"
        )
    };
    assert_eq!(
        errors_of(&tree),
        [
            message(r"caf\xe8"),
            message(r"caf\xe9"),
            message(r"d/a\xe8.jpg"),
            message(r"d/a\xe9.jpg"),
        ]
    );
    let index = read(&tree);
    assert_eq!(
        names(&index, Subset::Train) + &names(&index, Subset::Test),
        "abcd"
    );
    assert_eq!(index.test[1].images.len(), 2);
}

#[test]
fn too_few_classes_are_an_error_after_others_and_their_images_are_checked() {
    let few = tree(&["only/0.png", "only/1.png", "only/inner/0.png"]);
    let found = errors_of(&few);
    assert!(
        found[0].contains("inner is a folder inside a class folder"),
        "{found:?}"
    );
    assert!(
        found[1].contains("has 1 class(es) and needs at least 4"),
        "{found:?}"
    );
    let index = read(&few);
    assert_eq!((index.train.len(), index.test.len()), (1, 0));
    assert!(errors_of(&Tree::new())[0].contains("0 class(es)"));
    let source = DataConfig {
        source: DatasetConfig::Folder(config(&few)),
        ..DataConfig::default()
    };
    let message = datasets::open(&source, true, Monitor::none())
        .unwrap_err()
        .to_string();
    assert!(
        message.ends_with("; and 1 more problem(s), which `loop-dml data check` lists"),
        "{message}"
    );
}

#[test]
fn empty_classes_are_named() {
    let tree = tree(&FOUR);
    std::fs::create_dir(tree.root().join("empty")).unwrap();
    let found = errors_of(&tree);
    assert!(found[0].contains("empty contains no image"), "{found:?}");
    assert_eq!(found.len(), 1);
}

#[test]
fn a_class_of_both_splits_is_named() {
    let mut names = SPLIT.to_vec();
    names.extend(["test/y/0.png", "test/y/1.png"]);
    let found = errors_of(&tree(&names));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("class y is in both"), "{found:?}");
}

#[test]
fn all_misplaced_files_and_folders_are_named() {
    let tree = tree(&FOUR);
    tree.images(&["a/inner/0.png", "stray.png"]);
    let found = errors_of(&tree);
    assert!(
        found[0].contains("inner is a folder inside a class folder"),
        "{found:?}"
    );
    assert!(
        found[1].contains("stray.png is beside the class folders"),
        "{found:?}"
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn images_are_counted_and_cancellation_ends_the_listing() {
    let tree = tree(&SPLIT);
    let source = DataConfig {
        source: DatasetConfig::Folder(config(&tree)),
        ..DataConfig::default()
    };
    let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
    datasets::index(&source, Monitor::new(&token, &observer)).unwrap();
    assert_eq!(observer.task("listing images"), Some((8, None, true)));

    // The folders of which nothing was read are not reported as empty.
    let observer = RecordingObserver::cancelling("listing images", &token);
    let result = datasets::index(&source, Monitor::new(&token, &observer));
    assert_eq!(result.unwrap_err(), DatasetError::Cancelled);
    assert_eq!(observer.abandoned(), ["listing images"]);
}
