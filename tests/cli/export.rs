//! `loop-dml export`, `embed` and `evaluate --embeddings`.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, serialize_to_file};
use serde_json::Value;

use crate::support::{draw_folder, evaluation, loop_dml, refusal};

/// Arguments of a training on the folder `photos`, evaluated on centre crops in batches of 5.
const TRAIN: [&str; 21] = [
    "train",
    "--set",
    "data.dataset=folder",
    "--set",
    "data.root=photos",
    "--set",
    "data.image_size=16",
    "--set",
    "data.resize=20",
    "--set",
    "data.eval_resize=center-crop",
    "--set",
    "batch.classes=2",
    "--set",
    "model.embedding_dim=6",
    "--set",
    "evaluation.batch_size=5",
    "--set",
    "evaluation.recall=[1, 2, 3]",
    "--set",
    "training.epochs=1",
];

/// Trains `run` on 4 of 8 classes of 6 images, with `evaluation.mirror = mirror`.
fn trained(directory: &Path, run: &str, mirror: bool) {
    draw_folder(&directory.join("photos"), 8, 6);
    let mirror = format!("evaluation.mirror={mirror}");
    loop_dml(directory)
        .args(TRAIN)
        .args(["--set", &mirror, "--run", run])
        .assert()
        .success();
}

/// Copies the images of the test classes to `test`.
fn test_classes(directory: &Path) {
    for class in 4..8 {
        let name = format!("class-{class:02}");
        let (from, to) = (
            directory.join("photos").join(&name),
            directory.join("test").join(&name),
        );
        fs::create_dir_all(&to).unwrap();
        for image in fs::read_dir(from).unwrap() {
            let image = image.unwrap();
            fs::copy(image.path(), to.join(image.file_name())).unwrap();
        }
    }
}

fn succeeds(directory: &Path, arguments: &[&str]) -> String {
    let output = loop_dml(directory)
        .args(arguments)
        .assert()
        .success()
        .get_output()
        .clone();
    assert!(
        output.stdout.is_empty(),
        "messages belong on standard error"
    );
    String::from_utf8(output.stderr).unwrap()
}

/// The embeddings, labels, paths and classes of a file.
#[derive(Debug, PartialEq)]
struct Embedded {
    rows: Vec<f32>,
    labels: Vec<i64>,
    paths: Value,
    classes: Value,
}

fn read(path: &Path) -> Embedded {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let list = |key: &str| {
        let metadata = header.metadata().as_ref().unwrap();
        serde_json::from_str(&metadata[key]).unwrap()
    };
    let labels = file.tensor("labels").unwrap();
    let (labels, _) = labels.data().as_chunks();
    Embedded {
        rows: floats(&file, "embeddings"),
        labels: labels.iter().map(|&x| i64::from_le_bytes(x)).collect(),
        paths: list("paths"),
        classes: list("classes"),
    }
}

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32);
    let (numbers, _) = tensor.data().as_chunks();
    numbers.iter().map(|&x| f32::from_le_bytes(x)).collect()
}

fn of_file(directory: &Path, arguments: &[&str]) -> Value {
    let output = loop_dml(directory)
        .args(["evaluate", "--json", "--embeddings"])
        .args(arguments)
        .assert()
        .success()
        .get_output()
        .clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn exported_file_embeds_as_the_evaluation_in_training_did() {
    let mut rows = Vec::new();
    for mirror in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        trained(here, "run", mirror);
        let measured = evaluation(here, "run", &[]);
        test_classes(here);
        let of_run = ["embed", "run", "--images", "test", "--output"];
        succeeds(here, &[&of_run[..], &["run.safetensors"]].concat());
        succeeds(here, &["export", "run", "--output", "model.safetensors"]);

        // The file is moved to a folder without the run and its images.
        let elsewhere = tempfile::tempdir().unwrap();
        let there = elsewhere.path();
        for name in ["model.safetensors", "run.safetensors"] {
            fs::copy(here.join(name), there.join(name)).unwrap();
        }
        fs::rename(here.join("test"), there.join("test")).unwrap();
        fs::remove_dir_all(here.join("run")).unwrap();
        let of_export = ["embed", "model.safetensors", "--images", "test", "--output"];
        succeeds(there, &[&of_export[..], &["file.safetensors"]].concat());

        let embedded = read(&there.join("file.safetensors"));
        assert_eq!(embedded, read(&there.join("run.safetensors")));
        assert_eq!(embedded.paths[0], "class-04/0.png");
        assert_eq!(embedded.classes[3], "class-07");
        let again = of_file(there, &["file.safetensors", "--recall", "1,2,3"]);
        assert_eq!(again["recall"], measured["recall"]);
        assert_eq!(again["queries"], measured["queries"]);
        assert_eq!(again["queries"], 24);
        // A recall of 1 could not reveal rows in a wrong order.
        assert!(again["recall"]["1"].as_f64().unwrap() < 1.0, "{again}");
        rows.push(embedded.rows);
    }
    // The two trainings are equal; only the mirrored images differ.
    assert_ne!(rows[0], rows[1]);
}

#[test]
fn head_applied_to_the_backbones_features_is_the_embedding() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    trained(here, "run", false);
    succeeds(here, &["export", "run", "--output", "model.safetensors"]);
    let images = ["--images", "photos", "--output"];
    let embed = ["embed", "model.safetensors"];
    let whole = [&embed[..], &images[..], &["whole.safetensors"]].concat();
    succeeds(here, &whole);

    // The backbone's weights without the head, as PyTorch saves them.
    let bytes = fs::read(here.join("model.safetensors")).unwrap();
    let model = SafeTensors::deserialize(&bytes).unwrap();
    let backbone = model.tensors().into_iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix("backbone.")?.to_string();
        Some((name, tensor))
    });
    serialize_to_file(backbone, None, &here.join("conv4.safetensors")).unwrap();
    let pretrained = "embed --backbone conv4 --weights conv4.safetensors --size 16 --resize 20";
    let pretrained: Vec<&str> = pretrained.split(' ').collect();
    let features = [&pretrained[..], &images[..], &["features.safetensors"]].concat();
    succeeds(here, &features);

    let features = read(&here.join("features.safetensors")).rows;
    let embeddings = read(&here.join("whole.safetensors")).rows;
    let (weight, bias) = (floats(&model, "head.weight"), floats(&model, "head.bias"));
    assert_eq!(weight.len(), 6 * 128);
    for (features, embedding) in features.chunks(128).zip(embeddings.chunks(6)) {
        let through_head = |(row, bias): (&[f32], &f32)| {
            bias + row.iter().zip(features).map(|(a, b)| a * b).sum::<f32>()
        };
        let rows = weight.chunks(128).zip(&bias);
        let expected: Vec<f32> = rows.map(through_head).collect();
        let length = expected.iter().map(|x| x * x).sum::<f32>().sqrt();
        for (found, expected) in embedding.iter().zip(expected) {
            // 128 products in single precision, summed in another order.
            let error = (found - expected / length).abs();
            assert!(error < 1e-5, "{error}");
        }
    }
}

#[test]
fn listed_images_are_embedded_to_safetensors_and_numpy_arrays() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    trained(here, "run", false);
    let list =
        "path,label,split\nclass-05/1.jpg,b,test\nclass-00/0.png,,train\nclass-04/0.png,a,test\n";
    fs::write(here.join("photos/list.csv"), list).unwrap();
    let embed = ["embed", "run", "--images", "photos/list.csv", "--output"];
    succeeds(here, &[&embed[..], &["all.safetensors"]].concat());
    let all = read(&here.join("all.safetensors"));
    assert_eq!(all.labels, [1, -1, 0]);
    assert_eq!(all.classes, serde_json::json!(["a", "b"]));
    assert_eq!(all.paths[2], "class-04/0.png");

    let message = succeeds(
        here,
        &[&embed[..], &["test.npy", "--split", "test"]].concat(),
    );
    assert!(
        message.contains("test.npy, test.labels.npy, test.json: 2 images"),
        "{message}"
    );
    let bytes = fs::read(here.join("test.npy")).unwrap();
    let numbers = bytes.len() - 2 * 6 * size_of::<f32>();
    let (rows, _) = bytes[numbers..].as_chunks();
    let rows: Vec<f32> = rows.iter().map(|&x| f32::from_le_bytes(x)).collect();
    let expected = [&all.rows[..6], &all.rows[12..]].concat();
    for (found, expected) in rows.iter().zip(expected) {
        // In another batch, sums may be in another order.
        assert!((found - expected).abs() < 1e-6);
    }
    let names = fs::read(here.join("test.json")).unwrap();
    let names: Value = serde_json::from_slice(&names).unwrap();
    assert_eq!(names["paths"][0], "class-05/1.jpg");
}

#[test]
fn queries_are_searched_in_the_gallery_of_another_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    trained(here, "run", false);
    test_classes(here);
    fs::create_dir(here.join("queries")).unwrap();
    for class in ["class-06", "class-07"] {
        let folder = here.join("queries").join(class);
        fs::create_dir(&folder).unwrap();
        let image = format!("test/{class}/0.png");
        fs::rename(here.join(image), folder.join("0.png")).unwrap();
    }
    for images in ["queries", "test"] {
        let output = format!("{images}.safetensors");
        succeeds(
            here,
            &["embed", "run", "--images", images, "--output", &output],
        );
    }
    let gallery = ["queries.safetensors", "--gallery", "test.safetensors"];
    let found = of_file(here, &[&gallery[..], &["--recall", "1,22"]].concat());
    assert_eq!(found["queries"], 2);
    // Recall@22 covers all 22 images of the gallery, so a positive is always among them.
    assert_eq!(found["recall"]["22"], 1.0);
}

#[test]
fn errors_of_export_and_embed_are_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    trained(here, "run", false);
    let refused = |arguments: &str, reason: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let message = refusal(here, &arguments);
        assert!(message.contains(reason), "{arguments:?}: {message}");
    };
    succeeds(here, &["export", "run", "--output", "model.safetensors"]);
    refused(
        "export nowhere --output new.safetensors",
        "nowhere is not a run folder",
    );
    refused(
        "export run --output model.safetensors",
        "model.safetensors exists and is not overwritten",
    );
    refused(
        "export run --output model.onnx",
        "does not end in .safetensors",
    );
    refused(
        "export run --checkpoint 9 --output new.safetensors",
        "no checkpoint of epoch 9",
    );
    refused(
        "embed nowhere --images photos --output e.npy",
        "nowhere does not exist; pass the folder of a run",
    );
    refused(
        "embed model.safetensors --checkpoint last --images photos --output e.npy",
        "omit --checkpoint",
    );
    refused(
        "embed model.safetensors --images photos --output model.safetensors",
        "not overwritten",
    );
    refused(
        "embed model.safetensors --images photos --output nowhere/e.npy",
        "the folder nowhere does not exist",
    );

    refused(
        "embed model.safetensors --images photos --output e.csv",
        "the extension of e.csv does not name a known format; use .safetensors, .npy or .parquet",
    );

    fs::create_dir(here.join("empty")).unwrap();
    refused(
        "embed model.safetensors --images empty --output e.npy",
        "empty contains no image",
    );
    fs::write(here.join("list.txt"), "photos/class-00/0.png\nnone.png\n").unwrap();
    refused(
        "embed model.safetensors --images list.txt --output e.npy",
        "list.txt, line 2: image none.png is missing",
    );
    let message = succeeds(
        here,
        &[
            "embed",
            "model.safetensors",
            "--images",
            "list.txt",
            "--skip-broken",
            "--output",
            "e.safetensors",
        ],
    );
    assert!(message.contains("1 image(s) skipped"), "{message}");

    let embed = "--images photos --output new.npy";
    refused(
        &format!("embed e.safetensors {embed}"),
        "not an exported embedder",
    );
    let bytes = fs::read(here.join("model.safetensors")).unwrap();
    fs::write(here.join("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    refused(&format!("embed cut.safetensors {embed}"), "truncated");
    refused(
        &format!("embed --backbone googlenet --weights none.pth {embed}"),
        "none.pth",
    );
    refused(
        "evaluate --embeddings e.safetensors",
        "nothing could be found",
    );
    assert!(!here.join("new.npy").exists() && !here.join("new.safetensors").exists());

    // clap reports invalid options in several lines.
    let incomplete = "embed --backbone googlenet --images photos --output new.npy";
    let output = loop_dml(here)
        .args(incomplete.split(' '))
        .assert()
        .code(2)
        .get_output()
        .clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("--weights"), "{message}");
}

#[test]
fn description_beside_the_export_has_all_that_other_programs_need() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    trained(here, "run", true);
    succeeds(here, &["export", "run", "--output", "model.safetensors"]);
    let text = fs::read(here.join("model.json")).unwrap();
    let described: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(described["embedding"]["length"], 6);
    assert_eq!(described["embedding"]["mirror_averaging"], true);
    assert_eq!(described["measured"]["epoch"], 1);
    assert_eq!(described["model"]["backbone"], "conv4");
    assert_eq!(described["preprocessing"]["image_size"], 16);
    let kernel = &described["tensors"]["backbone.blocks.1.conv.weight"];
    assert_eq!(*kernel, serde_json::json!([32, 16, 3, 3]));
    let steps = described["preprocessing"]["steps"].to_string();
    assert!(steps.contains("shorter side has 20 pixels"), "{steps}");
    assert!(steps.contains("mirrored left to right"), "{steps}");
}
