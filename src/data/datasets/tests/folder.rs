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

fn refusal(tree: &Tree) -> String {
    index(&config(tree), None, &unmonitored())
        .unwrap_err()
        .to_string()
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
fn images_of_other_formats_are_refused_by_name() {
    let tree = tree(&FOUR);
    tree.images(&["a/x.WebP"]);
    assert_eq!(
        errors_of(&tree),
        [
            "a/x.WebP is a .webp image, which is not supported; convert it to JPEG or PNG, or remove it"
        ]
    );
}

#[test]
fn missing_root_and_missing_split_are_reported_with_a_hint() {
    let keys = FolderConfig {
        root: "/nowhere/at/all".into(),
        ..FolderConfig::default()
    };
    let message = index(&keys, None, &unmonitored()).unwrap_err().to_string();
    assert!(
        message.contains("/nowhere/at/all is not a folder"),
        "{message}"
    );
    let message = refusal(&tree(&SPLIT[..4]));
    assert!(message.contains("has train/ but no test/"), "{message}");
    let message = refusal(&tree(&SPLIT[4..]));
    assert!(message.contains("has test/ but no train/"), "{message}");
}

#[test]
fn too_few_classes_are_refused_after_other_errors() {
    let message = refusal(&tree(&["only/0.png", "only/1.png"]));
    assert!(
        message.contains("has 1 class(es) and needs at least 4"),
        "{message}"
    );
    assert!(refusal(&Tree::new()).contains("0 class(es)"));
    let message = refusal(&tree(&["0.png", "1.png"]));
    assert!(
        message.contains("0.png is beside the class folders"),
        "{message}"
    );
}

#[test]
fn empty_classes_are_named() {
    let tree = tree(&FOUR);
    std::fs::create_dir(tree.root().join("empty")).unwrap();
    let found = errors_of(&tree);
    assert!(found[0].contains("empty contains no .jpg"), "{found:?}");
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
