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
    let stats = ["data", "stats", "--dataset", "folder", "--root", "nowhere"];
    let message = refusal(directory.path(), &stats);
    assert!(message.contains("nowhere is not a folder"), "{message}");
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

/// Returns the report on the folder `root`, which has errors, as JSON and as text. It must not refer to
/// itself.
fn refused(directory: &Path, root: &str) -> (Value, String) {
    let source = ["--dataset", "folder", "--root", root];
    let text = data(directory, &[&["check"], &source[..]].concat(), 2);
    assert!(!text.contains("data check"), "{text}");
    let json = data(directory, &[&["check", "--json"], &source[..]].concat(), 2);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["ok"], false);
    (report, text)
}

fn messages(report: &Value) -> Vec<&str> {
    let problems = report["problems"].as_array().unwrap().iter();
    let message = |problem: &Value| problem["message"].as_str().map(str::len).unwrap();
    assert!(problems.clone().all(|problem| message(problem) > 0));
    problems
        .map(|problem| problem["message"].as_str().unwrap())
        .collect()
}

#[test]
fn a_dataset_that_cannot_be_opened_is_reported_in_the_usual_format() {
    let directory = photos();
    let (report, text) = refused(directory.path(), "nowhere");
    assert_eq!(kinds(&report), [("error", "missing-root")]);
    assert_eq!(report["opened"], false);
    assert_eq!(report["root"], "nowhere");
    assert_eq!(
        text,
        "folder in nowhere\n\nerror missing-root: 1\n  --root nowhere is not a folder; it must contain \
         train/CLASS/* and test/CLASS/*, or CLASS/*\n\n1 error(s): fix the errors before training\n"
    );
    let usual = check(directory.path(), &[], 0);
    let keys =
        |report: &Value| -> Vec<String> { report.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&report), keys(&usual));
    assert_eq!(usual["ok"], true);

    // A list that is no list, and a configuration that is wrong.
    fs::write(directory.path().join("list.csv"), "file,class\n").unwrap();
    let manifest = [
        "check",
        "--json",
        "--dataset",
        "manifest",
        "--root",
        "list.csv",
    ];
    let report: Value = serde_json::from_str(&data(directory.path(), &manifest, 2)).unwrap();
    assert_eq!(kinds(&report), [("error", "list")]);
    let unknown = [
        "check",
        "--json",
        "--dataset",
        "folder",
        "--root",
        "photos",
        "--set",
        "data.train_share=imagenet",
    ];
    let report: Value = serde_json::from_str(&data(directory.path(), &unknown, 2)).unwrap();
    assert_eq!(kinds(&report), [("error", "configuration")]);
    assert_eq!(
        (&report["ok"], &report["errors"]),
        (&false.into(), &1.into())
    );
    assert_eq!(
        (&report["dataset"], &report["root"]),
        (&"folder".into(), &"photos".into())
    );
    assert_eq!(keys(&report), keys(&usual));
    assert!(messages(&report)[0].contains("imagenet"));
}

#[test]
fn too_few_classes_do_not_hide_other_problems() {
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    draw_folder(&photos, 2, 3);
    fs::write(photos.join("class-00/0.png"), "<html>").unwrap();
    fs::create_dir(photos.join("empty")).unwrap();
    fs::write(photos.join("stray.jpg"), "").unwrap();
    let (report, _) = refused(directory.path(), "photos");
    assert_eq!(
        kinds(&report),
        [
            ("error", "empty-class"),
            ("error", "stray-image"),
            ("error", "too-few-classes"),
            ("error", "unsupported"),
        ]
    );
    assert_eq!(report["train"]["classes"], 2);
    assert_eq!(report["checked"], 6);

    let list =
        "path,label\nphotos/class-00/0.png,a\nphotos/class-00/1.jpg,a\n,b\nphotos/none.png,b\n";
    fs::write(directory.path().join("list.csv"), list).unwrap();
    let manifest = [
        "check",
        "--json",
        "--dataset",
        "manifest",
        "--root",
        "list.csv",
    ];
    let report: Value = serde_json::from_str(&data(directory.path(), &manifest, 2)).unwrap();
    assert_eq!(
        kinds(&report),
        [
            ("error", "list-line"),
            ("error", "too-few-classes"),
            ("error", "missing"),
            ("error", "unsupported"),
        ]
    );
    assert!(
        messages(&report)
            .iter()
            .all(|text| !text.contains("data check"))
    );
}

#[test]
fn a_root_at_another_level_is_recognised() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    draw_folder(&here.join("zip/photos"), 4, 2);
    fs::create_dir_all(here.join("zip/__MACOSX/photos")).unwrap();
    fs::write(here.join("zip/README"), "photos").unwrap();
    let (report, text) = refused(here, "zip");
    assert_eq!(kinds(&report), [("error", "wrong-root")]);
    assert!(text.contains("did you mean --root zip/photos?"), "{text}");
    let (report, text) = refused(here, "zip/photos/class-00");
    assert_eq!(kinds(&report), [("error", "wrong-root")]);
    assert!(text.contains("did you mean --root zip/photos?"), "{text}");

    draw_folder(&here.join("split/train"), 2, 2);
    draw_folder(&here.join("split/test"), 2, 2);
    let (report, text) = refused(here, "split/train");
    assert_eq!(
        kinds(&report),
        [("error", "wrong-root"), ("error", "too-few-classes")]
    );
    assert!(text.contains("did you mean --root split?"), "{text}");
    // Training gives the same advice.
    let message = refusal(
        here,
        &[
            "train",
            "--set",
            "data.dataset=folder",
            "--set",
            "data.root=zip",
        ],
    );
    assert!(
        message.contains("did you mean --root ") && message.contains("zip/photos?"),
        "{message}"
    );
}

#[test]
fn folders_beside_train_and_test_and_files_without_suffix_are_seen() {
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    for (split, first) in [("train", 0), ("test", 2), ("val", 4)] {
        draw_folder(&photos.join(split), 2, 3);
        for class in 0..2 {
            let folder = photos.join(split);
            let name = format!("class-0{}", class + first);
            if first > 0 {
                fs::rename(folder.join(format!("class-0{class}")), folder.join(name)).unwrap();
            }
        }
    }
    let class = photos.join("train/class-00");
    fs::rename(class.join("1.jpg"), class.join("1.jpg_large")).unwrap();
    fs::rename(class.join("0.png"), class.join("0")).unwrap();
    // The same pictures are in all three folders.
    let report = check(directory.path(), &[], 2);
    let mut found = kinds(&report);
    found.retain(|(_, kind)| *kind != "duplicate");
    assert_eq!(found, [("warning", "unused-folder")]);
    let text = messages(&report).concat();
    assert!(
        text.contains("photos/val is beside train/ and test/, so its 6 image(s) are never used"),
        "{text}"
    );
    assert_eq!(report["train"]["images"], 6);
    let arguments = [&["stats", "--json"], &FOLDER[..]].concat();
    let stats: Value = serde_json::from_str(&data(directory.path(), &arguments, 0)).unwrap();
    assert_eq!(stats["train"]["formats"]["jpeg"], 2);
    assert_eq!(stats["train"]["formats"]["png"], 4);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_shown_with_their_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let directory = photos();
    let photos = directory.path().join("photos");
    for (class, name) in [("class-00", &b"caf\xe9"[..]), ("class-01", b"caf\xe8")] {
        let renamed = photos.join(OsStr::from_bytes(name));
        fs::rename(photos.join(class), renamed).unwrap();
    }
    let (report, text) = refused(directory.path(), "photos");
    assert_eq!(report["problems"][0]["file"], r"photos/caf\xe8");
    assert_eq!(report["problems"][1]["file"], r"photos/caf\xe9");
    for name in [r"photos/caf\xe8", r"photos/caf\xe9"] {
        assert!(
            text.contains(&format!("the name {name} is not UTF-8")),
            "{text}"
        );
    }
    let root = OsStr::from_bytes(b"caf\xe9");
    let output = loop_dml(directory.path())
        .args(["data", "check", "--dataset", "folder", "--root"])
        .arg(root)
        .assert()
        .code(2)
        .get_output()
        .clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("the name is not UTF-8; rename the folder"),
        "{message}"
    );
}

#[test]
fn similar_classes_and_near_matches_are_named() {
    let directory = photos();
    let photos = directory.path().join("photos");
    fs::rename(photos.join("class-03"), photos.join("Class-02")).unwrap();
    let report = check(directory.path(), &[], 0);
    assert_eq!(kinds(&report), [("warning", "similar-classes")]);
    assert_eq!(
        messages(&report),
        [
            "classes \"Class-02\" (training) and \"class-02\" (test) differ only in letter case; if they are one \
          class, give them the same name"
        ]
    );
    let list = "path,label\nphotos/class-00/0.PNG,a\n";
    fs::write(directory.path().join("list.csv"), list).unwrap();
    let manifest = ["check", "--dataset", "manifest", "--root", "list.csv"];
    let text = data(directory.path(), &manifest, 2);
    assert!(
        text.contains("did you mean photos/class-00/0.png, with other letter case?"),
        "{text}"
    );
}

#[test]
fn an_image_of_the_same_size_and_time_is_found_in_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    draw_folder(&here.join("photos"), 8, 4);
    let recipe = "[data]\ndataset = \"folder\"\nroot = \"photos\"\nimage_size = 16\nresize = 18\ncache = true\n\
                  cache_dir = \"cache\"\n[batch]\nclasses = 2\nimages_per_class = 2\n[model]\n\
                  embedding_dim = 8\n[training]\nepochs = 1\n";
    fs::write(here.join("recipe.toml"), recipe).unwrap();
    let compare = ["check", "--config", "recipe.toml", "--cache"];
    let json = |status| -> Value {
        let arguments = [&compare[..], &["--json"]].concat();
        serde_json::from_str(&data(here, &arguments, status)).unwrap()
    };
    let states = |report: &Value| -> Vec<(String, String)> {
        let caches = report["caches"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_string();
        caches
            .map(|cache| (text(&cache["split"]), text(&cache["state"])))
            .collect()
    };
    let all = |state: &str| ["train", "validation", "test"].map(|s| (s.to_string(), state.into()));
    assert_eq!(states(&json(0)), all("missing"));
    assert!(!here.join("cache").exists(), "comparing builds nothing");
    loop_dml(here)
        .args(["train", "--config", "recipe.toml", "--run", "run"])
        .assert()
        .success();
    let report = json(0);
    assert_eq!(states(&report), all("compared"));
    assert_eq!(report["caches"][0]["images"], 16);
    assert_eq!(report["caches"][0]["stale"], Value::Array(Vec::new()));

    let path = here.join("photos/class-01/0.png");
    let (before, modified) = {
        let file = fs::metadata(&path).unwrap();
        (file.len(), file.modified().unwrap())
    };
    image::RgbImage::new(40, 50).save(&path).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    assert!(file.metadata().unwrap().len() < before);
    file.set_len(before).unwrap();
    file.set_modified(modified).unwrap();
    let report = json(2);
    assert_eq!(kinds(&report)[0], ("error", "stale-cache"));
    let stale = report["problems"][0]["file"].as_str().unwrap();
    assert!(stale.ends_with("class-01/0.png"), "{stale}");
    let text = data(here, &compare, 2);
    assert!(
        text.contains("cache of train: 15 of 16 images are the same in "),
        "{text}"
    );
    assert!(
        text.contains("delete the cache, and the next training builds it again"),
        "{text}"
    );
    // Without the flag, the caches are not read.
    let plain = ["check", "--config", "recipe.toml", "--json"];
    let report: Value = serde_json::from_str(&data(here, &plain, 0)).unwrap();
    assert_eq!(report["caches"], Value::Null);
}

#[test]
fn batches_are_those_of_training_for_the_seed() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 16, 4);
    let lines = |seed: &str, epochs: &str| -> Vec<Value> {
        let keys = [
            "data.dataset=folder",
            "data.root=photos",
            "batch.classes=2",
            "batch.images_per_class=4",
            seed,
        ];
        let keys = keys.iter().flat_map(|key| ["--set", key]);
        let arguments: Vec<&str> = ["batches", "--epochs", epochs]
            .into_iter()
            .chain(keys)
            .collect();
        let text = data(directory.path(), &arguments, 0);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let batches = lines("training.seed=1", "2");
    let per_epoch = batches.len() / 2;
    assert!(per_epoch >= 2, "{batches:?}");
    for (at, batch) in batches.iter().enumerate() {
        assert_eq!(batch["epoch"], at / per_epoch + 1);
        assert_eq!(batch["batch"], at % per_epoch + 1);
        let labels: Vec<u64> = serde_json::from_value(batch["labels"].clone()).unwrap();
        let images: Vec<String> = serde_json::from_value(batch["images"].clone()).unwrap();
        assert_eq!([labels.len(), images.len()], [8, 8]);
        assert!(labels[..4].iter().all(|&label| label == labels[0]));
        assert_ne!(labels[0], labels[4]);
        assert!(directory.path().join("photos").join(&images[0]).is_file());
    }
    assert_eq!(batches[..per_epoch], lines("training.seed=1", "1"));
    assert_ne!(batches, lines("training.seed=2", "2"));
}

#[test]
fn batches_need_a_valid_configuration() {
    let directory = photos();
    let error = refusal(
        directory.path(),
        &["data", "batches", "--set", "batch.classes=0"],
    );
    assert!(error.contains("batch.classes"), "{error}");
}
