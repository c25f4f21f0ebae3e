use super::super::test_tree::{Tree, contents, error_messages, message, unmonitored};
use super::*;

const LIST_TEXT: &str = "4\n\
image_name item_id evaluation_status\n\
img/WOMEN/Dresses/id_00000002/02_1_front.jpg    id_00000002 train  \n\
img/WOMEN/Dresses/id_00000002/02_2_side.jpg     id_00000002 train\n\
img/MEN/Tees/id_00000001/01_1_front.jpg         id_00000001 query\n\
img/MEN/Tees/id_00000001/01_2_side.jpg          id_00000001 gallery\n";
const IMAGES: [&str; 4] = [
    "img/WOMEN/Dresses/id_00000002/02_1_front.jpg",
    "img/WOMEN/Dresses/id_00000002/02_2_side.jpg",
    "img/MEN/Tees/id_00000001/01_1_front.jpg",
    "img/MEN/Tees/id_00000001/01_2_side.jpg",
];

fn tree(list: &str, images: &str) -> Tree {
    let tree = Tree::new();
    tree.write(&format!("{list}list_eval_partition.txt"), LIST_TEXT);
    for image in IMAGES {
        tree.images(&[&format!("{images}{image}")]);
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
fn list_and_images_are_found_in_the_folders_of_the_archives() {
    for (list, images) in [
        ("", ""),
        ("Eval/", "Img/"),
        ("eval/", ""),
        ("In-shop Clothes/Eval/", "In-shop Clothes/Img/"),
    ] {
        let tree = tree(list, images);
        let index = read(&tree).unwrap();
        assert_eq!(
            error_messages(&index, tree.root()),
            [""; 0],
            "{list} {images}"
        );
        assert_eq!(
            contents(&index.train),
            [("id_00000002", IMAGES[..2].to_vec())]
        );
        assert_eq!(
            contents(&index.test),
            [("id_00000001", IMAGES[2..].to_vec())]
        );
        let roles: Vec<Role> = index.test[0]
            .images
            .iter()
            .map(|image| image.role)
            .collect();
        assert_eq!(roles, [Role::Query, Role::Gallery]);
    }
}

#[test]
fn invalid_words_wrong_counts_and_items_of_both_subsets_are_errors() {
    let tree = tree("", "");
    let text = LIST_TEXT
        .replace("gallery", "val")
        .replace("id_00000001 query", "id_00000002 query")
        .replacen('4', "5", 1);
    tree.write("list_eval_partition.txt", text);
    let found = error_messages(&read(&tree).unwrap(), tree.root());
    assert!(
        found[0].starts_with(
            "list_eval_partition.txt, line 5: class id_00000002 is in the test split here and in the \
             training split on line 3 of list_eval_partition.txt"
        ),
        "{found:?}"
    );
    assert!(
        found[1].contains("line 6: evaluation_status is \"val\""),
        "{found:?}"
    );
    assert!(
        found[2].contains("states 5 images on its first line but lists 4"),
        "{found:?}"
    );
}

#[test]
fn missing_and_unlisted_images_are_named() {
    let tree = tree("", "");
    tree.rename(IMAGES[2], "img/MEN/Tees/id_00000001/01_1_new.jpg");
    assert_eq!(
        error_messages(&read(&tree).unwrap(), tree.root()),
        [
            "list_eval_partition.txt, line 5: image img/MEN/Tees/id_00000001/01_1_front.jpg is \
             missing; restore it from the archive, or remove it from the list",
            "image img/MEN/Tees/id_00000001/01_1_new.jpg is not in any list, so it is never used; check \
             whether it was renamed"
        ]
    );
}

#[test]
fn lists_in_another_format_are_refused() {
    let tree = tree("", "");
    tree.write("list_eval_partition.txt", "image_name item_id\n");
    let error = message(&read(&tree).unwrap_err(), tree.root());
    assert!(
        error.contains("does not start with a number of images"),
        "{error}"
    );
}
