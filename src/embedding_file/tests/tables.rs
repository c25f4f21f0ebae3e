//! Parquet files of other programs. `assets/fixtures/parquet.py` wrote them with PyArrow.

use super::*;

fn table(name: &str) -> Result<Embeddings, String> {
    read(&Path::new("assets/fixtures/parquet").join(format!("{name}.parquet")))
}

#[test]
fn lists_of_every_type_have_their_exact_values() {
    // The nearest float16 of 6e-8 is the smallest one.
    let mut halves = ROWS;
    halves[5] = 2f32.powi(-24);
    for (kind, rows) in [("halffloat", halves), ("float", ROWS), ("double", ROWS)] {
        for list in ["fixed", "list"] {
            let found = table(&format!("{list}-{kind}")).unwrap();
            assert_eq!(
                (bits(&found.rows), found.dim),
                (bits(&rows), 3),
                "{list} {kind}"
            );
            assert_eq!((found.labels, found.classes), (vec![7, 9], None));
            let paths = (list == "fixed").then(|| vec!["a/0.png".into(), "b/1.png".into()]);
            assert_eq!(found.paths, paths);
        }
    }
}

#[test]
fn encodings_and_codecs_are_read() {
    for name in [
        "plain",
        "byte-stream-split",
        "snappy",
        "gzip",
        "zstd",
        "lz4",
    ] {
        let found = table(name).unwrap();
        assert_eq!(bits(&found.rows), bits(&ROWS), "{name}");
        assert_eq!(found.labels, [7, 9], "{name}");
    }
    assert_eq!(
        table("brotli").unwrap_err(),
        "cannot read embeddings from assets/fixtures/parquet/brotli.parquet: its column `embedding` is compressed \
         with Brotli, which is not read; save it with zstd or snappy"
    );
    let message = table("delta").unwrap_err();
    assert!(
        message.ends_with(
            "it has the encoding DELTA_BYTE_ARRAY, which is not read; save it with the plain or the dictionary \
             encoding"
        ),
        "{message}"
    );
}

#[test]
fn labels_are_integers_or_texts_and_null_is_no_class() {
    let labels = |name| {
        let found = table(name).unwrap();
        (found.labels, found.classes)
    };
    let names = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let cats = (vec![1, -1, 0, 1, -1, -1], names(&["ant", "cat"]));
    assert_eq!(labels("classes"), cats);
    assert_eq!(labels("null-labels"), (vec![3, -1, -1, 3, -1, 4], None));
    let texts = (vec![1, 0, 1, 0, -1, -1], names(&["a", "b"]));
    assert_eq!(labels("text-labels"), texts);
    let unsigned = vec![(1 << 32) - 1, 0, 0, 1, 1, 1 << 31];
    assert_eq!(labels("unsigned"), (unsigned, None));
    assert_eq!(labels("classes-of-numbers"), (vec![5, 5, 3, 3, 8, 8], None));
    // Classes name the labels with which they agree.
    assert_eq!(labels("both"), cats);
    for (name, reason) in [
        (
            "disagreeing",
            "its columns `label` and `class` disagree: row 2 has `3` and `ant`, row 5 has `3` and no class; \
             correct or remove one of the columns",
        ),
        (
            "too-large",
            "label 9223372036854775808 in row 2 of its column `label` is above 9223372036854775807",
        ),
        (
            "float-labels",
            "its column `label` has the type DOUBLE, and labels are integers or texts",
        ),
        ("dates", "its column `label` has the type INT32 (Date)"),
    ] {
        let message = table(name).unwrap_err();
        assert!(message.contains(reason), "{message}");
    }
    let found = table("classes").unwrap();
    assert_eq!(found.paths.unwrap(), ["0", "1", "", "3", "4", "5"]);
}

#[test]
fn row_groups_are_joined_and_other_columns_ignored() {
    let found = table("row-groups").unwrap();
    assert_eq!((found.dim, found.labels.len()), (3, 40));
    let expected: Vec<f32> = (0..120u8).map(f32::from).collect();
    assert_eq!(found.rows, expected);
    for (row, label) in found.labels.iter().enumerate() {
        let expected = if row % 10 == 9 { -1 } else { row as i64 / 10 };
        assert_eq!(*label, expected, "row {row}");
    }
}

#[test]
fn tables_that_are_not_embeddings_are_refused_by_column_and_row() {
    for (name, reason) in [
        ("no-rows", "it has no rows; save at least one"),
        (
            "null-number",
            "row 1 (1.png) of its column `embedding` has null as number 1 of its list; remove the row",
        ),
        (
            "null-row",
            "row 1 (1.png) of its column `embedding` is null or an empty list; remove the row",
        ),
        (
            "empty-row",
            "row 1 of its column `embedding` is null or an empty list",
        ),
        (
            "lengths",
            "row 1 (1.png) of its column `embedding` has 3 number(s), and row 0 has 2; save lists of one length",
        ),
        (
            "other-names",
            "it has no column `embedding`; rename its column `emb` to it",
        ),
        (
            "no-labels",
            "has no labels: it has no column `label`; rename its column `id` to it, or pass",
        ),
        (
            "wide",
            "its column `embedding` has lists of more than 65536 numbers; save one embedding in each row",
        ),
        (
            "integers",
            "its column `embedding` has lists of INT32 (Integer",
        ),
        (
            "texts",
            "its column `embedding` has the type BYTE_ARRAY (String); save a list of float32 in each row",
        ),
        (
            "lists-of-lists",
            "its column `embedding` has lists of lists; save one list",
        ),
        (
            "structs",
            "its column `embedding` has several values in each row",
        ),
        (
            "two",
            "it has a column `embedding` and a column `vector`; remove or rename one of them",
        ),
    ] {
        let message = table(name).unwrap_err();
        assert!(message.contains(reason), "{message}");
    }
    let message = table("nan").unwrap_err();
    assert!(message.starts_with("row 1 (1.png) of "), "{message}");
    assert!(
        message.contains("has an infinite value or NaN"),
        "{message}"
    );
    let message = table("overflow").unwrap_err();
    assert!(message.starts_with("row 1 (1.png) of "), "{message}");
    assert!(message.contains("has the value 1e300"), "{message}");
}

#[test]
fn labels_of_another_file_may_be_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let rows = written(&folder, "a.npy", npy("<f4", "(2, 3)", &floats(&ROWS)));
    let labels = Path::new("assets/fixtures/parquet/fixed-float.parquet");
    let found = read_with(&rows, Some(labels)).unwrap();
    assert_eq!(found.labels, [7, 9]);
    let labels = written(&folder, "labels.txt", "4\n5\n");
    let rows = Path::new("assets/fixtures/parquet/float-labels.parquet");
    let message = read_with(rows, Some(&labels)).unwrap_err();
    assert!(message.contains("has 6 row(s)"), "{message}");
}

#[test]
fn truncated_and_encrypted_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read("assets/fixtures/parquet/both.parquet").unwrap();
    let cut = written(&folder, "cut.parquet", &whole[..whole.len() / 2]);
    let message = read(&cut).unwrap_err();
    assert!(message.contains("it is truncated or damaged"), "{message}");
    let encrypted = written(&folder, "e.parquet", b"PARE\0\0\0\0PARE");
    let message = read(&encrypted).unwrap_err();
    assert!(message.contains("it is encrypted"), "{message}");
}
