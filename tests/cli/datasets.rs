//! Training on several kinds of datasets, with broken images and with the cache.

use std::fs;
use std::path::Path;

use crate::support::{draw_folder, evaluate, evaluation, loop_dml, metrics, refusal};

/// Returns the arguments of a training on `dataset` in `root` that takes seconds. All training classes train.
fn arguments(dataset: &str, root: &str, run: &str) -> Vec<String> {
    let mut arguments = vec!["train".to_string(), "--run".into(), run.into()];
    for set in [
        &format!("data.dataset={dataset}"),
        &format!("data.root={root}"),
        "data.image_size=16",
        "data.resize=18",
        "data.workers=2",
        "batch.classes=2",
        "batch.images_per_class=2",
        "model.embedding_dim=8",
        "training.epochs=2",
        "training.validate_every=1",
        "evaluation.protocol=published",
    ] {
        arguments.extend(["--set".to_string(), set.to_string()]);
    }
    arguments
}

fn with(mut arguments: Vec<String>, sets: &[&str]) -> Vec<String> {
    for set in sets {
        arguments.extend(["--set".to_string(), set.to_string()]);
    }
    arguments
}

fn trained(directory: &Path, arguments: &[String]) -> String {
    let output = loop_dml(directory).args(arguments).assert().success();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

fn refused(directory: &Path, arguments: &[String]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    refusal(directory, &arguments)
}

#[test]
fn the_cache_does_not_change_the_metrics_with_validation_classes() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 8, 4);
    let validated = "evaluation.protocol=validated";
    let plain = with(arguments("folder", "photos", "plain"), &[validated]);
    trained(directory.path(), &plain);
    let cached = [validated, "data.cache=true", "data.cache_dir=cache"];
    let first = with(arguments("folder", "photos", "first"), &cached);
    let stderr = trained(directory.path(), &first);
    assert!(stderr.contains("caching 16 train images"), "{stderr}");
    assert!(stderr.contains("caching 8 validation images"), "{stderr}");
    assert_eq!(
        metrics(directory.path(), "first"),
        metrics(directory.path(), "plain")
    );
    // Training with another fold, or with all classes, uses the cache of the training images.
    let all = with(arguments("folder", "photos", "all"), &cached[1..]);
    let stderr = trained(directory.path(), &all);
    assert!(!stderr.contains("caching"), "{stderr}");
    let fold = [&cached[..], &["data.folds=2", "data.fold=2"]].concat();
    let stderr = trained(
        directory.path(),
        &with(arguments("folder", "photos", "fold"), &fold),
    );
    assert!(!stderr.contains("train images"), "{stderr}");
}

#[test]
fn the_cache_does_not_change_the_metrics() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 8, 4);
    let plain = arguments("folder", "photos", "plain");
    trained(directory.path(), &plain);
    let cached = ["data.cache=true", "data.cache_dir=cache"];
    let first = with(arguments("folder", "photos", "first"), &cached);
    let stderr = trained(directory.path(), &first);
    assert!(stderr.contains("caching 16 train images"), "{stderr}");
    let second = with(arguments("folder", "photos", "second"), &cached);
    let stderr = trained(directory.path(), &second);
    assert!(!stderr.contains("caching"), "{stderr}");
    for run in ["first", "second"] {
        assert_eq!(
            metrics(directory.path(), run),
            metrics(directory.path(), "plain")
        );
    }
    // A damaged cache is built again and not trained on.
    for entry in fs::read_dir(directory.path().join("cache")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "images") {
            let mut bytes = fs::read(&path).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let third = with(arguments("folder", "photos", "third"), &cached);
    let stderr = trained(directory.path(), &third);
    assert!(stderr.contains("is damaged"), "{stderr}");
    assert_eq!(
        metrics(directory.path(), "third"),
        metrics(directory.path(), "plain")
    );
}

/// Damages the pixels of a PNG. Its header and end stay valid.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_broken_image_ends_a_training_with_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    draw_folder(&photos, 8, 4);
    damage(&photos.join("class-01/0.png"));
    let output = loop_dml(directory.path())
        .args(with(
            arguments("folder", "photos", "run"),
            &["batch.sampler=every-image"],
        ))
        .assert()
        .code(2);
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    let last = stderr.trim_end().lines().last().unwrap();
    assert!(last.starts_with("error: "), "{stderr}");
    assert!(
        last.contains("class-01/0.png cannot be decoded"),
        "{stderr}"
    );

    // The run resumes from its start and skips the image.
    let resume = [
        "train",
        "--resume",
        "--run",
        "run",
        "--set",
        "data.broken_images=skip",
    ];
    let output = loop_dml(directory.path()).args(resume).assert().success();
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(
        stderr.contains("class-01/0.png cannot be decoded"),
        "{stderr}"
    );
}

#[test]
fn broken_images_are_skipped_and_counted_if_configured() {
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    draw_folder(&photos, 8, 4);
    damage(&photos.join("class-06/0.png"));
    fs::write(photos.join("class-05/0.png"), "<html>").unwrap();
    let message = refused(directory.path(), &arguments("folder", "photos", "run"));
    assert!(message.contains("0.png is an HTML page"), "{message}");

    let skip = ["data.broken_images=skip"];
    let stderr = trained(
        directory.path(),
        &with(arguments("folder", "photos", "run"), &skip),
    );
    assert!(stderr.contains("class-05/0.png"), "{stderr}");
    let object = evaluation(directory.path(), "run", &[]);
    assert_eq!(
        (&object["skipped"], &object["queries"]),
        (&2.into(), &14.into())
    );
}

#[test]
fn a_test_split_without_readable_images_is_refused_before_training() {
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    draw_folder(&photos, 8, 4);
    for class in 4..8 {
        for image in 0..4 {
            let class = photos.join(format!("class-{class:02}"));
            let jpeg = class.join(format!("{image}.jpg"));
            if jpeg.exists() {
                fs::remove_file(jpeg).unwrap();
            } else {
                damage(&class.join(format!("{image}.png")));
            }
        }
    }
    let skip = ["data.broken_images=skip"];
    let output = loop_dml(directory.path())
        .args(with(arguments("folder", "photos", "run"), &skip))
        .assert()
        .code(2);
    // The checks before the training are printed above the error.
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    let last = stderr.trim_end().lines().last().unwrap();
    assert!(
        last.starts_with("error: no query has a readable gallery image of its class"),
        "{stderr}"
    );
    assert!(!directory.path().join("run").exists());
}

#[test]
fn changed_image_files_of_a_resumed_run_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    draw_folder(&photos, 8, 4);
    trained(directory.path(), &arguments("folder", "photos", "run"));
    let resume = |epochs: &str| {
        let resume = ["train", "--resume", "--run", "run", "--set", epochs];
        let output = loop_dml(directory.path()).args(resume).assert().success();
        String::from_utf8_lossy(&output.get_output().stderr).into_owned()
    };
    assert!(!resume("training.epochs=3").contains("warning"));
    fs::copy(photos.join("class-00/2.png"), photos.join("class-01/0.png")).unwrap();
    let stderr = resume("training.epochs=4");
    assert!(
        stderr.contains("warning: names, bounding boxes or lengths of the training images"),
        "{stderr}"
    );
    assert!(!stderr.contains("lengths of the test images"), "{stderr}");
}

#[test]
fn a_manifest_with_queries_and_gallery_can_be_trained_and_evaluated() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 8, 4);
    let mut rows = vec!["path,label,split,query,gallery".to_string()];
    for (class, image) in (0..8).flat_map(|class| (0..4).map(move |image| (class, image))) {
        let name = format!(
            "photos/class-{class:02}/{image}.{}",
            ["png", "jpg"][image % 2]
        );
        rows.push(match (class < 4, image) {
            (true, _) => format!("{name},c{class},train,,"),
            (false, 0) => format!("{name},c{class},test,true,false"),
            (false, _) => format!("{name},c{class},test,false,true"),
        });
    }
    fs::write(directory.path().join("shop.csv"), rows.join("\r\n")).unwrap();
    trained(directory.path(), &arguments("manifest", "shop.csv", "run"));
    let object = evaluation(directory.path(), "run", &[]);
    assert_eq!(object["queries"], 4);
    let record = fs::read_to_string(directory.path().join("run/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["test"]["queries"], 4);
    assert_eq!(record["test"]["gallery"], 12);

    rows[3] = "photos/class-00/nothing.png,c0,train,,".into();
    fs::write(directory.path().join("shop.csv"), rows.join("\r\n")).unwrap();
    let message = refused(
        directory.path(),
        &arguments("manifest", "shop.csv", "other"),
    );
    assert!(message.contains("shop.csv, line 4"), "{message}");
    assert!(message.contains("nothing.png"), "{message}");
}

/// Lists the images that `draw_folder` draws, each with a bounding box of its left half.
fn list_halves(directory: &Path, right: u32) {
    let mut rows = vec!["label;split;x_1;y_1;x_2;y_2;path".to_string()];
    for (class, image) in (0..8).flat_map(|class| (0..4).map(move |image| (class, image))) {
        let split = if class < 4 { "train" } else { "test" };
        let suffix = ["png", "jpg"][image % 2];
        rows.push(format!(
            "c{class};{split};0.0;0.0;{right}.0;20.0;photos\\class-{class:02}\\{image}.{suffix}"
        ));
    }
    fs::write(directory.join("halves.csv"), rows.join("\n")).unwrap();
}

#[test]
fn bounding_boxes_are_trained_cached_evaluated_and_embedded() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    draw_folder(&here.join("photos"), 8, 4);
    list_halves(here, 20);
    trained(here, &arguments("manifest", "halves.csv", "plain"));
    let cached = ["data.cache=true", "data.cache_dir=cache"];
    let stderr = trained(
        here,
        &with(arguments("manifest", "halves.csv", "cached"), &cached),
    );
    assert!(stderr.contains("caching 16 train images"), "{stderr}");
    assert_eq!(metrics(here, "cached"), metrics(here, "plain"));
    // Another box is another cache and another result.
    list_halves(here, 12);
    let stderr = trained(
        here,
        &with(arguments("manifest", "halves.csv", "other"), &cached),
    );
    assert!(stderr.contains("caching 16 train images"), "{stderr}");
    assert_ne!(metrics(here, "other"), metrics(here, "plain"));
    let output = loop_dml(here)
        .args(["evaluate", "plain"])
        .assert()
        .success();
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(
        stderr.contains("names, bounding boxes or lengths of the test images changed"),
        "{stderr}"
    );

    // The rows of the list are embedded as the test split is.
    let embed = [
        "embed",
        "other",
        "--images",
        "halves.csv",
        "--split",
        "test",
        "--output",
        "halves.safetensors",
    ];
    loop_dml(here).args(embed).assert().success();
    let bytes = fs::read(here.join("halves.safetensors")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.contains("photos/class-04/0.png#0,0,12,20"),
        "the name has the box"
    );
    let output = loop_dml(here)
        .args(["evaluate", "--json", "--embeddings", "halves.safetensors"])
        .assert()
        .success();
    let embedded: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(embedded["recall"], evaluate(here, "other", &[]));

    // The pictures are 40 to 49 pixels wide.
    list_halves(here, 60);
    let message = refused(here, &arguments("manifest", "halves.csv", "outside"));
    assert!(
        message.contains("halves.csv, line 2: the bounding box"),
        "{message}"
    );
    let output = loop_dml(here)
        .args([
            "data",
            "check",
            "--dataset",
            "manifest",
            "--root",
            "halves.csv",
            "--json",
        ])
        .assert()
        .code(2);
    let report: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(
        (&report["errors"], &report["problems"][0]["kind"]),
        (&32.into(), &"box-outside".into())
    );
}

#[test]
fn averaging_mirror_images_changes_recall_little() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 8, 4);
    trained(directory.path(), &arguments("folder", "photos", "run"));
    let plain = evaluate(directory.path(), "run", &[]);
    let mirrored = evaluate(directory.path(), "run", &["--mirror"]);
    for k in ["1", "8"] {
        let (plain, mirrored) = (plain[k].as_f64().unwrap(), mirrored[k].as_f64().unwrap());
        assert!((plain - mirrored).abs() <= 0.5, "{k}: {plain} {mirrored}");
    }
    let averaged = with(
        arguments("folder", "photos", "averaged"),
        &["evaluation.mirror=true"],
    );
    trained(directory.path(), &averaged);
    // Evaluation does not train, so the network and its recall are the same as with a later --mirror.
    assert_eq!(evaluate(directory.path(), "averaged", &[]), mirrored);
}

#[test]
fn every_sampler_trains_and_reports_its_coverage() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 8, 5);
    for sampler in ["uniform", "every-image"] {
        let set = format!("batch.sampler={sampler}");
        let stderr = trained(
            directory.path(),
            &with(arguments("folder", "photos", sampler), &[&set]),
        );
        let all = "an epoch covers 100.0 % of the training images";
        assert_eq!(stderr.contains(all), sampler == "every-image", "{stderr}");
    }
}

#[test]
fn bench_loader_measures_decoding_and_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let small =
        "bench loader --images 40 --batch 8 --size 16 --resize 18 --passes 1 --steps 1 --json";
    let output = loop_dml(directory.path())
        .args(small.split(' '))
        .assert()
        .success();
    let timing: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(
        (&timing["images"], &timing["batch"]),
        (&40.into(), &8.into())
    );
    for key in ["images_per_second", "cached_images_per_second"] {
        assert!(timing[key].as_f64().unwrap() > 0.0, "{timing}");
    }
    assert_eq!(timing["upload_bytes"], 8 * 3 * 16 * 16);
    for share in timing["waiting"].as_array().unwrap() {
        assert!((0.0..=1.0).contains(&share.as_f64().unwrap()), "{timing}");
    }
    let arguments = ["bench", "loader", "--dataset", "cub200"];
    let message = refusal(directory.path(), &arguments);
    assert!(
        message.contains("`--root`: give the folder of the dataset cub200"),
        "{message}"
    );
}

#[test]
fn images_that_are_never_used_are_reported_by_training() {
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    draw_folder(&photos.join("train"), 4, 4);
    draw_folder(&photos.join("val"), 2, 3);
    draw_folder(&photos.join("test"), 2, 4);
    for class in 0..2 {
        let name = |prefix: &str| photos.join(format!("test/{prefix}-0{class}"));
        fs::rename(name("class"), name("other")).unwrap();
    }
    fs::create_dir(photos.join("train/@eaDir")).unwrap();
    fs::write(photos.join("train/@eaDir/0.jpg"), "").unwrap();
    let stderr = trained(directory.path(), &arguments("folder", "photos", "run"));
    assert!(
        stderr.contains("photos/val is beside train/ and test/, so its 6 image(s) are never used"),
        "{stderr}"
    );
}
