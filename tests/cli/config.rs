//! `loop-dml config`: the list of keys, and resolved configurations.

use std::fs;

use serde_json::Value;

use crate::support::{loop_dml, refusal};

fn printed(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let assert = loop_dml(directory.path())
        .arg("config")
        .args(arguments)
        .assert()
        .success();
    let output = assert.get_output();
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_section_and_key_is_listed() {
    let text = printed(&[]);
    for section in [
        "[model]",
        "[data]",
        "[batch]",
        "[loss]",
        "[negatives]",
        "[optimizer]",
        "[training]",
        "[evaluation]",
    ] {
        assert_eq!(
            text.matches(section).count(),
            1 + usize::from(text.contains(&format!("`{section}`"))),
            "{section}"
        );
    }
    for key in [
        "training.epochs: a whole number of 1 or more; default 20\n",
        "data.root: a path; required; with data.dataset = \"folder\"\n",
        "loss.margin: a number of 0 or more; default 0.1; with loss.name = \"triplet\"\n",
        "training.early_stopping: a whole number of 1 or more; absent by default\n",
    ] {
        assert!(text.contains(key), "{key} in:\n{text}");
    }
}

#[test]
fn section_or_key_or_last_part_is_listed_alone() {
    let text = printed(&["negatives"]);
    assert!(
        text.starts_with("[negatives]\n\nnegatives.name: "),
        "{text}"
    );
    assert!(text.contains("\n\nnegatives.points: "), "{text}");
    let text = printed(&["training.epochs"]);
    assert_eq!(text.matches(": ").count(), 1, "{text}");
    let text = printed(&["margin"]);
    assert_eq!(text.matches("\nloss.margin: ").count(), 3, "{text}");
}

#[test]
fn unknown_key_is_refused_with_the_nearest() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path(), &["config", "loss.margn"]);
    assert_eq!(
        message,
        "error: unknown key `loss.margn`; did you mean `loss.margin`?\n"
    );
    let message = refusal(directory.path(), &["config", "xyzzy"]);
    assert_eq!(
        message,
        "error: unknown key `xyzzy`; `loop-dml config` lists every key\n"
    );
}

#[test]
fn json_has_one_object_per_key() {
    let all: Value = serde_json::from_str(&printed(&["--json"])).unwrap();
    let keys = all["keys"].as_array().unwrap();
    assert!(keys.len() > 70);
    for key in keys {
        for fact in ["key", "type", "meaning"] {
            assert!(key[fact].is_string(), "{key}");
        }
    }
    let one: Value = serde_json::from_str(&printed(&["model.dropout", "--json"])).unwrap();
    let expected = serde_json::json!({ "keys": [{
        "key": "model.dropout",
        "type": "number",
        "length": null,
        "range": { "minimum": 0, "below": 1 },
        "values": null,
        "default": 0.0,
        "required": false,
        "meaning": "Share of the inputs of the dense layer that dropout sets to 0 in training, at least 0 and below 1. \
                    The inputs are the pooled features, or the units of the hidden layer.",
        "applies_to": [],
    }] });
    assert_eq!(one, expected);
    let names: Value = serde_json::from_str(&printed(&["loss.reduction", "--json"])).unwrap();
    let values = &names["keys"][0]["values"];
    assert_eq!(values[1]["name"], "mean");
}

#[test]
fn resolved_configuration_can_be_trained_and_resolves_to_itself() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("base.toml"),
        "[data]\nimage_size = 64\nresize = 80\n",
    )
    .unwrap();
    fs::write(
        directory.path().join("mine.toml"),
        "extends = \"base.toml\"\n[loss]\nname = \"n-pair\"\n",
    )
    .unwrap();
    let resolved = |arguments: &[&str]| {
        let assert = loop_dml(directory.path())
            .args(["config", "--config"])
            .args(arguments)
            .assert()
            .success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let text = resolved(&["mine.toml", "--set", "data.image_size=48"]);
    for line in [
        "image_size = 48\nresize = 54\n",
        "name = \"n-pair\"\n",
        "normalize = false\n",
    ] {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
    fs::write(directory.path().join("resolved.toml"), &text).unwrap();
    assert_eq!(resolved(&["resolved.toml"]), text);
    let json: Value = serde_json::from_str(&resolved(&["mine.toml", "--json"])).unwrap();
    assert_eq!(json["data"]["resize"], 80);
    assert_eq!(json["data"]["mean"][0], 0.485);
}

#[test]
fn wrong_configuration_is_refused_as_in_training() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path(), &["config", "--set", "training.epochs=0"]);
    assert_eq!(message, "error: `training.epochs = 0`: give 1 or more\n");
}

#[test]
fn schema_describes_every_key_for_editors() {
    let schema: Value = serde_json::from_str(&printed(&["--schema"])).unwrap();
    let sections = schema["properties"].as_object().unwrap();
    assert_eq!(sections.len(), 9, "eight sections and `extends`");
    let margin = &schema["properties"]["loss"]["properties"]["margin"]["anyOf"];
    assert_eq!(margin.as_array().unwrap().len(), 3);
    let seed = &schema["properties"]["training"]["properties"]["seed"]["anyOf"][0];
    assert_eq!(seed["type"], "integer");
    assert_eq!(seed["default"], 1);
}
