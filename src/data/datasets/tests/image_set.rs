use super::super::test_tree::{Tree, message};
use super::*;
use crate::cancellation::CancellationToken;
use crate::progress::test_observer::RecordingObserver;

/// A tree of small valid images.
fn tree(names: &[&str]) -> Tree {
    let tree = Tree::new();
    for name in names {
        tree.write(name, "");
        let path = tree.root().join(name);
        image::RgbImage::new(2, 2).save(path).unwrap();
    }
    tree
}

fn open(tree: &Tree, name: &str) -> Result<ImageSet, DatasetError> {
    open_with(tree, name, &ImageSelection::default(), BrokenImages::Fail)
}

fn open_with(
    tree: &Tree,
    name: &str,
    selection: &ImageSelection,
    broken_images: BrokenImages,
) -> Result<ImageSet, DatasetError> {
    let loading = LoadingConfig {
        broken_images,
        ..LoadingConfig::default()
    };
    let path = match name {
        "" => tree.root().into(),
        name => tree.root().join(name),
    };
    ImageSet::open(&path, selection, &loading, Monitor::none())
}

fn refusal(tree: &Tree, name: &str) -> String {
    message(&open(tree, name).unwrap_err(), tree.root())
}

fn rows(set: &ImageSet) -> Vec<(String, i64)> {
    let labels = set.labels.iter().enumerate();
    labels
        .map(|(i, &label)| (set.split.image_name(i), label))
        .collect()
}

fn row(name: &str, label: i64) -> (String, i64) {
    (name.into(), label)
}

#[test]
fn class_of_an_image_is_its_folder() {
    let tree = tree(&["b/1.png", "b/0.PNG", "a/x/0.png", "a/0.jpg", "stray.png"]);
    tree.write("a/notes.txt", "");
    let set = open(&tree, "").unwrap();
    assert_eq!(set.classes, ["a", "a/x", "b"]);
    assert_eq!(
        rows(&set),
        [
            row("a/0.jpg", 0),
            row("a/x/0.png", 1),
            row("b/0.PNG", 2),
            row("b/1.png", 2),
            row("stray.png", NO_CLASS),
        ]
    );
}

#[test]
fn text_list_keeps_its_order_and_has_no_classes() {
    let tree = tree(&["b/1.png", "a/0.png"]);
    tree.write("list.txt", "b/1.png\n\n  a/0.png\nb/1.png\n");
    let set = open(&tree, "list.txt").unwrap();
    let names = [
        row("b/1.png", NO_CLASS),
        row("a/0.png", NO_CLASS),
        row("b/1.png", NO_CLASS),
    ];
    assert_eq!(rows(&set), names);
    assert!(set.classes.is_empty());
}

#[test]
fn paths_of_a_list_are_relative_to_its_folder_or_the_given_root() {
    let tree = tree(&["photos/0.png"]);
    tree.write("lists/list.txt", "0.png\n");
    let message = refusal(&tree, "lists/list.txt");
    assert!(
        message.contains("list.txt, line 1: image lists/0.png is missing"),
        "{message}"
    );
    let selection = ImageSelection {
        root: Some(tree.root().join("photos")),
        split: None,
    };
    let set = open_with(&tree, "lists/list.txt", &selection, BrokenImages::Fail).unwrap();
    assert_eq!(rows(&set), [row("0.png", NO_CLASS)]);
}

#[test]
fn csv_list_has_labels_and_can_be_restricted_to_a_split() {
    let tree = tree(&["0.png", "1.png", "2.png"]);
    tree.write(
        "list.csv",
        "split,path,label\nval,2.png,zebra\ntest,0.png,\ntest,1.png,ant\n",
    );
    let all = open(&tree, "list.csv").unwrap();
    assert_eq!(all.classes, ["ant", "zebra"]);
    assert_eq!(
        rows(&all),
        [row("2.png", 1), row("0.png", NO_CLASS), row("1.png", 0)]
    );
    let of = |split: &str| {
        let selection = ImageSelection {
            root: None,
            split: Some(split.into()),
        };
        open_with(&tree, "list.csv", &selection, BrokenImages::Fail)
    };
    assert_eq!(rows(&of("val").unwrap()), [row("2.png", 0)]);
    let message = of("train").unwrap_err().to_string();
    assert!(message.contains("has the splits test, val"), "{message}");
}

#[test]
fn csv_list_crops_and_names_the_part_of_each_image() {
    let tree = Tree::new();
    let picture = image::RgbImage::from_fn(9, 8, |x, y| image::Rgb([x as u8, y as u8, 7]));
    tree.images(&["a/0.png"]);
    picture.save(tree.root().join("a/0.png")).unwrap();
    let list = "x_1\ty_1\tx_2\ty_2\tpath\n1\t2\t6\t8\ta\\0.png\n\t\t\t\ta/0.png\n0.0\t0.0\t9.0\t1.0\ta/0.png\n";
    tree.write("list.tsv", list);
    let set = open(&tree, "list.tsv").unwrap();
    let names = ["a/0.png#1,2,6,8", "a/0.png", "a/0.png#0,0,9,1"];
    assert_eq!(rows(&set), names.map(|name| row(name, NO_CLASS)));
    let sizes = [0, 1, 2].map(|i| set.split.image(i).unwrap().dimensions());
    assert_eq!(sizes, [(5, 6), (9, 8), (9, 1)]);
    assert_eq!(set.split.image(0).unwrap().get_pixel(0, 0).0, [1, 2, 7]);
    // A box that is not inside is an error before anything is embedded.
    tree.write("list.tsv", list.replace("9.0\t1.0", "10\t1"));
    let message = refusal(&tree, "list.tsv");
    assert!(
        message.starts_with("list.tsv, line 4: the bounding box 0,0,10,1 (x_1, y_1, x_2, y_2"),
        "{message}"
    );
}

#[test]
fn a_misspelt_column_of_a_csv_list_is_named() {
    let tree = tree(&["0.png"]);
    for (header, known) in [("path,splits", "split"), ("paths,x", "path")] {
        tree.write("list.csv", format!("{header}\n0.png,a\n"));
        let message = refusal(&tree, "list.csv");
        assert!(
            message.contains(&format!("rename it to {known} if")),
            "{message}"
        );
    }
    tree.write("list.csv", "filename,label\n0.png,a\n");
    assert!(refusal(&tree, "list.csv").contains("rename filename to path"));
}

#[test]
fn columns_of_a_csv_list_that_are_not_used_do_not_matter() {
    let tree = tree(&["0.png"]);
    for (header, label) in [("path,label,query", 0), ("path,labels,note", NO_CLASS)] {
        tree.write("list.csv", format!("{header}\n0.png,a,maybe\n"));
        assert_eq!(
            rows(&open(&tree, "list.csv").unwrap()),
            [row("0.png", label)]
        );
    }
}

#[test]
fn names_of_a_split_are_the_same_as_in_a_manifest() {
    let names = ["0.png", "1.png", "2.png", "3.png", "4.png"];
    let tree = tree(&names);
    let splits = ["test", "Test", " TEST", "val", "fold 1"];
    let list: String = names
        .iter()
        .zip(splits)
        .map(|(name, split)| format!("{name},{split}\n"))
        .collect();
    tree.write("list.csv", format!("path,split\n{list}"));
    let of = |split: &str| {
        let selection = ImageSelection {
            root: None,
            split: Some(split.into()),
        };
        open_with(&tree, "list.csv", &selection, BrokenImages::Fail)
    };
    for (split, expected) in [
        ("test", &names[..3]),
        ("Test", &names[..3]),
        ("validation", &names[3..4]),
        ("fold 1", &names[4..]),
    ] {
        let found = rows(&of(split).unwrap());
        let found: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, expected, "{split}");
    }
    let message = of("Fold 1").unwrap_err().to_string();
    assert!(message.contains("has the splits"), "{message}");
    of("train").unwrap_err();
}

#[test]
fn back_slashes_and_addresses_of_a_text_list_are_understood() {
    let tree = tree(&["a/0.png"]);
    tree.write("list.txt", "a\\0.png\n");
    assert_eq!(
        rows(&open(&tree, "list.txt").unwrap()),
        [row("a/0.png", NO_CLASS)]
    );
    tree.write("list.txt", "a/0.png\n~/0.png\n");
    let message = refusal(&tree, "list.txt");
    assert!(
        message.starts_with("list.txt, line 2: the path ~/0.png starts with ~"),
        "{message}"
    );
}

#[test]
fn single_image_is_a_set_of_one_image() {
    let tree = tree(&["a/0.png"]);
    assert_eq!(
        rows(&open(&tree, "a/0.png").unwrap()),
        [row("0.png", NO_CLASS)]
    );
}

#[test]
fn invalid_images_are_named_or_left_out_if_configured() {
    let tree = tree(&["a/0.png", "a/1.png"]);
    tree.write("a/cut.png", "no image");
    let message = refusal(&tree, "");
    assert!(message.contains("a/cut.png"), "{message}");
    tree.write("a/0.nef", "");
    let message = refusal(&tree, "");
    assert!(
        message.contains("a/0.nef is a camera's raw image"),
        "{message}"
    );

    let skip = |name| open_with(&tree, name, &ImageSelection::default(), BrokenImages::Skip);
    let set = skip("").unwrap();
    assert_eq!(rows(&set), [row("a/0.png", 0), row("a/1.png", 0)]);
    assert_eq!(set.skipped.len(), 2);

    tree.write("list.txt", "a/0.png\na/none.png\n");
    let message = refusal(&tree, "list.txt");
    assert!(
        message.contains("line 2: image a/none.png is missing"),
        "{message}"
    );
    assert_eq!(skip("list.txt").unwrap().skipped.len(), 1);
}

#[test]
fn a_path_without_images_is_refused() {
    let tree = Tree::new();
    tree.write("notes.txt", "");
    assert!(refusal(&tree, "").contains("contains no image"));
    assert!(refusal(&tree, "notes.txt").contains("contains no image"));
    assert!(refusal(&tree, "nowhere").contains("nowhere is missing; give a folder of images"));
}

#[test]
fn listed_and_checked_images_are_counted() {
    let tree = tree(&["a/0.png", "b/1.png", "2.png"]);
    let (token, observer) = (CancellationToken::new(), RecordingObserver::default());
    let open = |observer: &RecordingObserver| {
        let monitor = Monitor::new(&token, observer);
        let selection = ImageSelection::default();
        ImageSet::open(tree.root(), &selection, &LoadingConfig::default(), monitor)
    };
    let count = open(&observer).unwrap().labels.len() as u64;
    assert!(count > 0);
    assert_eq!(observer.task("listing images"), Some((count, None, true)));
    let checked = Some((count, Some(count), true));
    assert_eq!(observer.task("reading images"), checked);

    for task in ["reading images", "listing images"] {
        let error = open(&RecordingObserver::cancelling(task, &token));
        assert_eq!(error.unwrap_err(), DatasetError::Cancelled);
    }
}

#[test]
fn images_are_known_by_their_content() {
    let tree = tree(&["a/0.png"]);
    let png = std::fs::read(tree.root().join("a/0.png")).unwrap();
    for name in ["a/1.jpg_large", "a/2", "3.jpe"] {
        tree.write(name, &png);
    }
    tree.write("a/LICENSE", "all rights");
    let set = open(&tree, "").unwrap();
    assert_eq!(
        rows(&set),
        [
            row("3.jpe", NO_CLASS),
            row("a/0.png", 0),
            row("a/1.jpg_large", 0),
            row("a/2", 0),
        ]
    );
    // One image, and lists without and with images of any suffix.
    assert_eq!(rows(&open(&tree, "a/2").unwrap()), [row("2", NO_CLASS)]);
    tree.write("list", "a/2\na/1.jpg_large\n");
    let listed = [row("a/2", NO_CLASS), row("a/1.jpg_large", NO_CLASS)];
    assert_eq!(rows(&open(&tree, "list").unwrap()), listed);
    tree.write("list.csv", "path\na/2\na/1.jpg_large\n");
    assert_eq!(rows(&open(&tree, "list.csv").unwrap()), listed);
    tree.write("raw.txt", "a/0.CR2\n");
    let message = refusal(&tree, "raw.txt");
    assert!(
        message.contains("line 1: a/0.CR2 is a camera's raw image"),
        "{message}"
    );
}

#[test]
fn folders_of_systems_are_no_classes() {
    let tree = tree(&[
        "a/0.png",
        "@eaDir/0.png",
        "a/@eaDir/0.png",
        "__MACOSX/a/0.png",
        ".git/0.png",
    ]);
    tree.write("a/Thumbs.db", "");
    assert_eq!(rows(&open(&tree, "").unwrap()), [row("a/0.png", 0)]);
}

#[test]
fn a_missing_image_of_a_list_is_named_with_its_near_match() {
    let tree = tree(&["Photos/0.PNG"]);
    tree.write("list.txt", "photos/0.png\n");
    let message = refusal(&tree, "list.txt");
    assert!(
        message.contains(
            "image photos/0.png is missing; did you mean Photos/0.PNG, with other letter case? rename the file, \
             or change the list"
        ),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_refused_with_their_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let tree = tree(&["a/0.png"]);
    let folder = tree.root().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&folder).unwrap();
    for name in ["0.png", "1.png"] {
        std::fs::copy(tree.root().join("a/0.png"), folder.join(name)).unwrap();
    }
    let message = refusal(&tree, "");
    assert!(
        message.starts_with(r"the name caf\xe9 is not UTF-8"),
        "{message}"
    );
    let skip = |name| open_with(&tree, name, &ImageSelection::default(), BrokenImages::Skip);
    let set = skip("").unwrap();
    assert_eq!(rows(&set), [row("a/0.png", 0)]);
    assert_eq!(set.skipped.len(), 1, "the folder is named once");
    // The folder that is embedded is not part of the names.
    let loading = LoadingConfig::default();
    let set = ImageSet::open(
        &folder,
        &ImageSelection::default(),
        &loading,
        Monitor::none(),
    );
    assert_eq!(
        rows(&set.unwrap()),
        [row("0.png", NO_CLASS), row("1.png", NO_CLASS)]
    );
}
