use super::super::test_tree::{Tree, contents, error_messages, message, unmonitored};
use super::*;

const IMAGES: [&str; 8] = [
    "a 0.jpg", "a1.jpg", "b0.jpg", "b1.jpg", "c0.jpg", "c1.png", "d0.jpg", "d1.jpg",
];

fn tree(csv: &str) -> Tree {
    let tree = Tree::new();
    tree.write(NAME, csv);
    tree.images(&IMAGES);
    tree
}

fn read(tree: &Tree) -> Result<DatasetIndex, DatasetError> {
    let keys = ManifestConfig {
        root: tree.root().into(),
        ..ManifestConfig::default()
    };
    index(&keys, None, &unmonitored())
}

fn errors_of(csv: &str) -> Vec<String> {
    let tree = tree(csv);
    error_messages(&read(&tree).unwrap(), tree.root())
}

const SPLIT: &str = "path,label,split\n\
a 0.jpg,a,train\n\
a1.jpg,a,train\n\
b0.jpg,b,test\n\
b1.jpg,b,test\n";

#[test]
fn quotes_byte_order_marks_carriage_returns_empty_lines_and_other_columns_are_accepted() {
    let tree = tree(
        "\u{feff}weight, Label ,path,split\r\n1,\"a, or A\",\"a 0.jpg\",train\r\n\r\n,\"a, or A\",a1.jpg,\
         train\r\n,b,b0.jpg,test\r\n,b,b1.jpg,TEST",
    );
    let index = read(&tree).unwrap();
    assert_eq!(error_messages(&index, tree.root()), [""; 0]);
    assert_eq!(
        contents(&index.train),
        [("a, or A", vec!["a 0.jpg", "a1.jpg"])]
    );
    assert_eq!(contents(&index.test), [("b", vec!["b0.jpg", "b1.jpg"])]);
    let line = index.test[0].images[1].line.as_ref().unwrap();
    assert_eq!(line.number, 6);
}

#[test]
fn without_a_column_split_classes_are_divided() {
    let tree = tree(
        "path,label\nd0.jpg,d\nd1.jpg,d\na 0.jpg,a\na1.jpg,a\nb0.jpg,b\nb1.jpg,b\nc0.jpg,c\nc1.png,c\n",
    );
    let index = read(&tree).unwrap();
    assert_eq!(
        contents(&index.train),
        [
            ("a", vec!["a 0.jpg", "a1.jpg"]),
            ("b", vec!["b0.jpg", "b1.jpg"])
        ]
    );
    assert_eq!(index.test[1].name, "d");
    let few = read(&self::tree("path,label\na 0.jpg,a\n")).unwrap();
    let error = few.errors[0].to_string();
    assert!(
        error.contains("manifest.csv has 1 class(es) and needs at least 4"),
        "{error}"
    );
    assert!(few.errors[0].prevents_splits());
    assert_eq!(
        contents(&few.train),
        [("a", vec!["a 0.jpg"])],
        "its image is checked"
    );
}

#[test]
fn query_and_gallery_are_read_for_test_images_only() {
    let tree = tree(
        "path,label,split,query,gallery\na 0.jpg,a,train,,\na1.jpg,a,train,x,\nb0.jpg,b,test,yes,0\n\
         b1.jpg,b,test,,1\nc0.jpg,c,test,true,TRUE\nc1.png,c,test,no,false\nd0.jpg,d,test,maybe,1\n",
    );
    let index = read(&tree).unwrap();
    let roles = |class: usize| -> Vec<Role> {
        index.test[class]
            .images
            .iter()
            .map(|image| image.role)
            .collect()
    };
    assert_eq!(roles(0), [Role::Query, Role::Gallery]);
    assert_eq!(roles(1), [Role::Both]);
    let found = error_messages(&index, tree.root());
    assert!(
        found[0].starts_with("manifest.csv, line 7: the test image is neither"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("manifest.csv, line 8: query is \"maybe\""),
        "{found:?}"
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn every_invalid_line_is_named() {
    let lines = "b0.jpg,,test\n,b,test\nc0.jpg,c,val\nc1.png,c,\nd0.jpg,d,dev\nd1.jpg,d\nd1.nef,d,test\n\
                 gone.jpg,b,test\na1.jpg,a,train\n";
    let found = errors_of(&format!("{SPLIT}{lines}"));
    let expected = [
        "line 6: the label is empty",
        "line 7: the path is empty",
        "line 8: the split is \"val\", which is not read; write train",
        "line 9: the split is empty",
        "line 10: the split is \"dev\" but must be train or test",
        "line 11: 2 column(s) instead of the 3 of the first line",
        "line 12: d1.nef is a camera's raw image (.nef), which is not supported",
        "line 13: image gone.jpg is missing",
        "line 14: a1.jpg is listed twice, first on line 3",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(&format!("manifest.csv, {expected}")),
            "{found}"
        );
    }
}

#[test]
fn a_label_of_both_subsets_is_named_with_the_first_line_of_each() {
    let found = errors_of(&format!("{SPLIT}c0.jpg,a,test\nc1.png,a,test\n"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "manifest.csv, line 6: class a is in the test split here and in the training split on line 2 \
             of manifest.csv"
        ),
        "{found:?}"
    );
}

#[test]
fn missing_columns_are_named_with_those_found() {
    for (header, expected) in [
        (
            "file;label",
            "manifest.csv has no column path among file;label",
        ),
        (
            "path,class",
            "manifest.csv has no column label among path, class",
        ),
        (
            "path,label,query",
            "manifest.csv has a column query and no column gallery",
        ),
        ("", "manifest.csv has no column path among"),
    ] {
        let tree = tree(&format!("{header}\n"));
        let error = message(&read(&tree).unwrap_err(), tree.root());
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn images_can_be_in_another_folder_or_have_absolute_paths() {
    let elsewhere = tree("");
    let lists = Tree::new();
    let whole = elsewhere.root().join("a1.jpg").display().to_string();
    lists.write("my.csv", SPLIT.replace("a1.jpg", &whole));
    let keys = ManifestConfig {
        root: lists.root().join("my.csv"),
        images: Some(elsewhere.root().into()),
        ..ManifestConfig::default()
    };
    let found = index(&keys, None, &unmonitored()).unwrap();
    assert_eq!(found.errors, []);
    assert_eq!(
        found.train[0].images[1].path,
        elsewhere.root().join("a1.jpg")
    );
    let keys = ManifestConfig {
        images: Some("/nowhere/at/all".into()),
        ..keys
    };
    let error = index(&keys, None, &unmonitored()).unwrap_err().to_string();
    assert!(
        error.contains("/nowhere/at/all is not a folder; this is data.images"),
        "{error}"
    );
}

#[test]
fn a_missing_manifest_is_reported_with_a_hint() {
    let error = read(&Tree::new()).unwrap_err().to_string();
    assert!(
        error.contains("manifest.csv is missing; data.root must be the CSV file"),
        "{error}"
    );
}

#[test]
fn long_rows_and_values_are_refused_with_short_messages() {
    // A quotation mark that is not closed: the rest of the file is one value.
    let row = "a1.jpg,a,test\n";
    let csv = format!("path,label,split\n\"a 0.jpg,a,train\n{}", row.repeat(5_000));
    let error = message(&read(&tree(&csv)).unwrap_err(), Path::new(""));
    assert!(
        error.contains("has a row of more than 64 KiB, the most that is read, at line 2"),
        "{error}"
    );
    let header = format!("{}\n", "column,".repeat(9_000));
    let error = message(&read(&tree(&header)).unwrap_err(), Path::new(""));
    assert!(
        error.contains("has no column path among column, "),
        "{error}"
    );
    assert!(error.len() < 600, "{error}");
    let long = "x".repeat(5_000);
    let errors = errors_of(&format!(
        "path,label,split\n{long}.jpg,a,train\na1.jpg,{long},train\na1.jpg,a,{long}\n\
         b0.jpg,b,test\nb1.jpg,b,test\n"
    ));
    for (error, expected) in errors.iter().zip([
        "the path has 5004 bytes, but at most 4096 are read",
        "the label has 5000 bytes, but at most 4096 are read",
        "(5000 bytes)\" but must be train or test",
    ]) {
        assert!(error.contains(expected), "{error}");
        assert!(error.len() < 600, "{error}");
    }
    assert_eq!(errors.len(), 3);
}
