//! Mistakes on the command line: usages that exclude each other, values, and the options that messages name.

use crate::support::{draw_folder, loop_dml, refusal, train_small, usage_error};

/// The arguments that a message says are missing.
fn missing(message: &str) -> Vec<&str> {
    let lines = message
        .lines()
        .skip_while(|line| !line.contains("were not provided"));
    let lines = lines.skip(1).map_while(|line| line.strip_prefix("  "));
    lines.map(str::trim).collect()
}

/// A short training on the folder `photos`.
const SMALL_TRAINING: [&str; 19] = [
    "train",
    "--run",
    "run",
    "--set",
    "data.dataset=folder",
    "--root",
    "photos",
    "--set",
    "training.epochs=1",
    "--set",
    "batch.classes=2",
    "--set",
    "evaluation.protocol=published",
    "--set",
    "data.image_size=16",
    "--set",
    "data.resize=18",
    "--set",
    "model.embedding_dim=8",
];

#[test]
fn usages_that_exclude_each_other_are_not_demanded_together() {
    let directory = tempfile::tempdir().unwrap();
    let images = ["--images <DIR|LIST|IMAGE>", "--output <FILE>"];
    let of_backbone = [
        &images[..],
        &["--weights <FILE|imagenet>", "--backbone <NAME>"],
    ]
    .concat();
    let of_source = [&images[..], &["<RUN|FILE>"]].concat();
    for (arguments, wanted) in [
        ("evaluate", &["<RUN>"][..]),
        ("evaluate --gallery x", &["--embeddings <FILE>"]),
        ("evaluate --labels x", &["--embeddings <FILE>"]),
        (
            "evaluate --gallery-labels x",
            &["--embeddings <FILE>", "--gallery <FILE>"],
        ),
        ("evaluate --recall 1", &["<RUN>"]),
        ("evaluate --checkpoint last", &["<RUN>"]),
        ("evaluate --root x", &["<RUN>"]),
        ("evaluate --batch-size 3", &["<RUN>"]),
        ("evaluate --mirror", &["<RUN>"]),
        ("embed", &of_source),
        ("embed --checkpoint last", &of_source),
        ("embed --split x", &of_source),
        ("embed --backbone conv4", &of_backbone[..3]),
        (
            "embed --weights x",
            &[images[0], images[1], "--backbone <NAME>"],
        ),
        ("embed --size 3", &of_backbone),
        ("embed --resize 3", &of_backbone),
        ("export", &["--output <FILE>", "<RUN>"]),
        ("export --checkpoint last", &["--output <FILE>", "<RUN>"]),
        (
            "loss --gradients g.npy",
            &["--embeddings <FILE>", "--loss <NAME>", "--negatives <NAME>"],
        ),
        ("train --resume", &["--run <DIR>"]),
        ("train --json", &["--dry-run"]),
        ("data check", &["--dataset <NAME>"]),
        ("data check --root x", &["--dataset <NAME>"]),
        (
            "data stats --dataset synthetic --seed 3",
            &["--sheet <FILE>"],
        ),
        (
            "data stats --seed 3",
            &["--sheet <FILE>", "--dataset <NAME>"],
        ),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let message = usage_error(directory.path(), &arguments);
        let mut found = missing(&message);
        let mut wanted = wanted.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{arguments:?}: {message}");
        assert!(message.contains("Usage: loop-dml"), "{message}");
    }
    // What excludes each other is not accepted together and ignored.
    for arguments in [
        "evaluate run --gallery x",
        "evaluate run --labels x",
        "evaluate run --embeddings x",
        "evaluate --embeddings x --root y",
        "evaluate --embeddings x --checkpoint last",
        "evaluate --embeddings x --mirror",
        "embed run --weights x --images y --output z.npy",
        "embed run --size 8 --images y --output z.npy",
        "embed run --backbone conv4 --weights x --images y --output z.npy",
        "train --resume --config x --run y",
        "bench loss --all --loss triplet",
        "bench loader --images 50 --root x",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let message = usage_error(directory.path(), &arguments);
        assert!(
            message.contains("cannot be used with"),
            "{arguments:?}: {message}"
        );
    }
    let message = usage_error(directory.path(), &["evaluate", "--gallery", "x"]);
    assert!(
        message.contains("loop-dml evaluate <RUN> [OPTIONS]\n")
            && message
                .contains("loop-dml evaluate --embeddings <FILE> [--gallery <FILE>] [OPTIONS]\n"),
        "{message}"
    );
    let message = refusal(directory.path(), &["data", "check", "--set", "data.root=x"]);
    assert!(
        message.contains("`--dataset`: give the dataset, for example --dataset folder, or a configuration with --config"),
        "{message}"
    );
}

#[test]
fn values_out_of_range_get_the_range_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let embed = "embed --backbone conv4 --weights w.pth --images x --output y.npy";
    let (one, any, threads) = ("1 or more", "0 or more", "from 0 to 1024");
    for (arguments, option, values, range) in [
        (
            "evaluate run",
            "--recall",
            &["0", "x", "1,,2", "-1", "1.5", "99999999999999999999"][..],
            one,
        ),
        (
            "evaluate run",
            "--batch-size",
            &["0", "x", "-3", "65537"],
            "from 1 to 65536",
        ),
        (
            "embed run --images x --output y.npy",
            "--batch-size",
            &["0", "70000"],
            "from 1 to 65536",
        ),
        (embed, "--size", &["x", "-1", "22.4"], any),
        (embed, "--resize", &["x"], any),
        ("train", "--device", &["x", "-1"], any),
        ("bench loss", "--repeats", &["0", "x"], "from 1 to 65535"),
        ("bench loss", "--batch", &["x", "-2"], any),
        ("bench loss", "--dim", &["x"], any),
        ("bench loss", "--images-per-class", &["x"], any),
        ("bench step", "--size", &["x"], any),
        (
            "bench loader",
            "--images",
            &["3", "x"],
            "from 40 to 1000000",
        ),
        ("bench loader", "--batch", &["3"], "from 4 to 65536"),
        ("bench loader", "--passes", &["0"], "from 1 to 65535"),
        ("bench loader", "--steps", &["-1"], "from 0 to 1000000"),
        ("bench loader", "--workers", &["x", "9999"], threads),
        (
            "data check --dataset synthetic",
            "--workers",
            &["x", "70000"],
            threads,
        ),
        (
            "data stats --dataset synthetic --sheet x.png",
            "--classes",
            &["0", "65", "x"],
            "from 1 to 64",
        ),
        (
            "data stats --dataset synthetic --sheet x.png",
            "--images",
            &["0"],
            "from 1 to 64",
        ),
        (
            "data stats --dataset synthetic --sheet x.png",
            "--seed",
            &["-1", "x"],
            any,
        ),
    ] {
        for value in values {
            let mut all: Vec<&str> = arguments.split(' ').collect();
            all.extend([option, value]);
            let message = usage_error(directory.path(), &all);
            let comma = if range.starts_with("from") { "" } else { "," };
            let expected = format!("give a whole number{comma} {range}");
            assert!(message.contains(&expected), "{all:?}: {message}");
            assert!(message.contains(option), "{all:?}: {message}");
        }
    }
}

#[test]
fn misspelt_names_get_the_nearest_one() {
    let directory = tempfile::tempdir().unwrap();
    let embed = "embed --weights w.pth --images x --output y.npy";
    let loss = "loss --embeddings x";
    for (arguments, option, value, similar) in [
        (loss, "--loss", "tripelt", "'triplet'"),
        (loss, "--negatives", "lop", "'loop'"),
        ("train", "--backend", "cudaa", "'cuda'"),
        (embed, "--backbone", "convv4", "'conv4'"),
        ("bench step", "--backbone", "resnet", "'resnet50'"),
        ("bench loader", "--backbone", "convv", "'conv4'"),
        ("bench loader", "--dataset", "foldr", "'folder'"),
        ("bench loss", "--loss", "tripelt", "'triplet'"),
        ("bench loss", "--negatives", "lop", "'loop'"),
        ("data check", "--dataset", "sopp", "'sop'"),
        ("evaluate run", "--checkpoint", "bset", "did you mean best?"),
        (
            "export run --output x.safetensors",
            "--checkpoint",
            "lats",
            "did you mean last?",
        ),
        (
            "embed run --images x --output y.npy",
            "--checkpoint",
            "Best",
            "did you mean best?",
        ),
    ] {
        let mut all: Vec<&str> = arguments.split(' ').collect();
        all.extend([option, value]);
        let message = usage_error(directory.path(), &all);
        assert!(message.contains(similar), "{all:?}: {message}");
    }
}

#[test]
fn messages_name_the_options_of_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    draw_folder(&here.join("photos"), 4, 4);
    let message = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        refusal(here, &arguments)
    };
    let embed = "embed --backbone googlenet --images photos --output x.npy --weights";
    for (arguments, expected) in [
        (
            format!("{embed} none.pth"),
            "none.pth does not exist; correct --weights, which takes a file, imagenet or imagenet-v2\n",
        ),
        (
            format!("{embed} none.pth --size 8"),
            "`--size 8`: the backbone googlenet needs",
        ),
        (
            format!("{embed} none.pth --size 64 --resize 48"),
            "`--resize 48`: must be at least --size 64",
        ),
        (
            "embed --backbone conv4 --images photos --output x.npy --weights imagenet".into(),
            "`--weights imagenet`: no weights `imagenet` of conv4 are published",
        ),
        (
            "data check --dataset folder".into(),
            "`--root`: give the folder with the images, for example --root photos",
        ),
        (
            "data stats --dataset folder --root none".into(),
            "--root none is not a folder",
        ),
        (
            "data check --dataset synthetic --root photos".into(),
            "`--root` has no effect with `--dataset synthetic`",
        ),
        ("bench loss --dim 1".into(), "`--dim 1`: give 2 or more"),
        (
            "bench loss --batch 7".into(),
            "`--batch 7`: give a multiple of 2, at least 4",
        ),
        (
            "bench loss --images-per-class 3".into(),
            "`--images-per-class 3`: must be even",
        ),
        (
            "bench loss --negatives none --pairs all".into(),
            "`--pairs` has no effect with `--negatives none`",
        ),
        (
            "bench loss --batch 256 --images-per-class 128 --pairs all".into(),
            "`--pairs all`: a batch has 16256 pairs, but at most 4096 are compared",
        ),
        (
            "bench step --size 8".into(),
            "`--size 8`: the backbone googlenet needs",
        ),
        (
            "bench step --backbone none --size 8".into(),
            "`--size 8`: --backbone none takes features instead of images; give their number with --features",
        ),
        (
            "bench step --features 8".into(),
            "`--features 8`: a backbone takes images; give their side with --size, or set --backbone none",
        ),
        (
            "bench step --backbone none --features 0".into(),
            "`--features 0`",
        ),
        (
            "bench step --batch 3".into(),
            "`--batch 3`: give a multiple of 2",
        ),
        (
            "bench loader --size 300".into(),
            "`--resize 255`: must be at least --size 300",
        ),
        (
            "bench loader --dataset folder --root none".into(),
            "--root none is not a folder",
        ),
        (
            "bench loader --dataset cars196".into(),
            "`--root`: give the folder of the dataset cars196",
        ),
        (
            "train --root photos --run r".into(),
            "`--root` has no effect with `data.dataset = \"synthetic\"`",
        ),
    ] {
        let message = message(&arguments);
        assert!(message.contains(expected), "{arguments}: {message}");
    }
    // What --set sets is named as it was written.
    let step = message("bench step --backbone conv4 --set data.image_size=8");
    assert!(step.contains("`data.image_size = 8`"), "{step}");
    let check = message("data stats --dataset folder --set data.root=none");
    assert!(check.contains("data.root none is not a folder"), "{check}");
}

#[test]
fn k_above_the_gallery_is_refused_if_it_was_chosen() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    draw_folder(&here.join("photos"), 6, 3);
    // 3 test classes of 3 images.
    let chosen = [
        &SMALL_TRAINING[..],
        &["--set", "evaluation.recall=[1, 8, 9]"],
    ]
    .concat();
    let message = refusal(here, &chosen);
    assert!(
        message.contains(
            "`evaluation.recall = [1, 8, 9]`: Recall@9 needs 9 neighbours, but a query of the test split is searched \
             among 8 image(s); give K up to 8"
        ),
        "{message}"
    );
    assert!(!here.join("run").exists());
    let dry = loop_dml(here)
        .args(&chosen)
        .arg("--dry-run")
        .assert()
        .code(2);
    let printed = String::from_utf8_lossy(&dry.get_output().stdout).into_owned()
        + &String::from_utf8_lossy(&dry.get_output().stderr);
    assert!(printed.contains("Recall@9 needs 9 neighbours"), "{printed}");

    let accepted = [&SMALL_TRAINING[..], &["--set", "evaluation.recall=[1, 8]"]].concat();
    loop_dml(here).args(accepted).assert().success();
    let evaluate = ["evaluate", "run", "--recall"];
    let found = loop_dml(here)
        .args(evaluate)
        .args(["8", "--json"])
        .assert()
        .success();
    let found: serde_json::Value = serde_json::from_slice(&found.get_output().stdout).unwrap();
    assert_eq!(found["recall"], serde_json::json!({"8": 1.0}));
    let message = refusal(here, &[&evaluate[..], &["1,9"]].concat());
    assert!(
        message.contains("`--recall 1,9`: Recall@9 needs 9 neighbours"),
        "{message}"
    );
}

#[test]
fn default_k_above_the_gallery_is_left_out_with_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    // 32 images of 4 test classes.
    let printed = train_small(here, "wide", &["--set", "training.epochs=1"]);
    assert!(!printed.contains("left out"), "{printed}");
    draw_folder(&here.join("photos"), 4, 3);
    let trained = loop_dml(here).args(SMALL_TRAINING).assert().success();
    let printed = String::from_utf8_lossy(&trained.get_output().stderr);
    // 2 test classes of 3 images.
    assert!(
        printed.contains(
            "Recall@8 of the test split is left out, because a query is searched among 5 image(s)"
        ),
        "{printed}"
    );
    let found = loop_dml(here)
        .args(["evaluate", "run", "--json"])
        .assert()
        .success();
    let printed = String::from_utf8_lossy(&found.get_output().stderr);
    assert!(printed.contains("Recall@8 is left out"), "{printed}");
    let found: serde_json::Value = serde_json::from_slice(&found.get_output().stdout).unwrap();
    let ks: Vec<&String> = found["recall"].as_object().unwrap().keys().collect();
    assert_eq!(ks, ["1", "2", "4"]);
}
