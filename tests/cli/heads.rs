//! Heads on features: `data.dataset = "embeddings"` with `model.backbone = "none"`.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::Value;

use crate::support::{
    draw_folder, evaluate, evaluation, loop_dml, metrics, npy, refusal, resume, train_small,
};

/// Length of a row of features.
const DIM: usize = 24;
/// The first features differ between classes. The others are noise.
const SIGNAL: usize = 4;
/// Rows of a class.
const ROWS: usize = 6;

/// Numbers from −1 to 1, by Knuth's linear congruential generator.
fn draws(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// The features of `classes`, row by row, on very different scales.
fn features(classes: std::ops::Range<usize>, dim: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for class in classes {
        let mut center = draws(1000 + class as u64);
        let center: Vec<f32> = (0..SIGNAL).map(|_| center()).collect();
        for row in 0..ROWS {
            let mut noise = draws((class * ROWS + row) as u64);
            values.extend((0..dim).map(|column| {
                let value = match center.get(column) {
                    Some(center) => center + 0.1 * noise(),
                    None => noise(),
                };
                50.0 + value * 10_f32.powi(column as i32 % 4 - 2)
            }));
        }
    }
    values
}

/// Writes rows of `dim` numbers with their labels to `NAME.safetensors`.
fn write(folder: &Path, name: &str, values: &[f32], dim: usize, labels: &[i64]) {
    let rows: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let classes: Vec<u8> = labels.iter().flat_map(|x| x.to_le_bytes()).collect();
    let shape = vec![values.len() / dim, dim];
    let tensors = [
        ("embeddings", TensorView::new(Dtype::F32, shape, &rows)),
        (
            "labels",
            TensorView::new(Dtype::I64, vec![labels.len()], &classes),
        ),
    ];
    let tensors = tensors.map(|(name, tensor)| (name, tensor.unwrap()));
    let path = folder.join(format!("{name}.safetensors"));
    serialize_to_file(tensors, None, &path).unwrap();
}

fn labels(classes: std::ops::Range<usize>) -> Vec<i64> {
    classes.flat_map(|class| [class as i64; ROWS]).collect()
}

/// `features.safetensors` with 24 classes, and the same in `split/train.safetensors` and `split/test.safetensors`.
fn prepared() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs::create_dir(here.join("split")).unwrap();
    for (folder, name, classes) in [
        ("", "features", 0..24),
        ("split", "train", 0..12),
        ("split", "test", 12..24),
    ] {
        let values = features(classes.clone(), DIM);
        write(&here.join(folder), name, &values, DIM, &labels(classes));
    }
    directory
}

/// The settings of a training that takes a second, on `root`.
fn settings(root: &str) -> Vec<String> {
    let root = format!("data.root={root}");
    [
        "data.dataset=embeddings",
        &root,
        "model.backbone=none",
        "model.embedding_dim=8",
        "model.dropout=0.1",
        "batch.classes=6",
        "optimizer.learning_rate=0.01",
        "evaluation.protocol=published",
        "training.epochs=12",
        "training.validate_every=1",
    ]
    .iter()
    .flat_map(|set| ["--set".to_string(), set.to_string()])
    .collect()
}

/// Trains `run` and returns what is printed.
fn train(here: &Path, run: &str, root: &str, more: &[&str]) -> String {
    let output = loop_dml(here)
        .args(["train", "--run", run])
        .args(settings(root))
        .args(more.iter().flat_map(|set| ["--set", set]))
        .assert()
        .success();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// The line with which a training is refused.
fn refused(here: &Path, root: &str, more: &[&str]) -> String {
    let settings = settings(root);
    let mut arguments = vec!["train", "--run", "refused"];
    arguments.extend(settings.iter().map(String::as_str));
    arguments.extend(more.iter().flat_map(|set| ["--set", set]));
    let message = refusal(here, &arguments);
    assert!(!here.join("refused").exists());
    message
}

fn recall_at_1(epoch: &Value) -> f64 {
    epoch["recall"]["at"]["1"].as_f64().unwrap()
}

#[test]
fn head_is_trained_exported_and_embeds_as_it_was_measured() {
    let directory = prepared();
    let here = directory.path();
    let printed = train(
        here,
        "run",
        "split",
        &["model.hidden=32", "training.epochs=40"],
    );
    assert!(
        printed.contains("72 rows of 12 classes (6 each) train")
            && printed.contains("head on 24 features"),
        "{printed}"
    );
    assert!(!printed.contains("warning"), "{printed}");
    let history = metrics(here, "run");
    let best = history.iter().map(recall_at_1).fold(0.0, f64::max);
    let untrained = recall_at_1(&history[0]);
    assert!(best >= untrained + 0.1, "{untrained} → {best}");

    // What was measured is what a file of the test rows gives, by the run and by its export.
    let measured = evaluation(here, "run", &[]);
    assert_eq!(measured["recall"]["1"], best);
    let export = ["export", "run", "--output", "head.safetensors"];
    loop_dml(here).args(export).assert().success();
    for (source, output) in [("run", "a.safetensors"), ("head.safetensors", "b.parquet")] {
        let embed = [
            "embed",
            source,
            "--embeddings",
            "split/test.safetensors",
            "--output",
        ];
        loop_dml(here).args(embed).arg(output).assert().success();
        let evaluate = ["evaluate", "--json", "--embeddings", output];
        let found = loop_dml(here).args(evaluate).assert().success();
        let found: Value = serde_json::from_slice(&found.get_output().stdout).unwrap();
        assert_eq!(found["recall"], measured["recall"], "{output}");
        assert_eq!(found["map_at_r"], measured["map_at_r"], "{output}");
    }
    let described = fs::read_to_string(here.join("head.json")).unwrap();
    let described: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["model"]["feature_dim"], DIM);
    assert_eq!(described["tensors"]["hidden.linear.weight"][0], 32);
    assert_eq!(described["tensors"]["standardization.mean"][0], DIM);

    // A search embeds queries and gallery with the head.
    let search = "search head.safetensors split/test.safetensors --gallery split/test.safetensors -k 1 --json";
    let found = loop_dml(here).args(search.split(' ')).assert().success();
    let found: Value = serde_json::from_slice(&found.get_output().stdout).unwrap();
    assert_eq!(found["gallery"]["dim"], 8);
    let queries = found["queries"].as_array().unwrap();
    let right = queries
        .iter()
        .filter(|query| query["neighbours"][0]["right"] == true);
    assert_eq!(right.count() as f64 / queries.len() as f64, best);
}

#[test]
fn one_file_is_divided_by_classes_and_an_array_has_its_labels_beside_it() {
    let directory = prepared();
    let here = directory.path();
    let one_epoch = ["training.epochs=1"];
    train(here, "one", "features.safetensors", &one_epoch);
    train(here, "two", "split", &one_epoch);
    assert_eq!(metrics(here, "one"), metrics(here, "two"));
    let raw = ["training.epochs=1", "model.standardize=false"];
    train(here, "raw", "features.safetensors", &raw);
    assert_ne!(metrics(here, "raw"), metrics(here, "one"));

    let values = features(0..24, DIM);
    let rows: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let shape = format!("({}, {DIM})", 24 * ROWS);
    fs::write(here.join("x.npy"), npy("<f4", &shape, &rows)).unwrap();
    let message = refused(here, "x.npy", &[]);
    assert!(
        message.contains("x.labels.npy") && message.contains("data.labels"),
        "{message}"
    );
    let classes: Vec<u8> = labels(0..24).iter().flat_map(|x| x.to_le_bytes()).collect();
    let classes = npy("<i8", &format!("({},)", 24 * ROWS), &classes);
    fs::write(here.join("y.npy"), &classes).unwrap();
    let labels = ["training.epochs=1", "data.labels=y.npy"];
    train(here, "labels", "x.npy", &labels);
    assert_eq!(metrics(here, "labels"), metrics(here, "one"));
    fs::write(here.join("x.labels.npy"), &classes).unwrap();
    train(here, "beside", "x.npy", &one_epoch);
    assert_eq!(metrics(here, "beside"), metrics(here, "one"));
}

#[test]
fn resumed_training_equals_the_uninterrupted_one() {
    let directory = prepared();
    let here = directory.path();
    let validated = [
        "evaluation.protocol=validated",
        "data.validation_share=0.3",
        "model.hidden=16",
        "negatives.name=loop",
    ];
    let epochs = |epochs| [&validated[..], &[epochs]].concat();
    train(
        here,
        "whole",
        "features.safetensors",
        &epochs("training.epochs=6"),
    );
    train(
        here,
        "parts",
        "features.safetensors",
        &epochs("training.epochs=2"),
    );
    // The file was moved.
    fs::create_dir(here.join("moved")).unwrap();
    let name = "features.safetensors";
    fs::rename(here.join(name), here.join("moved").join(name)).unwrap();
    let message = refusal(
        here,
        &[
            "train",
            "--resume",
            "--run",
            "parts",
            "--set",
            "training.epochs=6",
        ],
    );
    assert!(
        message.contains("features.safetensors") && message.contains("--root"),
        "{message}"
    );
    let printed = resume(
        here,
        "parts",
        &["training.epochs=6", "data.root=moved/features.safetensors"],
    );
    assert!(!printed.contains("warning"), "{printed}");
    assert_eq!(metrics(here, "parts"), metrics(here, "whole"));
    let tensors = |run| fs::read(here.join(run).join("checkpoint/epoch-6.safetensors")).unwrap();
    let bodies = [tensors("whole"), tensors("parts")].map(|bytes| {
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    });
    assert_eq!(bodies[0], bodies[1]);

    // Other features of the same number of rows are noticed, and of another length refused.
    let changed: Vec<f32> = features(0..24, DIM).iter().map(|x| x + 1.0).collect();
    write(here, "changed", &changed, DIM, &labels(0..24));
    let printed = resume(
        here,
        "parts",
        &["training.epochs=7", "data.root=changed.safetensors"],
    );
    assert!(
        printed.contains("changed since the run began, or their features or labels did"),
        "{printed}"
    );
    write(
        here,
        "longer",
        &features(0..24, DIM + 1),
        DIM + 1,
        &labels(0..24),
    );
    let longer =
        "train --resume --run parts --set training.epochs=8 --set data.root=longer.safetensors";
    let longer: Vec<&str> = longer.split(' ').collect();
    let message = refusal(here, &longer);
    assert!(
        message.contains("`model.feature_dim = 24`") && message.contains("have 25 numbers"),
        "{message}"
    );
}

#[test]
fn every_loss_trains_with_every_way_of_negatives() {
    let directory = prepared();
    let here = directory.path();
    for loss in [
        "triplet",
        "hphn-triplet",
        "lifted-structure",
        "n-pair",
        "multi-similarity",
    ] {
        for negatives in ["none", "embedding-expansion", "loop"] {
            let run = format!("{loss}-{negatives}");
            let (loss, negatives) = (
                format!("loss.name={loss}"),
                format!("negatives.name={negatives}"),
            );
            train(
                here,
                &run,
                "features.safetensors",
                &[&loss, &negatives, "training.epochs=1"],
            );
            let history = metrics(here, &run);
            assert!(history[1]["training"]["loss"].as_f64().unwrap().is_finite());
        }
    }
}

#[test]
fn report_dry_run_and_checks_name_rows_and_draw_no_pictures() {
    let directory = prepared();
    let here = directory.path();
    train(here, "run", "features.safetensors", &["training.epochs=2"]);
    let report = ["report", "run", "--output", "report.html"];
    let printed = loop_dml(here).args(report).assert().success();
    let printed = String::from_utf8(printed.get_output().stderr.clone()).unwrap();
    assert!(!printed.contains("warning"), "{printed}");
    let page = fs::read_to_string(here.join("report.html")).unwrap();
    assert!(!page.contains("cannot be read"), "rows have no picture");
    assert!(page.contains("row 100") && !page.contains("<img"));
    assert!(evaluate(here, "run", &[])["1"].is_number());

    let settings = settings("features.safetensors");
    let dry = loop_dml(here)
        .args(["train", "--dry-run", "--json"])
        .args(&settings)
        .assert()
        .success();
    let dry: Value = serde_json::from_slice(&dry.get_output().stdout).unwrap();
    assert_eq!(dry["ok"], true, "{dry}");
    assert!(dry["estimate"]["seconds"].as_f64().unwrap() > 0.0);

    let check = "data check --dataset embeddings --root features.safetensors --json";
    let checked = loop_dml(here).args(check.split(' ')).assert().success();
    let checked: Value = serde_json::from_slice(&checked.get_output().stdout).unwrap();
    assert_eq!(
        (&checked["ok"], &checked["train"]["images"]),
        (&true.into(), &72.into())
    );
    let stats = "data stats --dataset embeddings --root features.safetensors --json";
    let stats = loop_dml(here).args(stats.split(' ')).assert().success();
    let stats: Value = serde_json::from_slice(&stats.get_output().stdout).unwrap();
    assert_eq!(
        (&stats["train"]["unreadable"], &stats["test"]["classes"]),
        (&0.into(), &12.into())
    );
    let sheet = "data stats --dataset embeddings --root features.safetensors --sheet sheet.png";
    let sheet: Vec<&str> = sheet.split(' ').collect();
    assert!(refusal(here, &sheet).contains("have no pictures"));
}

#[test]
fn files_that_cannot_be_used_are_refused() {
    let directory = prepared();
    let here = directory.path();
    let contains = |message: String, parts: &[&str]| {
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    };
    contains(
        refused(here, "nowhere.safetensors", &[]),
        &["nowhere.safetensors", "check the path"],
    );
    fs::create_dir(here.join("empty")).unwrap();
    contains(refused(here, "empty", &[]), &["no file train.safetensors"]);

    let mut values = features(0..24, DIM);
    values[5 * DIM] = f32::NAN;
    write(here, "nan", &values, DIM, &labels(0..24));
    contains(refused(here, "nan.safetensors", &[]), &["row 5 of", "NaN"]);
    let mut unlabelled = labels(0..24);
    unlabelled[7] = -1;
    write(here, "unlabelled", &features(0..24, DIM), DIM, &unlabelled);
    contains(
        refused(here, "unlabelled.safetensors", &[]),
        &["row 7 of", "label -1"],
    );

    let pair = |folder: &str, classes: std::ops::Range<usize>, dim| {
        fs::create_dir(here.join(folder)).unwrap();
        write(
            &here.join(folder),
            "train",
            &features(0..12, DIM),
            DIM,
            &labels(0..12),
        );
        write(
            &here.join(folder),
            "test",
            &features(classes.clone(), dim),
            dim,
            &labels(classes),
        );
    };
    pair("overlap", 11..23, DIM);
    contains(refused(here, "overlap", &[]), &["class 11 is in both"]);
    pair("lengths", 12..24, DIM + 2);
    contains(
        refused(here, "lengths", &[]),
        &["have 24 numbers", "have 26", "same model"],
    );
    fs::copy(
        here.join("split/train.safetensors"),
        here.join("split/train.npz"),
    )
    .unwrap();
    contains(
        refused(here, "split", &[]),
        &["train.safetensors and", "both the train split"],
    );
    fs::remove_file(here.join("split/train.npz")).unwrap();
    contains(
        refused(here, "split", &["data.labels=y.npy"]),
        &["`data.labels", "folder"],
    );
    contains(
        refused(here, "split", &["model.feature_dim=12"]),
        &["`model.feature_dim = 12`", "have 24 numbers"],
    );
    contains(
        refused(here, "split", &["data.flip_probability=0.5"]),
        &["`data.flip_probability` has no effect"],
    );
    let drop = ["data.single_image_classes=drop"];
    let mut single = labels(0..24);
    single[0] = 99;
    write(here, "single", &features(0..24, DIM), DIM, &single);
    contains(
        refused(here, "single.safetensors", &[]),
        &["class 99 of the test split has 1"],
    );
    let printed = train(
        here,
        "dropped",
        "single.safetensors",
        &[&drop[..], &["training.epochs=1"]].concat(),
    );
    assert!(
        printed.contains("72 rows of 12 classes (6 each) test")
            || printed.contains("rows of 12 classes"),
        "{printed}"
    );
}

#[test]
fn heads_embed_features_and_networks_for_images_embed_images() {
    let directory = prepared();
    let here = directory.path();
    train(here, "head", "split", &["training.epochs=1"]);
    train_small(here, "images", &["--set", "training.epochs=1"]);
    draw_folder(&here.join("photos"), 2, 2);
    write(
        here,
        "short",
        &features(0..4, DIM - 1),
        DIM - 1,
        &labels(0..4),
    );
    for (arguments, expected) in [
        (
            "embed head --images photos --output x.npy",
            "is a head on features",
        ),
        (
            "embed images --embeddings split/test.safetensors --output x.npy",
            "embeds images",
        ),
        (
            "embed head --embeddings short.safetensors --output x.npy",
            "the head takes 24",
        ),
        (
            "search head photos --gallery photos",
            "is a head on features",
        ),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let message = refusal(here, &arguments);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn another_length_of_rows_is_refused_by_every_command_on_a_run() {
    for standardize in ["true", "false"] {
        let directory = prepared();
        let here = directory.path();
        let set = format!("model.standardize={standardize}");
        train(
            here,
            "run",
            "features.safetensors",
            &[&set, "training.epochs=1"],
        );
        let narrow = DIM - 1;
        write(
            here,
            "features",
            &features(0..24, narrow),
            narrow,
            &labels(0..24),
        );
        let expected =
            format!("the rows have {narrow} numbers, and the head of the run takes {DIM}");
        let message = refusal(here, &["evaluate", "run"]);
        assert!(message.contains(&expected), "{message}");
        let message = refusal(
            here,
            &[
                "train",
                "--resume",
                "--run",
                "run",
                "--set",
                "training.epochs=2",
            ],
        );
        assert!(
            message.contains(&format!("have {narrow} numbers")),
            "{message}"
        );
        let output = loop_dml(here)
            .args(["report", "run", "--output", "r.html"])
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn labels_beside_the_features_move_with_them() {
    let directory = prepared();
    let here = directory.path();
    fs::create_dir(here.join("old")).unwrap();
    let bytes: Vec<u8> = features(0..24, DIM)
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let rows = npy("<f4", &format!("({}, {DIM})", 24 * ROWS), &bytes);
    fs::write(here.join("old/rows.npy"), rows).unwrap();
    let text: Vec<String> = labels(0..24).iter().map(ToString::to_string).collect();
    fs::write(here.join("old/classes.txt"), text.join("\n") + "\n").unwrap();
    train(
        here,
        "run",
        "old/rows.npy",
        &["data.labels=old/classes.txt", "training.epochs=1"],
    );
    let before = evaluate(here, "run", &[]);
    fs::rename(here.join("old"), here.join("new")).unwrap();
    assert_eq!(evaluate(here, "run", &["--root", "new/rows.npy"]), before);
    let arguments = [
        "train",
        "--resume",
        "--run",
        "run",
        "--root",
        "new/rows.npy",
    ];
    loop_dml(here)
        .args(arguments)
        .args(["--set", "training.epochs=2"])
        .assert()
        .success();
    fs::rename(here.join("new/classes.txt"), here.join("labels.txt")).unwrap();
    resume(
        here,
        "run",
        &["training.epochs=3", "data.labels=labels.txt"],
    );
}

#[test]
fn mirror_images_of_features_are_refused() {
    let directory = prepared();
    let here = directory.path();
    train(here, "run", "features.safetensors", &["training.epochs=1"]);
    for arguments in [
        &["evaluate", "run", "--mirror"][..],
        &["report", "run", "--mirror"],
        &[
            "search",
            "run",
            "features.safetensors",
            "--gallery",
            "features.safetensors",
            "--mirror",
        ],
    ] {
        let message = refusal(here, arguments);
        assert!(
            message.contains("`--mirror` has no effect with a head on features"),
            "{message}"
        );
    }
}
