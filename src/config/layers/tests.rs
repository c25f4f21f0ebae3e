//! Which keys a file takes from its bases, and which are refused.

use std::fs;

use super::*;
use crate::config::Config;
use crate::data::config::DatasetConfig;
use crate::negatives::NegativesConfig;

/// Writes files by name into a temporary folder.
fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The first of `files`, loaded.
fn loaded(files: &[(&str, &str)], overrides: &[&str]) -> Result<Config, String> {
    let folder = written(files);
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Config::load(&folder.path().join(files[0].0), &overrides)
        // The folder's name differs each time.
        .map_err(|error| {
            error
                .to_string()
                .replace(&format!("{}/", folder.path().display()), "")
        })
}

#[test]
fn later_bases_override_earlier_ones_and_the_file_overrides_all() {
    let config = loaded(
        &[
            (
                "run.toml",
                "extends = [\"a.toml\", \"b.toml\"]\n[training]\nseed = 3\n",
            ),
            (
                "a.toml",
                "[training]\nepochs = 11\nvalidate_every = 11\nseed = 1\n",
            ),
            ("b.toml", "[training]\nvalidate_every = 2\nseed = 2\n"),
        ],
        &[],
    )
    .unwrap();
    let t = config.training;
    assert_eq!((t.epochs, t.validate_every, t.seed), (11, 2, 3));
}

#[test]
fn overrides_come_after_all_bases() {
    let files = [
        ("run.toml", "extends = \"base.toml\"\n"),
        ("base.toml", "[training]\nepochs = 11\n"),
    ];
    let config = loaded(&files, &["training.epochs=12"]).unwrap();
    assert_eq!(config.training.epochs, 12);
}

#[test]
fn paths_are_relative_to_the_file_that_extends() {
    let config = loaded(
        &[
            ("cars/run.toml", "extends = \"../base/cars.toml\"\n"),
            (
                "base/cars.toml",
                "extends = [\"net.toml\"]\n[training]\nepochs = 7\n",
            ),
            (
                "base/net.toml",
                "[training]\nepochs = 5\n[batch]\nclasses = 9\n",
            ),
            ("net.toml", "[batch]\nclasses = 10\n"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!((config.training.epochs, config.batch.classes), (7, 9));
}

#[test]
fn file_that_two_bases_share_is_no_cycle() {
    let config = loaded(
        &[
            ("run.toml", "extends = [\"a.toml\", \"b.toml\"]\n"),
            ("a.toml", "extends = \"net.toml\"\n"),
            ("b.toml", "extends = \"net.toml\"\n"),
            ("net.toml", "[batch]\nclasses = 9\n"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(config.batch.classes, 9);
}

#[test]
fn cycle_is_refused_where_it_closes() {
    let message = loaded(
        &[
            ("a.toml", "extends = \"sub/b.toml\"\n"),
            ("sub/b.toml", "extends = \"../a.toml\"\n"),
        ],
        &[],
    )
    .unwrap_err();
    assert!(
        message.starts_with("`extends = \"../a.toml\"` in sub/b.toml: "),
        "{message}"
    );
    assert!(message.contains("extend itself"), "{message}");
    let message = loaded(&[("a.toml", "extends = \"a.toml\"\n")], &[]).unwrap_err();
    assert!(message.contains("extend itself"), "{message}");
}

#[test]
fn missing_base_is_named_with_the_file_that_extends_it() {
    let files = [
        ("run.toml", "extends = \"base/a.toml\"\n"),
        ("base/a.toml", "extends = \"b.toml\"\n"),
    ];
    let message = loaded(&files, &[]).unwrap_err();
    assert!(
        message.starts_with("`extends = \"b.toml\"` in base/a.toml: cannot read base/b.toml: "),
        "{message}"
    );
}

#[test]
fn base_that_is_not_toml_is_named_with_the_line() {
    let files = [
        ("run.toml", "extends = \"base.toml\"\n"),
        ("base.toml", "[training]\nepochs =\n"),
    ];
    let message = loaded(&files, &[]).unwrap_err();
    assert!(
        message.starts_with("base.toml is not") && message.contains("line 2"),
        "{message}"
    );
}

#[test]
fn extends_without_a_path_is_refused_with_an_example() {
    for value in ["3", "[\"run.toml\", 3]", "{ base = \"a.toml\" }"] {
        let text = format!("extends = {value}\n");
        let message = loaded(&[("run.toml", &text)], &[]).unwrap_err();
        assert!(message.contains("in run.toml: give a path"), "{message}");
    }
}

#[test]
fn text_without_a_folder_cannot_extend() {
    let message = Config::parse("extends = \"base.toml\"\n", "the quickstart", &[])
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("`extends = \"base.toml\"` in the quickstart: only a file"),
        "{message}"
    );
}

#[test]
fn resolved_configuration_does_not_extend() {
    let files = [
        ("run.toml", "extends = \"base.toml\"\n"),
        ("base.toml", "[training]\nepochs = 11\n"),
    ];
    let config = loaded(&files, &[]).unwrap();
    assert!(!config.to_toml().contains(EXTENDS));
    assert_eq!(
        Config::parse(&config.to_toml(), "config.toml", &[]).unwrap(),
        config
    );
}

#[test]
fn another_dataset_drops_the_keys_of_the_first_and_keeps_the_transform() {
    let config = loaded(
        &[
            (
                "run.toml",
                "extends = \"base.toml\"\n[data]\ndataset = \"synthetic\"\n",
            ),
            (
                "base.toml",
                "[data]\ndataset = \"folder\"\nroot = \"photos\"\nresize = 40\nprefetch = 7\n",
            ),
        ],
        &[],
    )
    .unwrap();
    assert!(matches!(config.data.source, DatasetConfig::Synthetic(_)));
    assert_eq!(config.data.transform.resize, 40);
    assert_eq!(config.data.loading.prefetch, 7);
}

#[test]
fn same_choice_again_keeps_the_keys_of_the_base() {
    let config = loaded(
        &[
            (
                "run.toml",
                "extends = \"base.toml\"\n[data]\ndataset = \"synthetic\"\n[loss]\nname = \
                 \"hphn-triplet\"\n",
            ),
            // Both choices by default, as in the file that extends.
            ("base.toml", "[data]\nclasses = 8\n[loss]\nmargin = 0.25\n"),
        ],
        &[],
    )
    .unwrap();
    assert!(config.to_toml().contains("margin = 0.25"));
    assert!(config.to_toml().contains("classes = 8"));
}

#[test]
fn another_loss_drops_the_section_but_the_reduction() {
    let layer = |text: &str| ConfigLayers::from_table(toml::from_str(text).unwrap());
    let mut layers = layer("[loss]\nname = \"first\"\nmargin = 0.5\nreduction = \"mean\"\n");
    layers.merge(layer(
        "[loss]\nname = \"second\"\n[negatives]\nname = \"none\"\n",
    ));
    let expected: Table = toml::from_str(
        "[loss]\nname = \"second\"\nreduction = \"mean\"\n[negatives]\nname = \"none\"\n",
    )
    .unwrap();
    assert_eq!(layers.table, expected);
}

#[test]
fn choice_of_a_base_can_be_changed_by_a_later_one() {
    let config = loaded(
        &[
            ("run.toml", "extends = [\"a.toml\", \"b.toml\"]\n"),
            ("a.toml", "[negatives]\nname = \"loop\"\n"),
            ("b.toml", "[negatives]\nname = \"none\"\n"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(config.negatives, NegativesConfig::None {});
}

#[test]
fn mistake_is_reported_with_the_file_that_sets_the_key() {
    for (base, mistake) in [
        (
            "[training]\nepoch = 3\n",
            "base.toml, line 2: unknown key `training.epoch`; did you mean `training.epochs`?",
        ),
        (
            "[optimiser]\nlearning_rate = 1.0\n",
            "base.toml, line 1: unknown key `optimiser`; did you mean `optimizer`?",
        ),
        (
            "[data]\ndataset = \"folder\"\nrot = 3\n",
            "base.toml, line 3: unknown key `data.rot`; did you mean `data.root`?",
        ),
        (
            "[training]\nepochs = 0\n",
            "base.toml, line 2: `training.epochs = 0`: give 1 or more",
        ),
    ] {
        let run = "extends = \"base.toml\"\n[data]\ndataset = \"synthetic\"\n";
        let message = loaded(&[("run.toml", run), ("base.toml", base)], &[]).unwrap_err();
        assert_eq!(message, mistake);
    }
}

#[test]
fn mistake_in_an_override_is_not_blamed_on_a_file() {
    let files = [("run.toml", "[training]\nepochs = 3\n")];
    let message = loaded(&files, &["training.epochs=0"]).unwrap_err();
    assert_eq!(message, "`training.epochs = 0`: give 1 or more");
}

#[test]
fn folds_replace_a_share_of_a_base_and_a_share_replaces_folds() {
    let share = ("base.toml", "[data]\nvalidation_share = 0.3\n");
    let folds = ("base.toml", "[data]\nfolds = 4\nfold = 1\n");
    let run = |text| ("run.toml", text);
    let keys = |files: &[(&str, &str)], overrides: &[&str]| {
        let keys = loaded(files, overrides)?.data.hold_out;
        Ok((keys.validation_share, keys.folds, keys.fold))
    };
    let extends = run("extends = \"base.toml\"\n");
    let folds_over = run("extends = \"base.toml\"\n[data]\nfolds = 5\nfold = 2\n");
    assert_eq!(
        keys(&[folds_over, share], &[]),
        Ok((None, Some(5), Some(2)))
    );
    let set = ["data.folds=5", "data.fold=2"];
    assert_eq!(keys(&[extends, share], &set), Ok((None, Some(5), Some(2))));
    assert_eq!(
        keys(&[extends, folds], &["data.fold=3"]),
        Ok((None, Some(4), Some(3)))
    );
    assert_eq!(
        keys(&[extends, folds], &["data.validation_share=0.1"]),
        Ok((Some(0.1), None, None))
    );
    let message: String = keys(
        &[extends, share],
        &["data.folds=5", "data.fold=2", "data.validation_share=0.1"],
    )
    .unwrap_err();
    assert!(message.contains("contradicts data.folds"), "{message}");
    let message = keys(&[extends, share], &["data.folds=5"]).unwrap_err();
    assert!(message.contains("requires data.fold"), "{message}");
}

#[test]
fn another_dataset_keeps_every_key_that_all_datasets_have() {
    let text = "[data]\ndataset = \"folder\"\nroot = \"x\"\ncache_dir = \"y\"\nsplit_seed = 3\n\
                crop_scale = [0.2, 1.0]\nvalidation_share = 0.3\n";
    let config = loaded(&[("run.toml", text)], &["data.dataset=synthetic"]).unwrap();
    assert_eq!(config.data.loading.cache_dir, Some("y".into()));
    assert_eq!(config.data.transform.crop_scale, Some([0.2, 1.0]));
    assert_eq!(config.data.hold_out.split_seed, Some(3));
    assert_eq!(config.data.hold_out.validation_share, Some(0.3));
}

#[test]
fn bases_shared_by_many_files_are_read_once() {
    // Each file extends the next two, which would be read a million times.
    let name = |level: usize| format!("{level}.toml");
    let files: Vec<(String, String)> = (0..30)
        .map(|level| {
            let bases = format!("extends = [{:?}, {:?}]\n", name(level + 1), name(level + 2));
            let keys = format!("[training]\nseed = {level}\n");
            (name(level), bases + &keys)
        })
        .chain([30, 31].map(|level| (name(level), "[training]\nepochs = 9\n".into())))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (&**n, &**t)).collect();
    let config = loaded(&files, &[]).unwrap();
    assert_eq!((config.training.seed, config.training.epochs), (0, 9));
}

#[test]
fn number_of_extended_files_is_limited() {
    let run = |count: usize| format!("extends = [{}]\n", "\"base.toml\", ".repeat(count));
    let base = ("base.toml", "[training]\nepochs = 9\n");
    let config = loaded(&[("run.toml", &run(64)), base], &[]).unwrap();
    assert_eq!(config.training.epochs, 9);
    let message = loaded(&[("run.toml", &run(65)), base], &[]).unwrap_err();
    assert!(
        message.contains("more than 64 files are extended"),
        "{message}"
    );
}

#[test]
fn size_of_all_files_together_is_limited() {
    let comment = format!("#{}\n", " ".repeat(1 << 19));
    let run = format!("extends = \"base.toml\"\n{comment}");
    loaded(&[("run.toml", &run), ("base.toml", "")], &[]).unwrap();
    let message = loaded(&[("run.toml", &run), ("base.toml", &comment)], &[]).unwrap_err();
    assert!(
        message.ends_with(
            "base.toml is too large: a configuration and the files that it extends have at most 1 MiB \
             together"
        ),
        "{message}"
    );
    let message = loaded(&[("run.toml", &comment.repeat(3))], &[]).unwrap_err();
    assert!(message.contains("at most 1 MiB"), "{message}");
}

#[test]
fn messages_do_not_quote_long_lines_keys_and_values() {
    let long = "x".repeat(900_000);
    for (text, expected) in [
        (
            format!("[training]\nepochs = {long}\n"),
            "at line 2, column 10",
        ),
        (
            format!("[training]\n{long} = 1\n"),
            "a key has at most 256 bytes",
        ),
        (format!("{long} = 1\n"), "a key has at most 256 bytes"),
        (format!("[{long}]\n"), "a key has at most 256 bytes"),
        (
            format!("[data]\nroot = \"{long}\"\n"),
            "the value of `root` has 900000 bytes, but a value has at most 8192",
        ),
        (
            format!("[data]\nmean = [{}]\n", "1, ".repeat(100_000)),
            "the value of `mean` has",
        ),
    ] {
        let message = loaded(&[("run.toml", &text)], &[]).unwrap_err();
        assert!(message.contains(expected), "{message}");
        assert!(message.len() < 600, "{message}");
    }
}

#[test]
fn resize_is_kept_with_its_image_size_and_follows_another_one() {
    let sizes = |files: &[(&str, &str)], overrides: &[&str]| {
        let transform = loaded(files, overrides).unwrap().data.transform;
        (transform.image_size, transform.resize)
    };
    let base = ("base.toml", "[data]\nimage_size = 224\nresize = 256\n");
    let run = |keys: &'static str| [("run.toml", keys), base];
    let extends = "extends = \"base.toml\"\n";
    assert_eq!(sizes(&run(extends), &[]), (224, 256));
    assert_eq!(sizes(&run(extends), &["data.image_size=48"]), (48, 54));
    // The size of the base again.
    assert_eq!(sizes(&run(extends), &["data.image_size=224"]), (224, 256));
    let both = ["data.resize=60", "data.image_size=48"];
    assert_eq!(sizes(&run(extends), &both), (48, 60));
    let larger = "extends = \"base.toml\"\n[data]\nimage_size = 454\n";
    assert_eq!(sizes(&run(larger), &[]), (454, 510));
    assert_eq!(sizes(&run(larger), &["data.resize=500"]), (454, 500));
    let only_resize = "[data]\nresize = 40\n";
    assert_eq!(sizes(&run(only_resize), &[]), (32, 40));
}
