use super::*;
use crate::sweep::Sweep;
use crate::sweep::axis::AxisValue;

fn parsed(text: &str) -> Result<SweepFile, SweepError> {
    SweepFile::parse(Path::new("sweeps/heads.toml"), text)
}

fn message(text: &str) -> String {
    let message = parsed(text).unwrap_err().to_string();
    let start = "sweeps/heads.toml: ";
    assert!(message.starts_with(start), "{message}");
    message[start.len()..].to_string()
}

#[test]
fn axes_have_the_order_of_the_file_and_keys_may_be_written_in_any_way() {
    let file = parsed(
        r#"
output = "out"
[set]
"training.epochs" = 3
model.embedding_dim = 8
[axes]
training.seed = [1, 2]
"loss.name" = ["n-pair", "triplet"]
[[axes.way]]
label = "none"
"negatives.name" = "none"
[[axes.way]]
label = "LoOp, all"
negatives.name = "loop"
negatives.pairs = "all"
[[exclude]]
"loss.name" = ["n-pair"]
way = "LoOp, all"
[compare]
baseline = { way = "none" }
measure = "map_at_r"
split = "validation"
"#,
    )
    .unwrap();
    assert_eq!(file.base, None);
    assert_eq!(file.output, Path::new("out"));
    let names: Vec<&str> = file.axes.iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(names, ["training.seed", "loss.name", "way"]);
    let set: Vec<&str> = file.set.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(set, ["training.epochs", "model.embedding_dim"]);
    let all = &file.axes[2].values[1];
    assert_eq!(all.label(), "LoOp, all");
    let settings: Vec<&str> = all.settings.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(settings, ["negatives.name", "negatives.pairs"]);
    let excluded = file.exclude[0].0.clone();
    assert_eq!(excluded, [(1, vec![0]), (2, vec![1])]);
    assert_eq!(file.compare.baseline, Some(Selection(vec![(2, vec![0])])));
    assert_eq!(file.compare.measure, RetrievalMeasure::MapAtR);
    assert_eq!(file.compare.split, MeasuredSplit::Validation);
    assert_eq!(file.compare.average_over, [0]);
}

#[test]
fn output_is_named_like_the_file_and_lists_may_be_values() {
    let file = parsed("[axes]\n\"optimizer.decay_epochs\" = [[10], [10, 20]]\n").unwrap();
    assert_eq!(file.output, Path::new("artifacts/sweeps/heads"));
    let labels: Vec<String> = file.axes[0].values.iter().map(AxisValue::label).collect();
    assert_eq!(labels, ["[10]", "[10, 20]"]);
    assert!(file.compare.average_over.is_empty());
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    for (text, expected) in [
        (
            "bases = \"a.toml\"",
            "unknown key `bases`; did you mean `base`?",
        ),
        (
            "[axis]\n\"training.seed\" = [1]",
            "unknown key `axis`; did you mean `axes`?",
        ),
        (
            "[axes]\n\"loss.names\" = [\"triplet\"]",
            "unknown key `loss.names`; did you mean `loss.name`?",
        ),
        (
            "[axes]\nseed = [1, 2]",
            "unknown key `seed`; did you mean `training.seed`?",
        ),
        (
            "[set]\n\"training.epoch\" = 3\n[axes]\n\"training.seed\" = [1]",
            "unknown key `training.epoch`; did you mean `training.epochs`?",
        ),
        (
            "[axes]\n\"training.seed\" = [1]\n[compare]\nbase_line = 1",
            "unknown key `compare.base_line`; did you mean `compare.baseline`?",
        ),
        (
            "[axes]\n\"training.seed\" = [1]\n[model]\nbackbone = \"conv4\"",
            "unknown key `model`; keys of the configuration belong to [set] or [axes], such as [set.model]; the keys \
             of a sweep file are base, output, set, axes, exclude, compare",
        ),
    ] {
        assert_eq!(message(text), expected);
    }
}

#[test]
fn axes_have_different_values() {
    for (axes, expected) in [
        (
            "",
            "`axes`: is missing; give at least one axis, such as \"training.seed\" = [1, 2, 3] below [axes]",
        ),
        (
            "\"training.seed\" = []",
            "`axes.training.seed`: is an empty list; give values, or remove it",
        ),
        (
            "\"training.seed\" = 3",
            "`axes.training.seed`: give a list of values, such as [3]",
        ),
        (
            "\"loss.margin\" = [0.1, 1, 1.0]",
            "`axes.loss.margin`: 1.0 is given twice; remove one",
        ),
        (
            "way = [{ label = \"a\" }, 3]",
            "`axes.way`: give values only, or tables of keys only",
        ),
        (
            "way = [{ \"negatives.name\" = \"loop\" }]",
            "`axes.way`: give each value a `label`, its name in results",
        ),
        (
            "way = [{ label = \"a\", \"negatives.name\" = \"loop\" }, { label = \"a\" }]",
            "`axes.way`: \"a\" is given twice; remove one",
        ),
        (
            "\"loss.name\" = [{ label = \"a\" }]",
            "`axes.loss.name`: is a configuration key; an axis whose values set several keys has a name without a point",
        ),
        (
            "\"negatives.name\" = [\"none\"]\nway = [{ label = \"a\", \"negatives.name\" = \"loop\" }]",
            "`axes.way`: `negatives.name` is also set by the axis `negatives.name`; remove one",
        ),
    ] {
        assert_eq!(message(&format!("[axes]\n{axes}\n")), expected);
    }
    assert_eq!(
        message("[set]\n\"training.seed\" = 1\n[axes]\n\"training.seed\" = [1]"),
        "`axes.training.seed`: `training.seed` is also set by [set]; remove one"
    );
}

#[test]
fn baselines_exclusions_and_averages_name_axes_and_their_values() {
    let axes = "[axes]\n\"negatives.name\" = [\"none\", \"loop\"]\n\"training.seed\" = [1, 2]\n";
    for (rest, expected) in [
        (
            "[compare]\nbaseline = { \"negatives.names\" = \"none\" }",
            "`compare.baseline.negatives.names`: `negatives.names` is not an axis; did you mean `negatives.name`?",
        ),
        (
            "[compare]\nbaseline = { \"loss.margin\" = 1 }",
            "`compare.baseline.loss.margin`: `loss.margin` is not an axis; the axes are negatives.name, training.seed",
        ),
        (
            "[compare]\nbaseline = { \"negatives.name\" = \"embedding-expansion\" }",
            "`compare.baseline.negatives.name`: \"embedding-expansion\" is not a value of the axis; its values are \
             \"none\", \"loop\"",
        ),
        (
            "[compare]\nbaseline = { \"training.seed\" = 1 }",
            "`compare.baseline`: results are averaged over `training.seed`, which cannot be in a baseline",
        ),
        (
            "[compare]\nbaseline = {}",
            "`compare.baseline`: is empty; give axes and values, or remove it",
        ),
        (
            "[compare]\nmeasure = \"recall\"",
            "`compare.measure`: give \"recall@K\", such as \"recall@1\", or \"map_at_r\"",
        ),
        (
            "[compare]\nsplit = \"train\"",
            "`compare.split`: give \"test\" or \"validation\"",
        ),
        (
            "[compare]\naverage_over = [\"data.fold\"]",
            "`compare.average_over`: `data.fold` is not an axis; the axes are negatives.name, training.seed",
        ),
        (
            "[exclude]\n\"training.seed\" = 1",
            "`exclude`: write [[exclude]] and keys below it for each combination",
        ),
        (
            "[[exclude]]\n\"training.seed\" = [1, 3]",
            "`exclude.training.seed`: 3 is not a value of the axis; its values are 1, 2",
        ),
    ] {
        assert_eq!(message(&format!("{axes}{rest}\n")), expected);
    }
}

#[test]
fn missing_files_and_invalid_toml_are_errors() {
    assert_eq!(
        message("base = \"none.toml\"\n[axes]\n\"training.seed\" = [1]"),
        "`base`: sweeps/none.toml does not exist; give the path of a configuration, relative to the sweep file"
    );
    let error = SweepFile::read(Path::new("nowhere.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read the sweep file nowhere.toml: ")
    );
    let error = parsed("[axes").unwrap_err().to_string();
    assert!(
        error
            .starts_with("sweeps/heads.toml is not a valid sweep file: TOML parse error at line 1"),
        "{error}"
    );
}

#[test]
fn example_of_the_documentation_is_a_sweep_file() {
    let text = include_str!("../../../docs/sweep.md");
    let (_, example) = text.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let file = SweepFile::parse(Path::new("configs/sweeps/ways.toml"), example).unwrap();
    assert_eq!(file.base.as_deref(), Some(Path::new("configs/folder.toml")));
    let sweep = Sweep::new(file, None).unwrap();
    assert_eq!(sweep.runs().len(), 15);
}
