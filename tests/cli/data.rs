//! `loop-dml data`: its reports, output and exit status.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{draw_folder, loop_dml, refusal, usage_error};

const FOLDER: [&str; 4] = ["--dataset", "folder", "--root", "photos"];

/// Draws four classes of four images under `photos`.
fn photos() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 4, 4);
    directory
}

/// Runs `data` with these arguments, expects an exit status, and returns standard output.
fn data(directory: &Path, arguments: &[&str], status: i32) -> String {
    let output = loop_dml(directory)
        .arg("data")
        .args(arguments)
        .assert()
        .code(status)
        .get_output()
        .clone();
    String::from_utf8(output.stdout).unwrap()
}

fn check(directory: &Path, more: &[&str], status: i32) -> Value {
    let arguments = [&["check", "--json"], &FOLDER[..], more].concat();
    serde_json::from_str(&data(directory, &arguments, status)).unwrap()
}

/// Returns severity and kind of each problem.
fn kinds(report: &Value) -> Vec<(&str, &str)> {
    let problems = report["problems"].as_array().unwrap().iter();
    problems
        .map(|problem| {
            let text = |key: &str| problem[key].as_str().unwrap();
            (text("severity"), text("kind"))
        })
        .collect()
}

#[test]
fn a_valid_folder_has_no_problems() {
    let directory = photos();
    let report = check(directory.path(), &[], 0);
    assert_eq!(report["dataset"], "folder");
    assert_eq!(report["train"]["images"], 8);
    assert_eq!(report["test"]["classes"], 2);
    assert_eq!(report["test"]["queries"], 8);
    assert_eq!(report["published"], Value::Null);
    assert_eq!(
        (&report["errors"], &report["warnings"]),
        (&0.into(), &0.into())
    );
    assert_eq!(kinds(&report), []);
    let text = data(directory.path(), &[&["check"], &FOLDER[..]].concat(), 0);
    assert!(text.ends_with("ready for training\n"), "{text}");
}

#[test]
fn all_problems_are_in_one_report() {
    let directory = photos();
    let class = |number| directory.path().join(format!("photos/class-0{number}"));
    let cut = class(0).join("1.jpg");
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    fs::copy(class(0).join("0.png"), class(0).join("copy.png")).unwrap();
    fs::copy(class(1).join("0.png"), class(3).join("leak.png")).unwrap();
    fs::write(class(2).join("0.png"), "<html>").unwrap();

    let report = check(directory.path(), &[], 2);
    let mut found = kinds(&report);
    found.sort_unstable();
    let expected = [
        ("error", "duplicate"),
        ("error", "truncated"),
        ("error", "unsupported"),
        ("warning", "duplicate"),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        (&report["errors"], &report["warnings"]),
        (&3.into(), &1.into())
    );
    let truncated = report["problems"].as_array().unwrap().iter();
    let truncated = truncated
        .clone()
        .find(|problem| problem["kind"] == "truncated");
    assert_eq!(truncated.unwrap()["class"], "class-00");
    assert!(
        truncated.unwrap()["file"]
            .as_str()
            .unwrap()
            .ends_with("1.jpg")
    );

    let text = data(directory.path(), &[&["check"], &FOLDER[..]].concat(), 2);
    for part in [
        "leak.png is a copy of",
        "1.jpg is truncated",
        "3 error(s), 1 warning(s)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_report_does_not_depend_on_the_number_of_workers() {
    let directory = photos();
    let class = directory.path().join("photos/class-02");
    for number in 0..3 {
        fs::copy(
            class.join("0.png"),
            class.join(format!("copy-{number}.png")),
        )
        .unwrap();
    }
    let problems = |workers| check(directory.path(), &["--workers", workers], 0)["problems"].take();
    assert_eq!(problems("1").as_array().unwrap().len(), 3);
    assert_eq!(problems("1"), problems("5"));
}

#[test]
fn images_in_memory_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "check",
        "--dataset",
        "synthetic",
        "--set",
        "data.classes=6",
        "--json",
    ];
    let report: Value = serde_json::from_str(&data(directory.path(), &arguments, 0)).unwrap();
    assert_eq!(report["in_memory"], true);
    assert_eq!(report["root"], Value::Null);
    assert_eq!(report["test"]["classes"], 3);
}

#[test]
fn a_recipe_can_name_the_dataset() {
    let directory = photos();
    let recipe = "[data]\ndataset = \"folder\"\nroot = \"photos\"\n";
    fs::write(directory.path().join("recipe.toml"), recipe).unwrap();
    let text = data(directory.path(), &["stats", "--config", "recipe.toml"], 0);
    assert!(text.contains("train: 8 images of 2 classes"), "{text}");
}

#[test]
fn a_recipe_says_how_many_classes_train_and_validate() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 12, 2);
    let recipe = "[data]\ndataset = \"folder\"\nroot = \"photos\"\n[batch]\nclasses = 4\n";
    fs::write(directory.path().join("recipe.toml"), recipe).unwrap();
    let check = ["check", "--config", "recipe.toml"];
    let text = data(directory.path(), &check, 0);
    assert!(
        text.contains("for training:   8 images of 4 classes, 2 to 2 per class"),
        "{text}"
    );
    assert!(
        text.contains("for validation: 4 images of 2 classes, 2 to 2 per class"),
        "{text}"
    );
    let three = [
        &check[..],
        &["--json", "--set", "data.validation_share=0.5"],
    ]
    .concat();
    let report: Value = serde_json::from_str(&data(directory.path(), &three, 2)).unwrap();
    assert_eq!(kinds(&report), [("error", "too-few-classes")]);
    assert_eq!(report["hold_out"], Value::Null);
    let published = format!("{recipe}[evaluation]\nprotocol = \"published\"\n");
    fs::write(directory.path().join("recipe.toml"), published).unwrap();
    assert!(!data(directory.path(), &check, 0).contains("validation"));
}

#[test]
fn stats_are_read_from_headers() {
    let directory = photos();
    let arguments = [&["stats", "--json"], &FOLDER[..]].concat();
    let stats: Value = serde_json::from_str(&data(directory.path(), &arguments, 0)).unwrap();
    let width = &stats["train"]["width"];
    assert_eq!((&width["min"], &width["max"]), (&40.into(), &49.into()));
    let formats = &stats["test"]["formats"];
    assert_eq!((&formats["png"], &formats["jpeg"]), (&4.into(), &4.into()));
    assert_eq!(stats["train"]["histogram"][0]["classes"], 2);
    assert_eq!(stats["sheet"], Value::Null);
}

#[test]
fn a_contact_sheet_names_its_rows_and_is_never_overwritten() {
    let directory = photos();
    let sheet = ["--sheet", "sheet.png", "--classes", "3", "--images", "2"];
    let arguments = [&["stats", "--json"], &FOLDER[..], &sheet].concat();
    let stats: Value = serde_json::from_str(&data(directory.path(), &arguments, 0)).unwrap();
    let rows = stats["sheet"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows[0]["class"].as_str().unwrap().starts_with("class-0"));
    let path = directory.path().join("sheet.png");
    let picture = image::open(&path).unwrap();
    assert_eq!(
        (picture.width(), picture.height()),
        (2 * 114 + 2, 3 * 114 + 2)
    );

    let before = fs::read(&path).unwrap();
    let arguments = [&["data", "stats"], &FOLDER[..], &sheet].concat();
    let message = refusal(directory.path(), &arguments);
    assert!(message.contains("not overwritten"), "{message}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn invalid_arguments_are_named() {
    let directory = photos();
    let check = ["data", "check", "--dataset"];
    let message = refusal(
        directory.path(),
        &[&check[..], &["folder", "--root", "nowhere"]].concat(),
    );
    assert!(message.contains("nowhere"), "{message}");
    let message = refusal(
        directory.path(),
        &[
            &["data", "check"],
            &FOLDER[..],
            &["--set", "training.epochs=3"],
        ]
        .concat(),
    );
    assert!(message.contains("training.epochs"), "{message}");
    let message = usage_error(
        directory.path(),
        &[&check[..], &["foldr", "--root", "photos"]].concat(),
    );
    assert!(
        message.contains("'foldr' for '--dataset <NAME>'")
            && message.contains("a similar value exists: 'folder'"),
        "{message}"
    );
}

#[test]
fn extension_of_a_contact_sheet_is_its_format() {
    let directory = photos();
    let stats = |sheet| [&["data", "stats"], &FOLDER[..], &["--sheet", sheet]].concat();
    for name in ["sheet", "sheet.webp", "sheet.pdf"] {
        let message = refusal(directory.path(), &stats(name));
        assert!(message.contains("use .png, .jpg or .jpeg"), "{message}");
        assert!(!directory.path().join(name).exists());
    }
    for (name, start) in [
        ("a.jpg", &b"\xff\xd8\xff"[..]),
        ("b.JPEG", b"\xff\xd8\xff"),
        ("c.png", b"\x89PNG"),
    ] {
        loop_dml(directory.path())
            .args(stats(name))
            .assert()
            .success();
        assert!(
            fs::read(directory.path().join(name))
                .unwrap()
                .starts_with(start),
            "{name}"
        );
    }
}
