//! Mistakes of users: each is one clear error with exit status 2, and no file is written.

use std::fs;
use std::path::Path;

use crate::support::{draw_folder, evaluate, loop_dml, refusal, train_small};

fn folder(root: &str) -> Vec<String> {
    [
        "train",
        "--run",
        "run",
        "--set",
        "data.dataset=folder",
        "--set",
    ]
    .into_iter()
    .map(String::from)
    .chain([format!("data.root={root}")])
    .collect()
}

fn refused_folder(directory: &Path, root: &str) -> String {
    let arguments = folder(root);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let message = refusal(directory, &arguments);
    assert!(
        !directory.join("run").exists(),
        "a refused training creates no run folder"
    );
    message
}

#[test]
fn misspelt_key_names_the_nearest_one() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path(), &["train", "--set", "training.epoch=3"]);
    assert!(message.contains("`training.epoch`"), "{message}");
    assert!(
        message.contains("did you mean `training.epochs`?"),
        "{message}"
    );
    assert!(!directory.path().join("artifacts").exists());
}

#[test]
fn values_in_another_form_are_answered_with_what_to_write() {
    let directory = tempfile::tempdir().unwrap();
    for (set, reason) in [
        (
            "optimizer.learning_rate=.001",
            "`optimizer.learning_rate = \".001\"`: write 0.001",
        ),
        ("data.cache=True", "`data.cache = \"True\"`: write true"),
        ("training.epochs=3.0", "`training.epochs = 3.0`: write 3"),
        (
            "training.epochs=1e3",
            "`training.epochs = 1000.0`: write 1000",
        ),
        (
            "data.image_size=227px",
            "`data.image_size = \"227px\"`: write 227",
        ),
        (
            "evaluation.recall=1,2",
            "`evaluation.recall = \"1,2\"`: write [1, 2]",
        ),
        (
            "training.epochs=",
            "has no value; give a whole number of 1 or more",
        ),
        (
            "training.epochs=-1",
            "`training.epochs = -1`: give 1 or more",
        ),
        (
            "loss.name=tripelt",
            "did you mean `triplet`? Give `triplet`, `hphn-triplet`",
        ),
        ("data.root=~ada/photos", "only `~/` is expanded"),
        ("data.root=$HOME/photos", "variables are not expanded"),
        ("epochs=3", "--set epochs=3: write training.epochs=3"),
    ] {
        let dataset = match set.starts_with("data.root") {
            true => "data.dataset=folder",
            false => "data.dataset=synthetic",
        };
        let message = refusal(directory.path(), &["train", "--set", dataset, "--set", set]);
        assert!(message.contains(reason), "{message}");
    }
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
}

#[test]
fn wrong_values_in_a_file_are_named_with_file_line_and_key() {
    let directory = tempfile::tempdir().unwrap();
    for (text, expected) in [
        (
            "[data]\ncache = True\n",
            "mine.toml is not a valid configuration: line 2: `data.cache = True`: write true",
        ),
        (
            "[training]\n\nepochs = 3.0\n",
            "mine.toml, line 3: `training.epochs = 3.0`: write 3",
        ),
        (
            "[loss]\nmargin = -1\n",
            "mine.toml, line 2: `loss.margin = -1.0`: give a number of 0 or more",
        ),
    ] {
        fs::write(directory.path().join("mine.toml"), text).unwrap();
        let message = refusal(directory.path(), &["train", "--config", "mine.toml"]);
        assert_eq!(message, format!("error: {expected}\n"));
    }
}

#[cfg(unix)]
#[test]
fn tilde_is_the_home_folder() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("mine.toml"),
        "[data]\ndataset = \"folder\"\nroot = \"~/photos\"\n",
    )
    .unwrap();
    let output = loop_dml(directory.path())
        .env("HOME", "/home/ada")
        .args([
            "config",
            "--config",
            "mine.toml",
            "--set",
            "model.weights=~/w.pth",
        ])
        .assert()
        .success();
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(text.contains("root = \"/home/ada/photos\""), "{text}");
    assert!(text.contains("weights = \"/home/ada/w.pth\""), "{text}");
}

#[test]
fn odd_images_per_class_names_key_and_value() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(
        directory.path(),
        &["train", "--set", "batch.images_per_class=3"],
    );
    assert!(
        message.contains("`batch.images_per_class = 3`"),
        "{message}"
    );
}

#[test]
fn more_classes_per_batch_than_classes_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path(), &["train", "--set", "batch.classes=1000"]);
    assert!(message.contains("`batch.classes = 1000`"), "{message}");
    assert!(
        message.contains("32 of the 40 training classes") && message.contains("give 32 or less"),
        "{message}"
    );
    let published = ["--set", "evaluation.protocol=published"];
    let arguments = [&["train", "--set", "batch.classes=1000"], &published[..]].concat();
    let message = refusal(directory.path(), &arguments);
    assert!(
        message.contains("the training split has 40 classes"),
        "{message}"
    );
}

#[test]
fn keys_that_choose_the_validation_classes_are_checked_together() {
    let directory = tempfile::tempdir().unwrap();
    for (sets, expected) in [
        (
            &["data.folds=4"][..],
            "`data.folds = 4`: requires data.fold, the fold that validates; set it from 1 to 4",
        ),
        (
            &["data.fold=4"],
            "`data.fold = 4`: requires data.folds, the number of folds",
        ),
        (
            &["data.folds=4", "data.fold=1", "data.validation_share=0.2"],
            "`data.validation_share = 0.2`: contradicts data.folds",
        ),
        (&["data.validation_share=1"], "above 0 and below 1"),
        (&["evaluation.protocol=test"], "`published`"),
    ] {
        let mut arguments = vec!["train"];
        for set in sets {
            arguments.extend(["--set", set]);
        }
        let message = refusal(directory.path(), &arguments);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn too_few_classes_to_hold_out_are_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 6, 4);
    let message = refused_folder(directory.path(), "photos");
    assert!(
        message.contains("leaves 1 of the 3 training classes for training and 2 for validation"),
        "{message}"
    );
    assert!(
        message.contains("evaluation.protocol = \"published\""),
        "{message}"
    );
}

#[test]
fn missing_configuration_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path(), &["train", "--config", "nowhere.toml"]);
    assert!(message.contains("nowhere.toml"), "{message}");
}

#[test]
fn missing_base_of_a_configuration_is_named_with_the_file_that_extends_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("mine.toml"),
        "extends = \"no.toml\"\n",
    )
    .unwrap();
    let message = refusal(directory.path(), &["train", "--config", "mine.toml"]);
    assert!(
        message.contains("`extends = \"no.toml\"` in mine.toml: cannot read no.toml"),
        "{message}"
    );
}

#[test]
fn configuration_that_is_not_toml_is_named_with_the_line() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("bad.toml"), "[training]\nepochs =\n").unwrap();
    let output = loop_dml(directory.path())
        .args(["train", "--config", "bad.toml"])
        .assert()
        .code(2)
        .get_output()
        .clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("bad.toml") && message.contains("line 2"),
        "{message}"
    );
}

#[test]
fn existing_run_folder_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("run")).unwrap();
    fs::write(directory.path().join("run/thesis.txt"), "precious").unwrap();
    let message = refusal(directory.path(), &["train", "--run", "run"]);
    assert!(
        message.contains("run") && message.contains("already exists"),
        "{message}"
    );
    let kept = fs::read_to_string(directory.path().join("run/thesis.txt")).unwrap();
    assert_eq!(kept, "precious");
}

#[test]
fn missing_root_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let message = refused_folder(directory.path(), "nowhere");
    assert!(message.contains("nowhere"), "{message}");
}

#[test]
fn empty_class_folder_is_named() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 4, 4);
    fs::create_dir(directory.path().join("photos/class-99")).unwrap();
    let message = refused_folder(directory.path(), "photos");
    assert!(message.contains("class-99"), "{message}");
}

#[test]
fn truncated_images_are_named() {
    for name in ["class-01/0.png", "class-01/1.jpg"] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("photos");
        draw_folder(&root, 4, 4);
        let bytes = fs::read(root.join(name)).unwrap();
        fs::write(root.join(name), &bytes[..bytes.len() / 2]).unwrap();
        let message = refused_folder(directory.path(), "photos");
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn evaluating_a_folder_without_a_run_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path(), &["evaluate", "nowhere"]);
    assert!(message.contains("nowhere is not a run folder"), "{message}");
}

#[test]
fn missing_checkpoint_lists_the_available_ones() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=1"]);
    let message = refusal(directory.path(), &["evaluate", "run", "--checkpoint", "7"]);
    assert!(
        message.contains("no checkpoint of epoch 7; available: epochs 1"),
        "{message}"
    );
}

#[test]
fn damaged_checkpoint_is_named() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=1"]);
    evaluate(directory.path(), "run", &[]);
    let model = directory.path().join("run/checkpoint/epoch-1.safetensors");
    let bytes = fs::read(&model).unwrap();
    fs::write(&model, &bytes[..bytes.len() / 2]).unwrap();
    let message = refusal(directory.path(), &["evaluate", "run"]);
    assert!(
        message.contains(
            "epoch-1.safetensors is damaged: it is truncated, or its header is damaged; choose another"
        ),
        "{message}"
    );
    let resume = ["train", "--resume", "--run", "run"];
    let message = refusal(
        directory.path(),
        &[&resume[..], &["--set", "training.epochs=2"]].concat(),
    );
    assert!(
        message.contains("no other checkpoint can be read; restore one, or start a new run"),
        "{message}"
    );
}

#[test]
fn resuming_with_another_configuration_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=1"]);
    let resume = ["train", "--resume", "--run", "run", "--set"];
    let message = refusal(
        directory.path(),
        &[&resume[..], &["loss.margin=0.5"]].concat(),
    );
    assert!(message.contains("cannot change loss.margin"), "{message}");
    let message = refusal(
        directory.path(),
        &[
            "train",
            "--resume",
            "--run",
            "run",
            "--set",
            "training.seed=2",
        ],
    );
    assert!(message.contains("cannot change training.seed"), "{message}");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn backend_that_is_not_compiled_in_names_its_feature() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path(), &["train", "--backend", "cuda"]);
    assert!(message.contains("--features cuda"), "{message}");
}

#[test]
fn run_is_not_evaluated_or_resumed_on_other_images() {
    let directory = tempfile::tempdir().unwrap();
    draw_folder(&directory.path().join("photos"), 6, 4);
    let train = [
        "train",
        "--run",
        "run",
        "--set",
        "data.dataset=folder",
        "--set",
        "data.root=photos",
        "--set",
        "training.epochs=1",
        "--set",
        "batch.classes=2",
        "--set",
        "evaluation.protocol=published",
    ];
    loop_dml(directory.path()).args(train).assert().success();
    // Two more classes move the border between training and test.
    draw_folder(&directory.path().join("photos"), 8, 4);
    let message = refusal(directory.path(), &["evaluate", "run"]);
    assert!(message.contains("was 12 images of 3 classes"), "{message}");
    let resume = [
        "train",
        "--resume",
        "--run",
        "run",
        "--set",
        "training.epochs=2",
    ];
    let message = refusal(directory.path(), &resume);
    assert!(message.contains("the training split of"), "{message}");
}

#[test]
fn damaged_checkpoint_is_skipped_for_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    train_small(directory.path(), "run", &["--set", "training.epochs=3"]);
    let damage = |name: &str| {
        fs::write(directory.path().join("run/checkpoint").join(name), "cut").unwrap();
    };
    damage("epoch-3.safetensors");
    let resume = [
        "train",
        "--resume",
        "--run",
        "run",
        "--set",
        "training.epochs=4",
    ];
    let resumed = loop_dml(directory.path()).args(resume).assert().success();
    let printed = String::from_utf8_lossy(&resumed.get_output().stderr);
    assert!(
        printed.contains("epoch-3.safetensors is damaged")
            && printed.contains("resumes from epoch 2"),
        "{printed}"
    );
    assert!(printed.contains("resumed after epoch 2"), "{printed}");
}

#[test]
fn bench_loss_with_a_partial_class_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let message = refusal(directory.path(), &["bench", "loss", "--batch", "7"]);
    assert!(
        message.contains("`--batch 7`: give a multiple of 2"),
        "{message}"
    );
}

#[test]
fn lists_with_another_layout_are_read_or_explained() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    draw_folder(&here.join("photos"), 1, 2);
    let utf_16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let text = |text: &str| text.as_bytes().to_vec();
    for (list, expected) in [
        (
            text("path,label,splits\na.jpg,x,train\n"),
            "shop.csv has a column \"splits\", which is not read; rename it to split if that is what it contains",
        ),
        (
            text("path,lable\na.jpg,x\n"),
            "shop.csv has a column \"lable\", which is not read; rename it to label",
        ),
        (
            text("path,label,is_querry,is_gallery\na.jpg,x,1,1\n"),
            "has a column \"is_querry\", which is not read; rename it to is_query",
        ),
        (
            text("path,label,is_query\na.jpg,x,1\n"),
            "has a column is_query and no column is_gallery",
        ),
        (
            text("image;label\na.jpg;x\n"),
            "has no column path among image, label; rename image to path",
        ),
        (
            text("path,label,label\na.jpg,x,x\n"),
            "has two columns label",
        ),
        (
            text("path,label,usage\na.jpg,x,train\nb.jpg,y,test\n"),
            "has no column split, but the values of \"usage\" are train, validation or test",
        ),
        (
            utf_16("\u{feff}path\tlabel\r\n"),
            "shop.csv is UTF-16 text, which Excel calls Unicode text; save it as UTF-8",
        ),
        (
            text(
                "path|label|split\nphotos/class-00/0.png|x|train\nphotos\\class-00\\1.jpg|x|dev\n",
            ),
            "shop.csv, line 3: the split is \"dev\" but must be train, validation or test",
        ),
        (
            text(
                "path\tlabel\tsplit\nphotos/class-00/0.png\tx\ttrain\nphotos/class-00/1.jpg\tx\tval\n\
                  b.jpg\ty\ttest\n",
            ),
            "shop.csv, line 3: class x is in the validation split here and in the training split on line 2",
        ),
        (
            text("path,label,split,x_1,y_1,x_2\na.jpg,x,train,1,1,1\n"),
            "has a column x_1, y_1, x_2 and no column y_2",
        ),
    ] {
        fs::write(here.join("shop.csv"), list).unwrap();
        let sets = [
            "--set",
            "data.dataset=manifest",
            "--set",
            "data.root=shop.csv",
        ];
        let message = refusal(here, &[&["train", "--run", "run"], &sets[..]].concat());
        assert!(message.contains(expected), "{message}");
        assert!(!here.join("run").exists());
    }
}

#[cfg(unix)]
#[test]
fn class_folders_that_are_not_utf8_are_refused_and_not_merged() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let photos = directory.path().join("photos");
    draw_folder(&photos, 4, 4);
    for (class, name) in [("class-00", &b"caf\xe9"[..]), ("class-01", b"caf\xe8")] {
        fs::rename(photos.join(class), photos.join(OsStr::from_bytes(name))).unwrap();
    }
    let message = refused_folder(directory.path(), "photos");
    assert!(
        message.contains(r"photos/caf\xe8 is not UTF-8"),
        "{message}"
    );
    assert!(
        message.contains("rename it, for example with convmv"),
        "{message}"
    );
}
