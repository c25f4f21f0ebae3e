//! What is refused, and with which words.

use super::*;

fn refused(overrides: &[&str]) -> String {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Config::parse("", "test", &overrides)
        .and_then(|config| config.check())
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn features_need_no_backbone_and_images_need_one() {
    let features = [
        "data.dataset=embeddings",
        "data.root=x",
        "model.backbone=none",
    ];
    let config = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        Config::quickstart(&sets)
    };
    let head = config(&features).unwrap();
    head.check().unwrap();
    assert_eq!(head.model.standardize, Some(true));
    let backbone = refused(&features[..2]);
    assert!(
        backbone.contains("`model.backbone = \"conv4\"`")
            && backbone.contains("model.backbone=none"),
        "{backbone}"
    );
    let images = refused(&features[2..]);
    assert!(images.contains("data.dataset=embeddings"), "{images}");
    for set in [
        "training.freeze_backbone_epochs=1",
        "training.gradient_checkpointing=true",
        "training.precision=bf16",
        "optimizer.backbone_lr_scale=0.1",
        "evaluation.mirror=true",
        "model.weights=w.pth",
        "model.freeze_batch_norm=true",
        "model.pooling=max",
    ] {
        let message = refused(&[&features[..], &[set]].concat());
        let key = set.split('=').next().unwrap();
        let expected = format!("`{key}` has no effect with `model.backbone = \"none\"`");
        assert!(message.contains(&expected), "{message}");
    }
    for set in ["model.feature_dim=8", "model.standardize=true"] {
        let message = refused(&[set]);
        assert!(
            message.contains("`model.backbone = \"conv4\"`"),
            "{message}"
        );
    }
    for (set, advice) in [
        ("model.hidden=0", "give 1 or more"),
        ("data.single_image_classes=repeat", "drop or gallery"),
        ("data.flip_probability=0.5", "has no effect"),
    ] {
        let message = refused(&[&features[..], &[set]].concat());
        assert!(message.contains(advice), "{message}");
    }
    let several = refused(&["model.hidden=8", r#"model.pooling=["max", "average"]"#]);
    assert!(
        several.contains("`model.hidden = 8`") && several.contains("one descriptor"),
        "{several}"
    );
}

#[test]
fn invalid_values_are_refused_with_key_value_and_advice() {
    let beside = |set: &str| match set.split('=').next() {
        Some("negatives.points") => "negatives.name=embedding-expansion",
        Some("loss.beta") => "loss.name=multi-similarity",
        Some("loss.l2_penalty") => "loss.name=n-pair",
        Some("model.gem_power") => "model.pooling=gem",
        Some("data.train_share" | "data.single_image_classes") => "data.dataset=folder",
        _ => "training.seed=1",
    };
    for (set, advice) in [
        (
            "batch.images_per_class=3",
            "give 2 or 4, or set negatives.pairs = \"all\"",
        ),
        ("negatives.pairs=some", "`consecutive` or `all`"),
        ("negatives.anchors=image", "`images`"),
        ("batch.images_per_class=1", "give 2 or more"),
        ("batch.classes=1", "give 2 or more"),
        ("data.image_size=8", "give 16 or more"),
        ("data.resize=31", "give 32 or more"),
        ("data.resize=5000", "give 4096 or less"),
        ("data.workers=100000", "give 1024 or less"),
        ("batch.images_per_class=1000000000000", "give 65536 or less"),
        ("optimizer.epsilon=1e-300", "from 1.4e-45"),
        ("optimizer.beta_1=0.9999999999", "below 1"),
        ("loss.margin=1e300", "finite"),
        ("data.flip_probability=1.5", "from 0 to 1"),
        ("data.crop_scale=[0.5, 0.2]", "increasing"),
        ("data.crop_scale=[0.0, 1.0]", "above 0"),
        ("data.crop_ratio=[0.75, 20.0]", "give 10 or less"),
        ("data.brightness=-0.1", "from 0 to 10"),
        ("data.hue=0.6", "from 0 to 0.5"),
        ("data.blur_sigma=[0.0, 1.0]", "above 0"),
        ("data.blur_sigma=[1.0, 100.0]", "give 50 or less"),
        ("data.erase_scale=[0.1, 1.5]", "give 1 or less"),
        ("data.eval_resize=middle", "center-crop"),
        ("data.broken_images=ignore", "skip"),
        ("data.cache=true", "in memory"),
        ("batch.sampler=random", "every-image"),
        ("data.train_share=1.0", "below 1"),
        ("data.single_image_classes=keep", "gallery"),
        ("data.validation_share=1.0", "below 1"),
        ("data.validation_share=0", "above 0"),
        ("data.folds=4", "set it from 1 to 4"),
        ("data.fold=1", "data.folds"),
        ("data.split_seed=-1", "give 0 or more"),
        ("evaluation.protocol=test", "`published`"),
        ("data.std=[0.2, 0.0, 0.2]", "above 0"),
        ("optimizer.learning_rate=0.0", "above 0"),
        ("optimizer.learning_rate=nan", "finite"),
        ("optimizer.weight_decay=-0.1", "0 or more"),
        ("optimizer.beta_1=1.0", "below 1"),
        ("optimizer.decay_factor=2.0", "1 or less"),
        ("optimizer.decay_epochs=[5, 5]", "increasing"),
        ("training.epochs=0", "give 1 or more"),
        ("training.validate_every=0", "give 1 or more"),
        ("evaluation.recall=[2, 4]", "begin with 1"),
        ("evaluation.recall=[1, 4, 2]", "increasing"),
        ("loss.margin=-0.1", "0 or more"),
        ("negatives.points=0", "give 1 or more"),
        ("negatives.points=65", "give 64 or less"),
        ("loss.beta=0", "above 0"),
        ("loss.l2_penalty=-1.0", "0 or more"),
        ("model.embedding_dim=1", "give 2 or more"),
        ("model.pooling=mean", "`gem`"),
        ("model.pooling=[]", "average, max and gem"),
        (r#"model.pooling=["max", "max"]"#, "list it once"),
        ("model.gem_power=0.5", "1 or more"),
        ("model.dropout=1.0", "below 1"),
        ("model.dropout=-0.1", "0 or more"),
        ("optimizer.backbone_lr_scale=0", "above 0"),
        ("training.freeze_backbone_epochs=-1", "give 0 or more"),
        ("training.precision=fp16", "`bf16`"),
        ("data.classes=7", "give 6 or 8"),
    ] {
        let message = refused(&[beside(set), set]);
        let key = set.split('=').next().unwrap();
        assert!(
            message.starts_with(&format!("`{key} = ")),
            "{set}: {message}"
        );
        assert!(message.contains(advice), "{set}: {message}");
    }
}

#[test]
fn weights_that_are_not_published_are_refused() {
    for (backbone, weights) in [("conv4", "imagenet"), ("googlenet", "imagenet-v2")] {
        let backbone = format!("model.backbone={backbone}");
        let set = format!("model.weights={weights}");
        let message = refused(&[&backbone, &set, "data.image_size=227", "data.resize=255"]);
        assert!(
            message.starts_with(&format!("`model.weights = \"{weights}\"`: no weights")),
            "{message}"
        );
    }
}

#[test]
fn odd_numbers_of_images_are_refused_where_images_are_paired() {
    let odd = "batch.images_per_class=3";
    for negatives in ["negatives.name=none", "negatives.pairs=all"] {
        let config = Config::parse("", "test", &[odd.into(), negatives.into()]).unwrap();
        config.check().unwrap();
    }
    let message = refused(&[odd, "negatives.name=embedding-expansion"]);
    assert!(
        message.starts_with(
            "`batch.images_per_class = 3`: must be even, because negatives.name = \
             \"embedding-expansion\" pairs images; give 2 or 4, or choose other negatives"
        ),
        "{message}"
    );
}

#[test]
fn pairs_that_need_too_much_memory_are_refused() {
    let sets = |images: usize| {
        [
            "negatives.pairs=all".to_string(),
            "batch.classes=8".into(),
            format!("batch.images_per_class={images}"),
        ]
    };
    Config::parse("", "test", &sets(32))
        .unwrap()
        .check()
        .unwrap();
    let sets = sets(64);
    let message = refused(&sets.each_ref().map(String::as_str));
    assert!(
        message.starts_with(
            "`negatives.pairs = \"all\"`: a batch has 16128 pairs, but at most 4096 are compared: \
             their pairwise matrices take about 124 GiB"
        ),
        "{message}"
    );
}

#[test]
fn variants_of_loop_are_refused_with_other_negatives() {
    for key in ["negatives.pairs=all", "negatives.anchors=images"] {
        let message = refused(&["negatives.name=none", key]);
        let name = key.split('=').next().unwrap();
        assert_eq!(
            message,
            format!("`{name}` has no effect with `negatives.name = \"none\"`; remove it")
        );
    }
}

#[test]
fn all_triplets_with_the_soft_margin_are_refused() {
    let message = refused(&[
        "loss.name=triplet",
        "loss.triplets=all",
        "loss.soft_margin=true",
    ]);
    assert!(
        message.starts_with("`loss.soft_margin = true`"),
        "{message}"
    );
}

#[test]
fn normalize_follows_the_loss_unless_it_is_given() {
    let normalize = |overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let config = Config::parse("", "test", &overrides).unwrap();
        config.check().unwrap();
        config.model.normalize
    };
    assert!(normalize(&["loss.name=multi-similarity"]));
    assert!(!normalize(&["loss.name=n-pair"]));
    assert!(normalize(&["loss.name=n-pair", "model.normalize=true"]));
    assert!(!normalize(&["model.normalize=false"]));
}

#[test]
fn embedding_is_a_multiple_of_the_descriptors() {
    for (dim, advice) in [(64, "63 or 66"), (5, "give 6 or more")] {
        let message = refused(&[
            r#"model.pooling=["average", "max", "gem"]"#,
            &format!("model.embedding_dim={dim}"),
        ]);
        assert!(message.contains(advice), "{message}");
    }
}

#[test]
fn keys_of_gem_are_refused_without_it_and_written_out_with_it() {
    for key in ["model.gem_power=4.0", "model.gem_learned=true"] {
        let message = refused(&[r#"model.pooling=["average", "max"]"#, key]);
        let name = key.split('=').next().unwrap();
        assert!(
            message.starts_with(&format!(
                r#"`{name}` has no effect with `model.pooling = ["average", "max"]`"#
            )),
            "{message}"
        );
    }
    let config = Config::parse("", "test", &["model.pooling=gem".into()]).unwrap();
    assert!(
        config
            .to_toml()
            .contains("gem_power = 3.0\ngem_learned = false")
    );
}

#[test]
fn another_pooling_drops_the_keys_of_gem() {
    let text = "[model]\npooling = \"gem\"\ngem_power = 4.0\nembedding_dim = 32\n";
    let config = Config::parse(text, "test", &["model.pooling=max".into()]).unwrap();
    config.check().unwrap();
    assert_eq!(config.model.gem_power, None);
    assert_eq!(config.model.embedding_dim, 32);
}

#[test]
fn pretrained_weights_with_another_scale_are_refused() {
    for backbone in ["googlenet", "resnet50", "efficientnet-lite0"] {
        let backbone = format!("model.backbone={backbone}");
        for scale in ["data.mean = [0.5, 0.5, 0.5]", "data.std = [0.5, 0.5, 0.5]"] {
            let set = scale.replace(" = ", "=");
            let sizes = ["data.image_size=224", "data.resize=256"];
            let message = refused(
                &[
                    &[backbone.as_str(), "model.weights=w.pth", &set],
                    &sizes[..],
                ]
                .concat(),
            );
            assert!(message.starts_with(&format!("`{scale}`")), "{message}");
        }
    }
}

#[test]
fn images_smaller_than_a_backbone_takes_are_refused() {
    for backbone in Backbone::ALL {
        let minimum = backbone.minimum_image_size();
        let size = |side: usize| format!("data.image_size={side}");
        let backbone = format!("model.backbone={backbone}");
        let message = refused(&[&backbone, &size(minimum - 1)]);
        assert!(
            message.contains(&format!("give {minimum} or more")),
            "{message}"
        );
        let smallest = [backbone, size(minimum), "data.resize=64".into()];
        Config::parse("", "test", &smallest)
            .unwrap()
            .check()
            .unwrap();
    }
}
