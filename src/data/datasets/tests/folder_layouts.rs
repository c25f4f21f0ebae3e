//! Folders beside the splits, and roots that are a folder too high or too low.

use super::*;

#[test]
fn images_beside_train_and_test_are_warnings() {
    let tree = tree(&SPLIT);
    tree.images(&[
        "val/x/0.png",
        "val/x/1.png",
        "extra/0.jpg",
        "stray.jpg",
        "labels/0.txt",
        "@eaDir/0.jpg",
        "README.md",
    ]);
    let index = read(&tree);
    assert!(index.errors.iter().all(DatasetError::is_warning));
    assert_eq!(
        error_messages(&index, tree.root()),
        [
            "extra is beside train/ and test/, so its 1 image(s) are never used; move its class folders into \
             train/ or test/ to use them",
            "image stray.jpg is beside train/ and test/, so it is never used; move it into the folder of its \
             class",
            "val is beside train/ and test/, so its 2 image(s) are never used; validation classes are held \
             out of those in train/, so move its class folders there to use them",
        ]
    );
    // Training warns of them too.
    let source = DataConfig {
        source: DatasetConfig::Folder(config(&tree)),
        ..DataConfig::default()
    };
    for name in SPLIT {
        image::RgbImage::new(2, 2)
            .save(tree.root().join(name))
            .unwrap();
    }
    let splits = datasets::open(&source, true, Monitor::none()).unwrap();
    assert_eq!(splits.warnings.len(), 3, "{:?}", splits.warnings);
    assert!(splits.warnings[2].contains("val is beside train/"));
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
    let found = errors_of(&tree(&SPLIT[..4]));
    assert!(
        found[0].contains("has train/ but no test/; add test/ with"),
        "{found:?}"
    );
    let found = errors_of(&tree(&SPLIT[4..]));
    assert!(
        found[0].contains("has test/ but no train/; add train/ with"),
        "{found:?}"
    );
    let tree = tree(&SPLIT[..4]);
    tree.images(&["Test/a/0.png", "val/b/0.png"]);
    let found = errors_of(&tree);
    assert!(found[0].contains("rename Test/ to test/ if"), "{found:?}");
    let index = read(&tree);
    assert_eq!(names(&index, Subset::Train), "xy", "its images are checked");
    assert!(index.errors[0].prevents_splits());
}
#[test]
fn splits_of_other_names_are_named() {
    let tree = tree(&["Training/x/0.png", "Training/y/0.png", "valid/a/0.png"]);
    assert_eq!(
        errors_of(&tree),
        [format!(
            "{} has Training/ and valid/ instead of train/ and test/; rename the folders",
            tree.root().display()
        )]
    );
}
/// The errors with another folder of the tree as root, without the path of the tree.
fn errors_of_root(tree: &Tree, root: &str) -> Vec<String> {
    let keys = FolderConfig {
        root: tree.root().join(root),
        ..FolderConfig::default()
    };
    let index = index(&keys, None, &unmonitored()).unwrap();
    let canonical = tree.root().canonicalize().unwrap();
    let found = error_messages(&index, tree.root());
    found
        .iter()
        .map(|message| message.replace(&format!("{}/", canonical.display()), ""))
        .collect()
}
#[test]
fn a_root_one_folder_too_high_is_recognised() {
    let below = |names: &[&str], folder: &str| {
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("{folder}/{name}"))
            .collect();
        tree(&names.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let expected =
        "zip has no class folders, but a folder in it has; did you mean --root zip/photos?";
    for names in [&FOUR, &SPLIT] {
        let tree = below(names, "zip/photos");
        tree.images(&["zip/LICENSE", "zip/__MACOSX/photos/0.jpg"]);
        assert_eq!(errors_of_root(&tree, "zip"), [expected]);
    }
    let deep = below(&FOUR, "zip/a/b");
    assert!(errors_of_root(&deep, "zip")[0].ends_with("did you mean --root zip/a/b?"));
    // Two folders with classes are a level too much, and none of them is the root.
    let tree = below(&FOUR, "zip/one");
    tree.images(&["zip/two/a/0.jpg", "zip/two/b/0.jpg"]);
    let found = errors_of_root(&tree, "zip");
    assert!(
        found[0].contains("is a folder inside a class folder"),
        "{found:?}"
    );
}
#[test]
fn a_root_one_folder_too_low_is_recognised() {
    let tree = tree(&SPLIT);
    let reason = "train is one of two splits, and has too few classes to be divided again";
    let found = errors_of_root(&tree, "train");
    let suggestion = tree.root().canonicalize().unwrap();
    let expected = format!("{reason}; did you mean --root {}?", suggestion.display());
    assert!(found[0].ends_with(&expected), "{found:?}");
    assert!(
        found[1].contains("has 2 class(es) and needs at least 4"),
        "{found:?}"
    );

    // With enough classes, it may be intended.
    tree.images(&[
        "train/z/0.png",
        "train/z/1.png",
        "train/w/0.png",
        "train/w/1.png",
    ]);
    let index = index(
        &FolderConfig {
            root: tree.root().join("train"),
            ..FolderConfig::default()
        },
        None,
        &unmonitored(),
    )
    .unwrap();
    assert_eq!(index.train.len() + index.test.len(), 4);
    assert_eq!(index.errors.len(), 1);
    assert!(index.errors[0].is_warning());
    let message = index.errors[0].to_string();
    assert!(
        message.contains("train is one of the two splits of"),
        "{message}"
    );
}
#[test]
fn a_root_that_is_the_folder_of_a_class_is_recognised() {
    let tree = tree(&["photos/a/0.png", "photos/a/1.png", "photos/b/0.png"]);
    assert_eq!(
        errors_of_root(&tree, "photos/a"),
        ["photos/a is the folder of one class; did you mean --root photos?"]
    );
    tree.images(&["d/train/x/0.png", "d/test/y/0.png"]);
    assert_eq!(
        errors_of_root(&tree, "d/train/x"),
        ["d/train/x is the folder of one class; did you mean --root d?"]
    );
    tree.images(&["alone/in/here/0.png", "alone/in/here/1.png"]);
    assert_eq!(
        errors_of_root(&tree, "alone/in/here"),
        [
            "alone/in/here contains 2 image(s) and no class folders; put the images of each class into a folder \
          in it, or give the folder above"
        ]
    );
}
