//! Manifests in the layouts that people have: parts of images, other delimiters, other columns, Windows' paths.

use super::super::test_tree::{Tree, contents, error_messages, message, unmonitored};
use super::tests::{SPLIT, assert_lines, errors_of, read, tree};
use super::*;

#[test]
fn parts_of_an_image_are_different_images_and_the_same_part_is_listed_twice() {
    let csv = "path,label,split,x_1,y_1,x_2,y_2\na1.jpg,a,train,0,0,10,10\na1.jpg,a,train,5,0,15,10\n\
               a1.jpg,a,train,,,,\na1.jpg,a,train,0.2,0,9.8,10\na1.jpg,a,train,,,,\na1.jpg,b,test,1,1,5,5\n";
    let tree = tree(csv);
    let index = read(&tree).unwrap();
    assert_eq!(
        contents(&index.train),
        [("a", vec!["a1.jpg#0,0,10,10", "a1.jpg#5,0,15,10", "a1.jpg"])]
    );
    assert_eq!(contents(&index.test), [("b", vec!["a1.jpg#1,1,5,5"])]);
    assert_eq!(
        error_messages(&index, tree.root()),
        [
            "manifest.csv, line 5: a1.jpg#0,0,10,10 is listed twice, first on line 2; remove one of the two",
            "manifest.csv, line 6: a1.jpg is listed twice, first on line 4; remove one of the two",
        ]
    );
}

#[test]
fn boxes_that_cannot_be_used_are_named_with_their_line() {
    let boxes = "a 0.jpg,a,train,0,0,10,\na1.jpg,a,train,0,0,x,10\nb0.jpg,b,test,10,0,10,10\n\
                 b1.jpg,b,test,-2,0,10,10\nc0.jpg,c,test,0,0,100,2\nc1.png,c,test,0,0,inf,2\n";
    let found = errors_of(&format!(
        "path,label,split,x_1,y_1,x_2,y_2\n{boxes}d0.jpg,d,train,,,,\nd1.jpg,d,train,,,,\n"
    ));
    let expected = [
        "line 2: y_2 is empty but must be a number of pixels; leave x_1, y_1, x_2 and y_2 empty",
        "line 3: x_2 is \"x\" but must be a number of pixels",
        "line 4: the bounding box 10, 0, 10, 10 (x_1, y_1, x_2, y_2: left, top, right, bottom) cannot be used: it \
         is empty: x_1 must be less than x_2",
        "line 5: the bounding box -2, 0, 10, 10 (x_1, y_1, x_2, y_2: left, top, right, bottom) cannot be used: an \
         edge is outside of every image",
        "line 6: the bounding box 0, 0, 100, 2 (x_1, y_1, x_2, y_2: left, top, right, bottom) cannot be used: one \
         side is at least 50 times the other",
        "line 7: the bounding box 0, 0, inf, 2 (x_1, y_1, x_2, y_2: left, top, right, bottom) cannot be used: an edge",
    ];
    assert_lines(&found, &expected);
}

#[test]
fn values_of_excel_in_other_languages_are_named_with_what_to_write() {
    let found = errors_of(
        "path;label;split;query;gallery;x_1;y_1;x_2;y_2\na 0.jpg;a;train;;;0,5;0;10;10\na1.jpg;a;train;;;;;;\n\
         b0.jpg;b;test;WAHR;FALSCH;;;;\nb1.jpg;b;test;0;VRAI;;;;\n",
    );
    let expected = [
        "line 2: x_1 is \"0,5\" but must be a number of pixels with a decimal point, such as 0.5; leave",
        "line 4: query is \"WAHR\"; write true or false, or 1 or 0",
        "line 5: gallery is \"VRAI\"; write true or false, or 1 or 0",
    ];
    assert_lines(&found, &expected);
}

#[test]
fn a_misspelt_column_split_does_not_divide_the_classes_again() {
    let misspelt = SPLIT.replace("split", "splits");
    let error = message(&read(&tree(&misspelt)).unwrap_err(), Path::new(""));
    assert!(
        error.contains(
            "manifest.csv has a column \"splits\", which is not read; rename it to split"
        ),
        "{error}"
    );
    let other = SPLIT.replace("split", "subset");
    let error = message(&read(&tree(&other)).unwrap_err(), Path::new(""));
    assert!(
        error.contains(
            "has no column split, but the values of \"subset\" are train, validation or test"
        ),
        "{error}"
    );
    // Train and test classes would change places if an empty or unknown value hid the column.
    for (value, found) in [
        ("", "train, validation or test"),
        ("Testing", "test, testing, train"),
    ] {
        let csv = other.replace("b1.jpg,b,test", &format!("b1.jpg,b,{value}"));
        let error = message(&read(&tree(&csv)).unwrap_err(), Path::new(""));
        assert!(
            error.contains(&format!(
                "the values of \"subset\" are {found}; rename it to split"
            )),
            "{error}"
        );
    }
    // A column in which one value is something else is another column.
    let rows = "a 0.jpg,a,train\na1.jpg,a,bus\nb0.jpg,b,train\nc0.jpg,c,train\nd0.jpg,d,train\n";
    read(&tree(&format!("path,label,vehicle\n{rows}"))).unwrap();
}

#[test]
fn semicolons_tabs_bars_and_the_line_of_excel_are_read() {
    for delimiter in [";", "\t", "|"] {
        let tree = tree(&SPLIT.replace(',', delimiter));
        let index = read(&tree).unwrap();
        assert_eq!(index.errors, [], "{delimiter:?}");
        assert_eq!(contents(&index.train), [("a", vec!["a 0.jpg", "a1.jpg"])]);
        assert_eq!(contents(&index.test), [("b", vec!["b0.jpg", "b1.jpg"])]);
    }
    let tree = tree(&format!(
        "sep=;\r\n{}",
        SPLIT.replace(',', ";").replace("b1.jpg;b", "b1.jpg;1,5")
    ));
    let index = read(&tree).unwrap();
    let found = error_messages(&index, tree.root());
    assert_eq!(found, [""; 0]);
    assert_eq!(
        contents(&index.test),
        [("1,5", vec!["b1.jpg"]), ("b", vec!["b0.jpg"])]
    );
    assert_eq!(index.test[1].images[0].line.as_ref().unwrap().number, 5);
    let found = errors_of(&format!("{}b0.jpg;b\n", SPLIT.replace(',', ";")));
    assert!(
        found[0].ends_with(
            "2 column(s) instead of the 3 of the first line; quote values that contain semicolons"
        ),
        "{found:?}"
    );
}

#[test]
fn back_slashes_of_windows_separate_folders() {
    let tree = Tree::new();
    tree.images(&["shoes/0031.jpg", "shoes/0046.jpg", "b0.jpg", "b1.jpg"]);
    tree.write(
        NAME,
        "path,label,split\nshoes\\0031.jpg,a,train\n.\\shoes\\0046.jpg,a,train\nb0.jpg,b,test\nb1.jpg,b,test\n\
         shoes\\gone.jpg,b,test\nshoes/0031.jpg,a,train\nC:\\b.jpg,b,test\n~/b.jpg,b,test\nfile:///b.jpg,b,test\n",
    );
    let index = read(&tree).unwrap();
    assert_eq!(
        contents(&index.train),
        [("a", vec!["shoes/0031.jpg", "./shoes/0046.jpg"])]
    );
    let found = error_messages(&index, tree.root());
    let expected = [
        "line 6: image shoes/gone.jpg is missing",
        "line 7: shoes/0031.jpg is listed twice, first on line 2",
        "line 8: the path C:\\b.jpg names a drive of Windows",
        "line 9: the path ~/b.jpg starts with ~",
        "line 10: the path file:///b.jpg is an address",
    ];
    assert_lines(&found, &expected);
}

#[test]
fn a_folder_may_have_a_manifest_with_tabs() {
    let tree = tree("");
    tree.rename(NAME, OTHER_NAME);
    tree.write(OTHER_NAME, SPLIT.replace(',', "\t"));
    assert_eq!(read(&tree).unwrap().test[0].images.len(), 2);
    tree.write(NAME, SPLIT.replace("b1.jpg,b,test\n", ""));
    assert_eq!(read(&tree).unwrap().test[0].images.len(), 1);
}

mod any_layout {
    use proptest::prelude::*;

    use super::*;

    /// A field of a row: what readers must not change. White space around it is removed.
    fn text() -> impl Strategy<Value = String> {
        "[a-z0-9äß,;|\t\"' ]{0,8}".prop_map(|middle| format!("x{middle}x"))
    }

    fn quoted(field: &str, delimiter: char, always: bool) -> String {
        let special = |c| c == delimiter || matches!(c, '"' | '\r' | '\n');
        match always || field.contains(special) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field.into(),
        }
    }

    proptest! {
        #[test]
        fn reads_the_same_rows(
            rows in prop::collection::vec(
                (text(), text(), 0..3_usize, any::<bool>(), prop::option::of((0..50_u32, 0..50_u32))),
                1..8,
            ),
            delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
            order in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
            always_quoted in any::<bool>(),
            line_end in prop::sample::select(vec!["\n", "\r\n", "\n\n"]),
            mark in prop::sample::select(vec!["", "\u{feff}"]),
        ) {
            let names = ["path", "label", "split", "is_query", "is_gallery", "x_1", "y_1", "x_2", "y_2"];
            let line = |fields: &[String]| {
                let fields = order.iter().map(|&i| quoted(&fields[i], delimiter, always_quoted));
                fields.collect::<Vec<_>>().join(&delimiter.to_string())
            };
            let mut table = format!("{mark}{}{line_end}", line(&names.map(String::from)));
            let mut expected = Vec::new();
            for (path, label, split, query, corner) in &rows {
                let path = format!("{path}.jpg");
                let split_name = ["train", "validation", "test"][*split];
                let edges = match corner {
                    None => [const { String::new() }; 4],
                    Some((x, y)) => [*x, *y, x + 7, y + 9].map(|edge| format!("{edge}.0")),
                };
                let [left, top, right, bottom] = edges;
                let fields = [
                    path.clone(), label.clone(), split_name.into(), query.to_string(), "True".into(),
                    left, top, right, bottom,
                ];
                table += &line(&fields);
                table += line_end;
                let subset = [Subset::Train, Subset::Validation, Subset::Test][*split];
                let role = if *query { Role::Both } else { Role::Gallery };
                let corner = corner.map(|(x, y)| format!("{x},{y},{},{}", x + 7, y + 9));
                expected.push((path, label.clone(), subset, role, corner));
            }
            let list = ListFile::parse(Path::new("list.csv"), table.clone().into_bytes()).unwrap();
            let listing = unmonitored();
            let mut collector = Collector::new(&listing);
            let found = super::super::rows(&list, &mut collector).unwrap();
            let found: Vec<_> = found.into_iter().map(|row| {
                let corner = row.bounding_box.map(|bounding_box| bounding_box.to_string());
                (row.path, row.label, row.subset.unwrap(), row.role.unwrap(), corner)
            }).collect();
            prop_assert_eq!(&collector.errors, &[]);
            prop_assert_eq!(found, expected, "{}", table);
        }
    }
}
