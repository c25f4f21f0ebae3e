use super::super::test_tree::{Tree, contents, error_messages, message, unmonitored};
use super::*;

const IMAGES: [&str; 8] = [
    "a 0.jpg", "a1.jpg", "b0.jpg", "b1.jpg", "c0.jpg", "c1.png", "d0.jpg", "d1.jpg",
];

pub(super) fn tree(csv: &str) -> Tree {
    let tree = Tree::new();
    tree.write(NAME, csv);
    tree.images(&IMAGES);
    tree
}

pub(super) fn read(tree: &Tree) -> Result<DatasetIndex, DatasetError> {
    let keys = ManifestConfig {
        root: tree.root().into(),
        ..ManifestConfig::default()
    };
    index(&keys, None, &unmonitored())
}

pub(super) fn errors_of(csv: &str) -> Vec<String> {
    let tree = tree(csv);
    error_messages(&read(&tree).unwrap(), tree.root())
}

/// Asserts that there are as many errors as `expected`, and that each starts with the line and the text of its
/// expectation.
pub(super) fn assert_lines(found: &[String], expected: &[&str]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(&format!("manifest.csv, {expected}")),
            "{found}"
        );
    }
}

pub(super) const SPLIT: &str = "path,label,split\n\
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
    let errors = errors_of("path,label\na 0.jpg,a\nb0.jpg,\n");
    assert!(
        errors[0].starts_with("manifest.csv, line 3: the label is empty"),
        "{errors:?}"
    );
    assert!(
        errors[1].contains("manifest.csv has 1 class(es) and needs at least 4"),
        "{errors:?}"
    );
    let few = read(&self::tree("path,label\na 0.jpg,a\n")).unwrap();
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
        found[0].starts_with("manifest.csv, line 7: the image is neither"),
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
    let lines = "b0.jpg,,test\n,b,test\nc1.png,c,\nd0.jpg,d,dev\nd1.jpg,d\nd1.nef,d,test\n\
                 gone.jpg,b,test\na1.jpg,a,train\n";
    let found = errors_of(&format!("{SPLIT}{lines}"));
    let expected = [
        "line 6: the label is empty",
        "line 7: the path is empty",
        "line 8: the split is empty",
        "line 9: the split is \"dev\" but must be train, validation or test",
        "line 10: 2 column(s) instead of the 3 of the first line",
        "line 11: d1.nef is a camera's raw image (.nef), which is not supported",
        "line 12: image gone.jpg is missing",
        "line 13: a1.jpg is listed twice, first on line 3",
    ];
    assert_lines(&found, &expected);
}

#[test]
fn lines_that_end_with_a_carriage_return_are_counted() {
    let rows = format!("{SPLIT}\nc0.jpg,,test\nc1.png,\"c\nc\",test\nd0.jpg,d,dev\n");
    for end in ["\n", "\r\n", "\r"] {
        for (before, skipped) in [(String::new(), 0), (format!("sep=,{end}"), 1)] {
            let found = errors_of(&format!("{before}{}", rows.replace('\n', end)));
            assert_eq!(found.len(), 2, "{end:?}: {found:?}");
            for (found, (line, error)) in found
                .iter()
                .zip([(7, "the label is empty"), (10, "the split is \"dev\"")])
            {
                let expected = format!("manifest.csv, line {}: {error}", line + skipped);
                assert!(found.starts_with(&expected), "{end:?}: {found}");
            }
        }
        // More than 64 KiB in short lines.
        let rows: String = (0..5_000)
            .map(|i| format!("gone{i}.jpg,b,test\n"))
            .collect();
        let found = errors_of(&format!("{SPLIT}{rows}").replace('\n', end));
        assert_eq!(found.len(), 5_000);
        let last = "manifest.csv, line 5005: image gone4999.jpg is missing";
        assert!(found[4_999].starts_with(last), "{end:?}: {}", found[4_999]);
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
            "manifest.csv has no column path among file, label; rename file to path",
        ),
        (
            "path,class",
            "manifest.csv has no column label among path, class; rename class to label",
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
        "(5000 bytes)\" but must be train, validation or test",
    ]) {
        assert!(error.contains(expected), "{error}");
        assert!(error.len() < 600, "{error}");
    }
    assert_eq!(errors.len(), 3);
}

#[test]
fn validation_rows_are_the_validation_split() {
    let tree = tree(
        "path,label,split,query,gallery\na 0.jpg,a,train,,\na1.jpg,a,train,,\nb0.jpg,b,val,1,0\n\
         b1.jpg,b,Validation,0,1\nc0.jpg,c,valid,,yes\nc1.png,c,val,1,\nd0.jpg,d,test,1,1\nd1.jpg,d,test,1,1\n",
    );
    let index = read(&tree).unwrap();
    assert_eq!(error_messages(&index, tree.root()), [""; 0]);
    assert_eq!(index.warnings, []);
    assert_eq!(contents(&index.train), [("a", vec!["a 0.jpg", "a1.jpg"])]);
    assert_eq!(
        contents(&index.validation),
        [
            ("b", vec!["b0.jpg", "b1.jpg"]),
            ("c", vec!["c0.jpg", "c1.png"])
        ]
    );
    assert_eq!(contents(&index.test), [("d", vec!["d0.jpg", "d1.jpg"])]);
    let roles: Vec<Role> = (index.validation.iter())
        .flat_map(|class| class.images.iter().map(|image| image.role))
        .collect();
    use Role::{Gallery, Query};
    assert_eq!(roles, [Query, Gallery, Gallery, Query]);
}

#[test]
fn validation_classes_in_another_split_are_named_with_both_lines() {
    let found = errors_of(&format!(
        "{SPLIT}c0.jpg,a,val\nc1.png,c,val\nd0.jpg,b,val\nd1.jpg,c,test\n"
    ));
    let expected = [
        "line 6: class a is in the validation split here and in the training split on line 2 of manifest.csv",
        "line 8: class b is in the validation split here and in the test split on line 4 of manifest.csv",
        "line 9: class c is in the test split here and in the validation split on line 7 of manifest.csv",
    ];
    assert_lines(&found, &expected);
}

/// A table as pandas writes it, with its index and floats beside empty values.
const OPEN_METRIC_LEARNING: &str = ",label,path,split,is_query,is_gallery,category,x_1,x_2,y_1,y_2\n\
0,7,a 0.jpg,train,,,dresses,12.0,200.0,4.0,180.0\n\
1,7,a1.jpg,train,,,dresses,,,,\n\
2,9,b0.jpg,validation,True,False,shoes,,,,\n\
3,9,b1.jpg,validation,False,True,shoes,0.0,30.0,1.0,31.0\n\
4,11,c0.jpg,validation,1.0,1.0,shoes,,,,\n\
5,11,c1.png,validation,0.0,1.0,shoes,nan,NaN,,<NA>\n";

#[test]
fn tables_of_open_metric_learning_are_read_as_they_are() {
    let tree = tree(OPEN_METRIC_LEARNING);
    let index = read(&tree).unwrap();
    assert_eq!(error_messages(&index, tree.root()), [""; 0]);
    assert_eq!(
        contents(&index.train),
        [("7", vec!["a 0.jpg#12,4,200,180", "a1.jpg"])]
    );
    assert_eq!(
        contents(&index.test),
        [
            ("11", vec!["c0.jpg", "c1.png"]),
            ("9", vec!["b0.jpg", "b1.jpg#0,1,30,31"])
        ]
    );
    let roles: Vec<Role> = (index.test.iter())
        .flat_map(|class| class.images.iter().map(|image| image.role))
        .collect();
    assert_eq!(
        roles,
        [Role::Both, Role::Gallery, Role::Query, Role::Gallery]
    );
    assert_eq!(index.train[0].images[0].path, tree.root().join("a 0.jpg"));
    assert!(index.validation.is_empty());
    let warning = message(&index.warnings[0], tree.root());
    assert!(
        warning.starts_with(
            "manifest.csv has rows of the split validation and none of test, as the lists of \
             open-metric-learning: the validation rows are the test split"
        ),
        "{warning}"
    );
    assert_eq!(index.warnings.len(), 1);
}

#[test]
fn a_column_sequence_is_warned_of() {
    let tree = tree(
        &SPLIT
            .replace("split\n", "split,sequence\n")
            .replace("train\n", "train,1\n")
            .replace("test\n", "test,2\n"),
    );
    let index = read(&tree).unwrap();
    assert_eq!(index.errors, []);
    let warning = message(&index.warnings[0], tree.root());
    assert!(
        warning.starts_with("manifest.csv has a column sequence, which is not read"),
        "{warning}"
    );
}

#[test]
fn both_spellings_of_query_must_agree() {
    let csv = "path,label,split,query,is_query,is_gallery\na 0.jpg,a,train,x,1,\nb0.jpg,b,test,1,True,0\n\
               b1.jpg,b,test,,false,1\nc0.jpg,c,test,1,0,1\n";
    let index = read(&tree(csv)).unwrap();
    assert_eq!(index.test[0].images[0].role, Role::Query);
    assert_eq!(index.test[0].images[1].role, Role::Gallery);
    let found = errors_of(csv);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "manifest.csv, line 5: query is true and is_query is false, which are two names"
        ),
        "{found:?}"
    );
}
