//! `search`: of embeddings without a network, and of images with a run.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{draw_folder, loop_dml, npy, refusal, train_small, usage_error};

/// Writes rows of two numbers as `name`.
fn write_rows(folder: &Path, name: &str, rows: &[[f32; 2]]) {
    let values = rows.iter().flatten().flat_map(|x| x.to_le_bytes());
    let values: Vec<u8> = values.collect();
    let bytes = npy("<f4", &format!("({}, 2)", rows.len()), &values);
    fs::write(folder.join(name), bytes).unwrap();
}

fn search(directory: &Path, arguments: &[&str]) -> (Value, String) {
    let output = loop_dml(directory)
        .arg("search")
        .args(arguments)
        .arg("--json")
        .assert()
        .success();
    let output = output.get_output();
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), errors)
}

/// The paths of the neighbours of a query.
fn paths(query: &Value) -> Vec<&str> {
    let neighbours = query["neighbours"].as_array().unwrap().iter();
    neighbours
        .map(|found| found["path"].as_str().unwrap())
        .collect()
}

#[test]
fn embeddings_are_searched_without_a_network() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    write_rows(here, "q.npy", &[[0.0, 0.0], [10.0, 0.0]]);
    write_rows(
        here,
        "g.npy",
        &[[3.0, 4.0], [0.0, 1.0], [9.0, 0.0], [0.0, -1.0]],
    );
    let (found, _) = search(here, &["q.npy", "--gallery", "g.npy", "-k", "2"]);
    let neighbour = |row: usize, distance: f64| json!({"path": null, "row": row, "label": null, "distance": distance, "right": null});
    assert_eq!(
        found["queries"],
        json!([
            {"path": null, "row": 0, "label": null, "neighbours": [neighbour(1, 1.0), neighbour(3, 1.0)]},
            {"path": null, "row": 1, "label": null,
             "neighbours": [neighbour(2, 1.0), neighbour(0, 65f64.sqrt())]},
        ])
    );
    assert_eq!(
        found["gallery"],
        json!({"path": "g.npy", "images": 4, "dim": 2})
    );

    // A gallery that is the query is searched without the query itself.
    let (found, printed) = search(here, &["g.npy", "--gallery", "./g.npy"]);
    let rows = found["queries"][1]["neighbours"].as_array().unwrap().iter();
    let rows: Vec<u64> = rows.map(|found| found["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, [3, 0, 2]);
    assert!(
        printed
            .contains("a query is searched among 3 image(s), fewer than the 10 neighbours of -k"),
        "{printed}"
    );
}

#[test]
fn classes_are_shown_beside_neighbours() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    write_rows(here, "g.npy", &[[0.0, 0.0], [0.0, 1.0], [9.0, 0.0]]);
    fs::write(
        here.join("g.json"),
        r#"{"paths": ["cat/1.jpg", "cat/2.jpg", "do\u001b[31mg.jpg"], "classes": ["cat", "dog"]}"#,
    )
    .unwrap();
    let labels = [0_i64, 0, 1].map(i64::to_le_bytes).concat();
    let bytes = npy("<i8", "(3,)", &labels);
    fs::write(here.join("g.labels.npy"), bytes).unwrap();
    let output = loop_dml(here)
        .args(["search", "g.npy", "--gallery", "g.npy", "-k", "2"])
        .assert()
        .success();
    let output = output.get_output();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let expected = "\
cat/1.jpg  (cat)
   1   1.000000  ✓ cat  cat/2.jpg
   2   9.000000  ✗ dog  do\\u{1b}[31mg.jpg
";
    assert!(text.starts_with(expected), "{text}");
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(
        errors.contains("searched 3 image(s) among 3 images"),
        "{errors}"
    );
}

#[test]
fn wrong_inputs_are_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    write_rows(here, "a.npy", &[[0.0, 0.0]]);
    write_rows(here, "nan.npy", &[[0.0, f32::NAN]]);
    draw_folder(&here.join("photos"), 1, 1);
    let refused = |arguments: &[&str]| refusal(here, &[&["search"], arguments].concat());
    for (arguments, expected) in [
        (
            &["a.npy", "--gallery", "photos"][..],
            "needs a network to be embedded",
        ),
        (
            &["a.npy", "photos", "--gallery", "a.npy"],
            "needs a network to be embedded",
        ),
        (
            &["photos", "--gallery", "a.npy"],
            "there is no query after the network photos",
        ),
        (
            &["nowhere", "photos", "--gallery", "a.npy"],
            "nowhere does not exist",
        ),
        (&["photos", "photos", "--gallery", "a.npy"], "photos"),
        (
            &["nan.npy", "--gallery", "a.npy"],
            "an infinite value or NaN",
        ),
        (
            &["a.npy", "--gallery", "nan.npy"],
            "an infinite value or NaN",
        ),
        (
            &["a.npy", "--gallery", "a.npy", "--html", "no/x.html"],
            "create it first",
        ),
    ] {
        let message = refused(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    let bytes = npy("<f4", "(1, 1)", &[0; 4]);
    fs::write(here.join("one.npy"), bytes).unwrap();
    let message = refused(&["one.npy", "--gallery", "a.npy"]);
    assert!(
        message.contains("have dimension 1, those of a.npy have 2"),
        "{message}"
    );
    fs::write(here.join("x.html"), "kept").unwrap();
    let message = refused(&["a.npy", "--gallery", "a.npy", "--html", "x.txt"]);
    assert!(message.contains("use the extension .html"), "{message}");
    let message = refused(&["a.npy", "--gallery", "a.npy", "--html", "x.html"]);
    assert!(
        message.contains("x.html exists and is not overwritten"),
        "{message}"
    );
    let message = usage_error(here, &["search", "a.npy", "--gallery", "a.npy", "-k", "0"]);
    assert!(
        message.contains("give a whole number, 1 or more"),
        "{message}"
    );
}

#[test]
fn images_are_searched_with_a_run_in_a_folder_and_in_embeddings() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    train_small(here, "run", &["--set", "training.epochs=1"]);
    draw_folder(&here.join("photos"), 3, 4);
    fs::copy(here.join("photos/class-01/2.png"), here.join("copy.png")).unwrap();

    // A copy elsewhere is nearest, and at distance 0; an image of the gallery is not its own neighbour.
    let queries = ["run", "copy.png", "photos/class-02/0.png"];
    let with = |more: &[&str]| search(here, &[&queries[..], more].concat()).0;
    let found = with(&["--gallery", "photos", "-k", "20"]);
    let results = found["queries"].as_array().unwrap();
    assert_eq!(results[0]["path"], "copy.png");
    assert_eq!(results[0]["label"], Value::Null);
    assert_eq!(paths(&results[0])[0], "photos/class-01/2.png");
    assert!(results[0]["neighbours"][0]["distance"].as_f64().unwrap() < 1e-4);
    assert_eq!(paths(&results[0]).len(), 12);
    assert_eq!(results[1]["label"], "class-02");
    assert_eq!(paths(&results[1]).len(), 11);
    assert!(!paths(&results[1]).contains(&"photos/class-02/0.png"));
    let nearest = &results[1]["neighbours"][0];
    assert_eq!(nearest["right"], json!(nearest["label"] == "class-02"));

    // The same from embeddings that were written before.
    let embed = [
        "embed",
        "run",
        "--images",
        "photos",
        "--output",
        "g.safetensors",
    ];
    loop_dml(here).args(embed).assert().success();
    for options in [&["--gallery-root", "photos"][..], &[]] {
        let arguments = [&["--gallery", "g.safetensors", "-k", "20"], options].concat();
        let from_file = with(&arguments);
        for (result, expected) in from_file["queries"].as_array().unwrap().iter().zip(results) {
            let found = paths(result)
                .into_iter()
                .map(|path| format!("photos/{path}"));
            assert_eq!(found.collect::<Vec<_>>(), paths(expected));
            assert_eq!(result["label"], expected["label"]);
        }
    }

    // An exported embedder is a network, although it is a safetensors file too.
    let export = ["export", "run", "--output", "embedder.safetensors"];
    loop_dml(here).args(export).assert().success();
    let exported = ["embedder.safetensors", "copy.png", "--gallery", "photos"];
    let (exported, _) = search(here, &exported);
    assert_eq!(paths(&exported["queries"][0]), paths(&results[0])[..10]);

    // A page for a browser, and a list with bounding boxes.
    let list = "path,label,x_1,y_1,x_2,y_2\nphotos/class-00/0.png,class-00,0,0,20,20\ncopy.png,class-01,1,1,30,30\n";
    fs::write(here.join("list.csv"), list).unwrap();
    fs::write(here.join("photos/class-00/broken.png"), "no image").unwrap();
    let output = loop_dml(here)
        .args([
            "search",
            "run",
            "list.csv",
            "--gallery",
            "photos",
            "--html",
            "page.html",
        ])
        .arg("--skip-broken")
        .assert()
        .success();
    let output = output.get_output();
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(errors.contains("1 image(s) skipped"), "{errors}");
    assert!(
        errors.contains("wrote page.html: 2 query image(s), up to 10 neighbours"),
        "{errors}"
    );
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        text.starts_with("photos/class-00/0.png#0,0,20,20  (class-00)\n"),
        "{text}"
    );
    let page = fs::read_to_string(here.join("page.html")).unwrap();
    assert_eq!(page.matches("<img ").count(), 2 + 20);
    assert!(page.contains("query copy.png#1,1,30,30, class class-01"));
    assert!(
        !page.contains("http:") && !page.contains("https:"),
        "a page loads nothing"
    );

    let message = refusal(here, &["search", "run", "photos", "--gallery", "photos"]);
    assert!(message.contains("broken.png"), "{message}");
}

#[cfg(not(feature = "index"))]
#[test]
fn an_index_needs_a_binary_with_the_feature() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    write_rows(here, "a.npy", &[[0.0, 0.0]]);
    let message = refusal(
        here,
        &[
            "search",
            "a.npy",
            "--gallery",
            "a.npy",
            "--index",
            "a.usearch",
        ],
    );
    assert!(
        message.contains("build it with `cargo build --release --features index`"),
        "{message}"
    );
}

#[cfg(feature = "index")]
#[test]
fn index_is_built_reopened_and_checked_against_its_gallery() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let rows = |count: usize, seed: usize| -> Vec<[f32; 2]> {
        let number = |i: usize| ((i * 7919 + seed * 104_729) % 10_007) as f32 / 10_007.0;
        (0..count)
            .map(|i| [number(2 * i), number(2 * i + 1)])
            .collect()
    };
    write_rows(here, "g.npy", &rows(3_000, 1));
    write_rows(here, "other.npy", &rows(3_000, 2));
    write_rows(here, "q.npy", &rows(150, 3));
    let search_in = |gallery: &str| {
        search(
            here,
            &[
                "q.npy",
                "--gallery",
                gallery,
                "-k",
                "5",
                "--index",
                "g.usearch",
            ],
        )
    };
    let (exact, _) = search(here, &["q.npy", "--gallery", "g.npy", "-k", "5"]);
    for built in [true, false] {
        let (found, printed) = search_in("g.npy");
        assert_eq!(found["index"]["built"], built);
        assert_eq!(found["index"]["sample"], 75);
        assert!(
            found["index"]["recall"].as_f64().unwrap() > 0.95,
            "{printed}"
        );
        assert!(
            printed.contains("recall@5 of the index against the exact"),
            "{printed}"
        );
        let neighbours = |of: &Value, query: usize| of["queries"][query]["neighbours"].clone();
        let equal =
            (0..150).filter(|&query| neighbours(&found, query) == neighbours(&exact, query));
        assert!(equal.count() > 140);
    }
    let arguments = [
        "search",
        "q.npy",
        "--gallery",
        "other.npy",
        "--index",
        "g.usearch",
    ];
    let message = refusal(here, &arguments);
    assert!(
        message.contains("g.usearch is the index of another gallery than other.npy"),
        "{message}"
    );
    let mut bytes = fs::read(here.join("g.usearch")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(here.join("g.usearch"), bytes).unwrap();
    let arguments = [
        "search",
        "q.npy",
        "--gallery",
        "g.npy",
        "--index",
        "g.usearch",
    ];
    let message = refusal(here, &arguments);
    assert!(
        message.contains("it is damaged; remove it and g.usearch.json"),
        "{message}"
    );
    fs::remove_file(here.join("g.usearch.json")).unwrap();
    let message = refusal(here, &arguments);
    assert!(
        message.contains("g.usearch.json cannot be read"),
        "{message}"
    );
    // A query in its own gallery is not its neighbour.
    let (found, _) = search(
        here,
        &[
            "g.npy",
            "--gallery",
            "g.npy",
            "-k",
            "1",
            "--index",
            "own.usearch",
        ],
    );
    for (row, query) in found["queries"].as_array().unwrap().iter().enumerate() {
        assert_ne!(query["neighbours"][0]["row"], row);
    }
}
