//! Every file in `configs/` is valid and has the published values.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::known_keys::lookup;
use super::layers::ConfigLayers;
use super::*;
use crate::data::config::DatasetConfig;
use crate::loss::Reduction;

const DATASETS: [&str; 3] = ["cars196", "cub200", "sop"];

/// The losses: their names in a recipe's file name and in its configuration.
const LOSSES: [(&str, &str); 5] = [
    ("triplet", "triplet"),
    ("hphn", "hphn-triplet"),
    ("lifted", "lifted-structure"),
    ("n-pair", "n-pair"),
    ("ms", "multi-similarity"),
];

/// The negatives, in the same order.
const NEGATIVES: [(&str, &str); 3] = [
    ("none", "none"),
    ("ee", "embedding-expansion"),
    ("loop", "loop"),
];

/// The TOML files in `folder` and below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("tests run in the package's root") {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn recipe(dataset: &str, loss: &str, negatives: &str) -> PathBuf {
    Path::new("configs").join(format!("{dataset}/{loss}-{negatives}.toml"))
}

/// The keys of a file and its bases, unchecked.
fn layered(path: &Path) -> Table {
    ConfigLayers::read(path)
        .unwrap_or_else(|error| panic!("{error}"))
        .table
}

fn value<'a>(table: &'a Table, key: &str) -> &'a Value {
    lookup(table, key).unwrap_or_else(|| panic!("no {key}"))
}

fn loaded(path: &Path) -> Config {
    Config::load(path, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn shipped_configurations_are_valid() {
    let shipped = recipes();
    assert!(shipped.len() >= 48, "{shipped:?}");
    for path in shipped {
        loaded(&path);
    }
    Config::quickstart(&[]).unwrap().check().unwrap();
}

/// The recipes: every file but the bases and the sweeps, and the quickstart's text.
fn recipes() -> Vec<PathBuf> {
    let mut recipes = files(Path::new("configs"));
    recipes.retain(|path| !path.starts_with("configs/base") && !path.starts_with("configs/sweeps"));
    recipes
}

/// The recipes for images.
fn image_recipes() -> Vec<PathBuf> {
    let mut recipes = recipes();
    recipes.retain(|path| !path.ends_with("head.toml"));
    recipes
}

#[test]
fn recipe_of_a_head_trains_on_features_and_refuses_keys_for_images() {
    let path = Path::new("configs/head.toml");
    assert!(loaded(path).data.source.has_features());
    for set in [
        "data.image_size=48",
        "data.flip_probability=0.5",
        "data.cache=true",
        "data.workers=2",
    ] {
        let message = Config::load(path, &[set.into()]).unwrap_err().to_string();
        let key = set.split('=').next().unwrap();
        let refused = format!("`{key}` has no effect with `data.dataset = \"embeddings\"`");
        assert!(message.contains(&refused), "{message}");
    }
}

#[test]
fn image_size_alone_can_be_set_with_every_recipe() {
    for path in image_recipes() {
        let config = Config::load(&path, &["data.image_size=48".into()])
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let transform = config.data.transform;
        assert_eq!(
            (transform.image_size, transform.resize),
            (48, 54),
            "{path:?}"
        );
    }
    let config = Config::quickstart(&["data.image_size=48".into()]).unwrap();
    assert_eq!(config.data.transform.resize, 54);
}

#[test]
fn sizes_of_every_recipe_are_these() {
    for path in image_recipes() {
        let expected = match path.to_str().unwrap() {
            "configs/quickstart.toml" | "configs/kanji/conv4.toml" | "configs/kanji/all.toml" => {
                (32, 36)
            }
            "configs/folder.toml"
            | "configs/fashion-mnist-finetune.toml"
            | "configs/kanji/lite0.toml" => (64, 72),
            // Not in proportion to the published sizes.
            "configs/fashion-mnist.toml" => (28, 32),
            _ => (227, 255),
        };
        let transform = loaded(&path).data.transform;
        assert_eq!(
            (transform.image_size, transform.resize),
            expected,
            "{path:?}"
        );
    }
}

#[test]
fn every_dataset_has_a_recipe_for_every_loss_and_negatives() {
    for dataset in DATASETS {
        for (loss, loss_name) in LOSSES {
            for (negatives, negatives_name) in NEGATIVES {
                let path = recipe(dataset, loss, negatives);
                let table = layered(&path);
                let text = |key| value(&table, key).as_str();
                let number = |key| value(&table, key).as_integer().unwrap();
                assert_eq!(text("loss.name"), Some(loss_name), "{path:?}");
                assert_eq!(text("negatives.name"), Some(negatives_name), "{path:?}");
                assert_eq!(text("data.dataset"), Some(dataset), "{path:?}");
                assert_eq!(text("model.backbone"), Some("googlenet"), "{path:?}");
                let batch = number("batch.classes") * number("batch.images_per_class");
                assert_eq!(batch, 128, "{path:?}");
            }
        }
    }
}

#[test]
fn recipes_of_one_loss_differ_only_in_their_negatives() {
    for dataset in DATASETS {
        for (loss, _) in LOSSES {
            let [none, ee, looped] = NEGATIVES.map(|(negatives, _)| {
                let mut table = layered(&recipe(dataset, loss, negatives));
                table.remove("negatives").unwrap();
                table
            });
            assert!(none == ee && none == looped, "{dataset}/{loss}");
        }
    }
}

#[test]
fn every_base_is_extended() {
    let mut texts = String::new();
    for path in files(Path::new("configs")) {
        texts.push_str(&fs::read_to_string(path).unwrap());
    }
    for path in files(Path::new("configs/base")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let extended =
            texts.contains(&format!("/{name}\"")) || texts.contains(&format!("\"{name}\""));
        assert!(extended, "nothing extends {name}");
    }
}

#[test]
fn published_recipe_has_the_published_values() {
    let config = loaded(&recipe("cars196", "hphn", "loop"));
    assert_eq!(config.batch.classes * config.batch.images_per_class, 128);
    assert_eq!(config.batch.images_per_class, 32);
    assert_eq!(config.training.epochs, 4000);
    assert_eq!(config.optimizer.decay_epochs, [400, 800, 1200, 1600]);
    assert_eq!(config.optimizer.learning_rate, 1e-4);
    assert_eq!(config.optimizer.weight_decay, 5e-4);
    assert_eq!(config.model.weights, Some(WeightsSource::ImageNet));
    assert_eq!(config.data.transform.image_size, 227);
    assert_eq!(config.data.transform.resize, 255);
    assert_eq!(config.model.embedding_dim, 512);
    assert_eq!(config.loss.reduction, Reduction::Sum);
}

#[test]
fn losses_have_the_published_values() {
    for (loss, key, published) in [
        ("triplet", "loss.margin", Value::Float(0.1)),
        ("hphn", "loss.margin", Value::Float(1e-5)),
        ("lifted", "loss.margin", Value::Float(0.2)),
        ("triplet", "batch.images_per_class", Value::Integer(2)),
        ("n-pair", "batch.images_per_class", Value::Integer(2)),
        ("hphn", "batch.images_per_class", Value::Integer(32)),
    ] {
        let table = layered(&recipe("cars196", loss, "loop"));
        assert_eq!(*value(&table, key), published, "{loss}");
    }
    let expansion = layered(&recipe("cub200", "ms", "ee"));
    assert_eq!(*value(&expansion, "negatives.points"), Value::Integer(2));
}

#[test]
fn recall_is_measured_at_the_k_of_the_published_tables() {
    for (dataset, published) in [
        ("cars196", [1, 2, 4, 8]),
        ("cub200", [1, 2, 4, 8]),
        ("sop", [1, 10, 100, 1000]),
    ] {
        for (loss, _) in LOSSES {
            let table = layered(&recipe(dataset, loss, "none"));
            let expected = Value::Array(published.into_iter().map(Value::Integer).collect());
            assert_eq!(*value(&table, "evaluation.recall"), expected, "{dataset}");
        }
    }
}

#[test]
fn products_have_two_images_of_a_class_for_every_loss() {
    for (loss, _) in LOSSES {
        let table = layered(&recipe("sop", loss, "loop"));
        let count = value(&table, "batch.images_per_class");
        assert_eq!(*count, Value::Integer(2), "{loss}");
    }
}

#[test]
fn benchmark_recipes_choose_the_best_epoch_as_the_published_tables_do() {
    for dataset in DATASETS {
        for (loss, _) in LOSSES {
            for (negatives, _) in NEGATIVES {
                let table = layered(&recipe(dataset, loss, negatives));
                let protocol = value(&table, "evaluation.protocol").as_str();
                assert_eq!(protocol, Some("published"), "{dataset}/{loss}-{negatives}");
            }
        }
    }
    for name in ["fashion-mnist", "fashion-mnist-finetune"] {
        let config = loaded(&Path::new("configs").join(format!("{name}.toml")));
        assert_eq!(config.evaluation.protocol, Protocol::Published, "{name}");
    }
}

#[test]
fn other_recipes_hold_validation_classes_out() {
    for name in ["quickstart", "folder"] {
        let path = Path::new("configs").join(format!("{name}.toml"));
        let share = layered(&path);
        let share = value(&share, "data.validation_share").as_float();
        assert!(share.is_some(), "{name}");
        assert_eq!(loaded(&path).evaluation.protocol, Protocol::Validated);
    }
    let config = Config::quickstart(&[]).unwrap();
    let DatasetConfig::Synthetic(keys) = &config.data.source else {
        panic!("the quickstart needs no file");
    };
    let training = keys.classes / 2;
    let share = config.data.hold_out.validation_share.unwrap();
    let remaining = training - (share * training as f64).round() as usize;
    assert_eq!(
        remaining % config.batch.classes,
        0,
        "an epoch drops no image"
    );
}

#[test]
fn every_recipe_can_be_used_with_either_protocol() {
    for path in recipes() {
        for protocol in ["validated", "published"] {
            let set = format!("evaluation.protocol={protocol}");
            let config = Config::load(&path, &[set]).unwrap();
            assert_eq!(config.hold_out().is_some(), protocol == "validated");
        }
    }
}
