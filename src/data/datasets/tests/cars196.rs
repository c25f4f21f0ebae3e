//! SciPy wrote `assets/fixtures/cars196`, the second file without compression and with `np.float64`
//! instead of `np.uint8`. The rows are (1, 00001.jpg), (99, 00002.jpg), (98, 00003.jpg), and for the test
//! list (196, 00001.jpg), (1, 00002.jpg):
//!
//! ```python
//! annotations = np.zeros((1, len(rows)), [(field, object) for field in fields])
//! for i, (label, name) in enumerate(rows):
//!     annotations[0, i] = (*[np.uint8(1)] * 4, np.uint8(label), name)
//! savemat("cars_train_annos.mat", {"annotations": annotations}, do_compression=True)
//! names = np.array([f"Car {i}" for i in range(1, 197)], object).reshape(1, 196)
//! savemat("cars_meta.mat", {"class_names": names}, do_compression=True)
//! ```
//!
//! The form with one folder is tested with all its images, in the tests of the published splits.

use super::super::test_tree::{Tree, contents, error_messages, message, unmonitored};
use super::*;

const TRAIN: &[u8] = include_bytes!("../../../../assets/fixtures/cars196/cars_train_annos.mat");
const TEST: &[u8] =
    include_bytes!("../../../../assets/fixtures/cars196/cars_test_annos_withlabels.mat");
const META: &[u8] = include_bytes!("../../../../assets/fixtures/cars196/cars_meta.mat");
const LABELLED: &str = "cars_test_annos_withlabels.mat";

fn tree(above: &str, devkit: &str, nested: bool) -> Tree {
    let tree = Tree::new();
    for (name, bytes) in [
        ("cars_train_annos.mat", TRAIN),
        (LABELLED, TEST),
        ("cars_meta.mat", META),
    ] {
        tree.write(&format!("{above}{devkit}{name}"), bytes);
    }
    for (folder, name) in [
        ("cars_train", "00001.jpg"),
        ("cars_train", "00002.jpg"),
        ("cars_train", "00003.jpg"),
        ("cars_test", "00001.jpg"),
        ("cars_test", "00002.jpg"),
    ] {
        let inner = if nested {
            format!("{folder}/")
        } else {
            String::new()
        };
        tree.images(&[&format!("{above}{folder}/{inner}{name}")]);
    }
    tree
}

fn read(tree: &Tree) -> Result<DatasetIndex, DatasetError> {
    index(
        &PublishedConfig {
            root: tree.root().into(),
        },
        &unmonitored(),
    )
}

#[test]
fn images_of_both_folders_are_divided_by_class() {
    for (above, devkit, nested) in [
        ("", "devkit/", false),
        ("stanford_cars/", "devkit/", false),
        ("", "car_devkit/devkit/", true),
        ("", "", false),
    ] {
        let tree = tree(above, devkit, nested);
        let index = read(&tree).unwrap();
        assert_eq!(error_messages(&index, tree.root()), [""; 0]);
        assert_eq!(
            contents(&index.train),
            [
                ("Car 1", vec!["cars_train/00001.jpg", "cars_test/00002.jpg"]),
                ("Car 98", vec!["cars_train/00003.jpg"])
            ]
        );
        assert_eq!(
            contents(&index.test),
            [
                ("Car 99", vec!["cars_train/00002.jpg"]),
                ("Car 196", vec!["cars_test/00001.jpg"])
            ]
        );
        assert!(
            index.train[0]
                .images
                .iter()
                .all(|image| image.path.is_file())
        );
        assert_eq!(index.published, Some(CARS196_TWO_FOLDERS));
    }
}

#[test]
fn missing_and_unlisted_images_are_named() {
    let tree = tree("", "devkit/", false);
    tree.rename("cars_test/00002.jpg", "cars_test/2.jpg");
    let found = error_messages(&read(&tree).unwrap(), tree.root());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("cars_test_annos_withlabels.mat"),
        "{found:?}"
    );
    assert!(
        found[0].contains(" 2: image cars_test/00002.jpg is missing"),
        "{found:?}"
    );
    assert!(
        found[1].contains("image cars_test/2.jpg is not in any list"),
        "{found:?}"
    );
}

#[test]
fn the_list_without_labels_is_refused() {
    let tree = tree("", "devkit/", false);
    let unlabelled = include_bytes!("../../../../assets/fixtures/cars196/cars_test_annos.mat");
    tree.write("devkit/cars_test_annos.mat", unlabelled);
    tree.remove(&format!("devkit/{LABELLED}"));
    let error = message(&read(&tree).unwrap_err(), tree.root());
    assert!(
        error.starts_with(
            "devkit/cars_test_annos_withlabels.mat is missing; cars_test_annos.mat has no"
        ),
        "{error}"
    );
    // The list without labels under the name of the one with labels.
    tree.write(&format!("devkit/{LABELLED}"), unlabelled);
    let found = error_messages(&read(&tree).unwrap(), tree.root());
    assert!(
        found[0].contains("the annotation of 00001.jpg has no class"),
        "{found:?}"
    );
}

#[test]
fn swapped_and_foreign_files_are_refused() {
    let tree = tree("", "devkit/", false);
    tree.write("devkit/cars_meta.mat", TRAIN);
    let error = message(&read(&tree).unwrap_err(), tree.root());
    assert!(
        error.contains("cars_meta.mat has no cell array class_names"),
        "{error}"
    );
    tree.write("devkit/cars_meta.mat", "<html>");
    let error = message(&read(&tree).unwrap_err(), tree.root());
    assert!(
        error.contains("cars_meta.mat is not a MATLAB file"),
        "{error}"
    );
}

#[test]
fn a_folder_of_neither_form_is_reported_with_the_expected_contents() {
    let tree = Tree::new();
    let error = message(&read(&tree).unwrap_err(), tree.root());
    assert!(
        error.starts_with("car_ims is missing; data.root must be"),
        "{error}"
    );
    tree.images(&["car_ims/000001.jpg"]);
    let error = message(&read(&tree).unwrap_err(), tree.root());
    assert!(error.starts_with("cars_annos.mat is missing"), "{error}");
}
