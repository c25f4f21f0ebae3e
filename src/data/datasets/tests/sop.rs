use super::super::test_tree::{Tree, contents, error_messages, message, unmonitored};
use super::*;

const HEADER: &str = "image_id class_id super_class_id path\n";

fn tree() -> Tree {
    let tree = Tree::new();
    let name = |list: &str| format!("Stanford_Online_Products/{list}");
    let train =
        "1 1 1 bicycle_final/11_0.JPG\n2 2 1 bicycle_final/12_0.JPG\n3 11318 2 sofa_final/13_0.JPG";
    let test = "4 11319 1 bicycle_final/14_0.JPG\n5 22634 2 sofa_final/15_0.JPG\n";
    tree.write(&name("Ebay_train.txt"), format!("{HEADER}{train}"));
    tree.write(&name("Ebay_test.txt"), format!("{HEADER}{test}"));
    tree.write(&name("Ebay_info.txt"), "not read");
    for image in [
        "bicycle_final/11_0.JPG",
        "bicycle_final/12_0.JPG",
        "sofa_final/13_0.JPG",
        "bicycle_final/14_0.JPG",
        "sofa_final/15_0.JPG",
        "sofa_final/._15_0.JPG",
    ] {
        tree.images(&[&name(image)]);
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

fn found(tree: &Tree) -> Vec<String> {
    let root = tree.root().join("Stanford_Online_Products");
    error_messages(&read(tree).unwrap(), &root)
}

#[test]
fn classes_are_ordered_by_their_numbers() {
    let tree = tree();
    let index = read(&tree).unwrap();
    assert_eq!(found(&tree), [""; 0]);
    assert_eq!(
        contents(&index.train),
        [
            ("1", vec!["bicycle_final/11_0.JPG"]),
            ("2", vec!["bicycle_final/12_0.JPG"]),
            ("11318", vec!["sofa_final/13_0.JPG"])
        ]
    );
    let names: Vec<&str> = index.test.iter().map(|class| class.name.as_str()).collect();
    assert_eq!(names, ["11319", "22634"]);
}

#[test]
fn classes_of_the_other_list_and_images_of_both_are_errors() {
    let tree = tree();
    let lines = "4 1 1 bicycle_final/14_0.JPG\n5 22634 2 bicycle_final/11_0.JPG\n6 22634 2\n";
    tree.write(
        "Stanford_Online_Products/Ebay_test.txt",
        format!("{HEADER}{lines}"),
    );
    let found = found(&tree);
    assert!(
        found[0].starts_with("Ebay_test.txt, line 2: class_id 1 is not in this list's range 11319")
    );
    assert_eq!(
        found[1],
        "Ebay_test.txt, line 3: bicycle_final/11_0.JPG is listed here and on line 2 of \
         Ebay_train.txt; remove one of the two"
    );
    assert!(
        found[2].starts_with("Ebay_test.txt, line 4: 3 column(s)"),
        "{found:?}"
    );
}

#[test]
fn lists_without_their_header_are_refused() {
    let tree = tree();
    tree.write("Stanford_Online_Products/Ebay_train.txt", "<html>\n");
    let error = message(&read(&tree).unwrap_err(), tree.root());
    assert!(
        error.contains("Ebay_train.txt does not start with the header"),
        "{error}"
    );
    tree.remove("Stanford_Online_Products/Ebay_test.txt");
    let error = read(&Tree::new()).unwrap_err().to_string();
    assert!(
        error.contains("Ebay_train.txt is missing; data.root must be"),
        "{error}"
    );
}
