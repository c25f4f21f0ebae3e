use super::super::test_tree::{Tree, contents, error_messages, message, unmonitored};
use super::*;

/// A small dataset: one training class and two test classes.
fn tree() -> Tree {
    let tree = Tree::new();
    tree.write(
        "images.txt",
        "1 001.A/A_0.jpg\r\n2 001.A/A_1.jpg\r\n3 101.B/B_0.jpg\r\n4 200.C/C_0.jpg",
    );
    tree.write(
        "image_class_labels.txt",
        "\u{feff}1 1\n2 1\n\n3 101\n4 200\n",
    );
    tree.write("classes.txt", "1 001.A\n101 101.B\n200 200.C\n");
    tree.images(&[
        "images/001.A/A_0.jpg",
        "images/001.A/A_1.jpg",
        "images/101.B/B_0.jpg",
        "images/200.C/C_0.jpg",
    ]);
    tree
}

fn read(root: &Path) -> Result<DatasetIndex, DatasetError> {
    index(&PublishedConfig { root: root.into() }, &unmonitored())
}

#[test]
fn classes_up_to_100_are_training_classes() {
    let tree = tree();
    let index = read(tree.root()).unwrap();
    assert_eq!(error_messages(&index, tree.root()), [""; 0]);
    assert_eq!(
        contents(&index.train),
        [(
            "001.A",
            vec!["images/001.A/A_0.jpg", "images/001.A/A_1.jpg"]
        )]
    );
    assert_eq!(
        contents(&index.test),
        [
            ("101.B", vec!["images/101.B/B_0.jpg"]),
            ("200.C", vec!["images/200.C/C_0.jpg"])
        ]
    );
    assert_eq!(index.published, Some(CUB200));
}

#[test]
fn the_parent_folder_is_accepted() {
    let above = Tree::new();
    above.write("CUB_200_2011/images.txt", "1 001.A/A_0.jpg\n");
    above.write("CUB_200_2011/image_class_labels.txt", "1 1\n");
    above.write("CUB_200_2011/classes.txt", "1 001.A\n");
    above.images(&["CUB_200_2011/images/001.A/A_0.jpg"]);
    let index = read(above.root()).unwrap();
    assert_eq!(
        index.train[0].images[0].path,
        above.root().join("CUB_200_2011/images/001.A/A_0.jpg")
    );
}

#[test]
fn ids_of_only_one_list_are_named_with_their_lines() {
    let tree = tree();
    tree.write("image_class_labels.txt", "1 1\n2 7\n3 x\n5 1\n1 2\n");
    let index = read(tree.root()).unwrap();
    let found = error_messages(&index, tree.root());
    let expected = [
        "image_class_labels.txt, line 5: image_id 1 is also on line 1",
        "images.txt, line 2: class 7 of image 2 is not in classes.txt",
        "images.txt, line 3: class_id is \"x\" but must be a whole number",
        "images.txt, line 4: image 4 has no class in image_class_labels.txt",
        "image_class_labels.txt, line 4: image 5 has a class here but is not in images.txt",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    // The three images without a class are unlisted.
    assert_eq!(found.len(), expected.len() + 3, "{found:?}");
    assert_eq!((index.train[0].images.len(), index.test.len()), (1, 0));
}

#[test]
fn lines_with_other_columns_and_classes_above_200_are_errors() {
    let tree = tree();
    tree.write(
        "images.txt",
        "1 001.A/A_0.jpg\n2\n3 101.B/B_0.jpg\n4 200.C/C_0.jpg\n",
    );
    tree.write("image_class_labels.txt", "1 1\n2 1\n3 201\n4 200\n");
    tree.write("classes.txt", "1 001.A\n201 201.B\n200 200.C\n");
    let index = read(tree.root()).unwrap();
    let found = error_messages(&index, tree.root());
    assert!(
        found[0].starts_with("images.txt, line 2: 1 column(s)"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("images.txt, line 3: class 201 of image 3 is not between 1 and 200"),
        "{found:?}"
    );
}

#[test]
fn an_image_listed_twice_is_named_with_both_lines() {
    let tree = tree();
    tree.write(
        "images.txt",
        "1 001.A/A_0.jpg\n2 001.A/A_0.jpg\n3 101.B/B_0.jpg\n4 200.C/C_0.jpg\n",
    );
    tree.remove("images/001.A/A_1.jpg");
    let index = read(tree.root()).unwrap();
    assert_eq!(
        error_messages(&index, tree.root()),
        [
            "images.txt, line 2: images/001.A/A_0.jpg is listed twice, first on line 1; remove one of the two"
        ]
    );
    assert_eq!(index.train[0].images.len(), 1);
}

#[test]
fn missing_roots_and_lists_are_reported_with_the_expected_contents() {
    let error = read(Path::new("/nowhere/at/all")).unwrap_err().to_string();
    assert!(
        error.contains("/nowhere/at/all is not a folder; data.root must be"),
        "{error}"
    );
    let tree = tree();
    tree.remove("classes.txt");
    let error = message(&read(tree.root()).unwrap_err(), tree.root());
    assert!(
        error.starts_with("classes.txt is missing; data.root must be"),
        "{error}"
    );
}
