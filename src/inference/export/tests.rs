//! Round trips between an embedder and a file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::{Distribution, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};
use serde_json::Value;
use tempfile::TempDir;

use super::header::METADATA_KEY;
use super::*;
use crate::atomic_file::AtomicFileError;
use crate::config::Config;
use crate::model::config::{Backbone, Descriptor, Pooling, WeightsSource};
use crate::model::{ConvAlgorithm, Embedder, EmbedderConfig};

type B = burn_flex::Flex;

fn config(backbone: Backbone) -> Config {
    let mut config = Config::default();
    config.model.backbone = backbone;
    config.model.embedding_dim = 5;
    config.evaluation.mirror = true;
    config.data.transform.mean = [0.1, 0.2, 0.3];
    config
}

fn embedder(config: &Config) -> Embedder<B> {
    EmbedderConfig::from(&config.model).init(&Default::default())
}

fn exported(config: &Config) -> (TempDir, PathBuf, Embedder<B>) {
    let embedder = embedder(config);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embedder.safetensors");
    let output = ExportOutput::new(&path).unwrap();
    output.write(&embedder, config, None).unwrap();
    (folder, path, embedder)
}

fn read(path: &Path) -> Result<Embedder<B>, ExportError> {
    ExportedEmbedder::read(path)?.embedder(ConvAlgorithm::Im2col, &Default::default())
}

/// Writes a file with the header of `path` and tensors changed by `change`.
fn changed(path: &Path, change: impl FnOnce(&mut BTreeMap<String, Vec<usize>>)) -> PathBuf {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shapes = file.tensors().into_iter();
    let mut shapes = shapes.map(|(n, t)| (n, t.shape().to_vec())).collect();
    change(&mut shapes);
    let zeros: BTreeMap<_, _> = shapes
        .iter()
        .map(|(name, shape)| (name, vec![0; 4 * shape.iter().product::<usize>()]))
        .collect();
    let views = shapes.iter().map(|(name, shape)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), &zeros[name]);
        (name, view.unwrap())
    });
    let changed = path.with_file_name("changed.safetensors");
    serialize_to_file(views, header.metadata().clone(), &changed).unwrap();
    changed
}

#[test]
fn exported_embedder_has_the_same_outputs_and_preprocessing() {
    for backbone in Backbone::ALL {
        let config = config(backbone);
        let (_folder, path, embedder) = exported(&config);
        let again = read(&path).unwrap();
        let images = Tensor::random([2, 3, 32, 32], Distribution::Default, &Default::default());
        let bits = |embedder: &Embedder<B>| {
            let embeddings = embedder.forward(images.clone()).into_data();
            embeddings.into_vec::<f32>().unwrap()
        };
        assert_eq!(bits(&again), bits(&embedder), "{backbone:?}");

        let read = ExportedEmbedder::read(&path).unwrap();
        assert_eq!(read.config().model, config.model);
        assert_eq!(read.config().data.transform, config.data.transform);
        assert_eq!(read.config().evaluation, config.evaluation);
    }
}

#[test]
fn several_descriptors_and_a_learned_power_are_exported() {
    let mut config = config(Backbone::Conv4);
    config.model.embedding_dim = 6;
    config.model.pooling = Pooling(vec![Descriptor::Average, Descriptor::Gem]);
    config.model.gem_power = Some(2.5);
    config.model.gem_learned = Some(true);
    let (_folder, path, embedder) = exported(&config);
    let images = Tensor::random([2, 3, 32, 32], Distribution::Default, &Default::default());
    let bits = |embedder: &Embedder<B>| {
        let embeddings = embedder.forward(images.clone()).into_data();
        embeddings.into_vec::<f32>().unwrap()
    };
    assert_eq!(bits(&read(&path).unwrap()), bits(&embedder));
    let text = std::fs::read_to_string(path.with_extension("json")).unwrap();
    let described: Value = serde_json::from_str(&text).unwrap();
    assert!(
        described["tensors"]["gem.power_offset"].is_array(),
        "{text}"
    );
    assert_eq!(described["pytorch"], Value::Null);
}

#[test]
fn names_and_shapes_are_equal_to_pytorchs() {
    let (_folder, path, _) = exported(&config(Backbone::GoogLeNet));
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    assert_eq!(shape("backbone.conv1.conv.weight"), [64, 3, 7, 7]);
    let pooled = "backbone.inception3a.branch4.1.bn.running_var";
    assert_eq!(shape(pooled), [32]);
    assert_eq!(shape("head.weight"), [5, 1024]);
    assert_eq!(shape("head.bias"), [5]);

    let text = std::fs::read_to_string(path.with_extension("json")).unwrap();
    let described: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(described["tensors"].as_object().unwrap().len(), file.len());
    assert_eq!(described["embedding"]["length"], 5);
    assert_eq!(described["preprocessing"]["rescale"], Value::Null);
    assert_eq!(described["preprocessing"]["mean"][1], 0.2);
}

#[test]
fn weights_of_a_dense_layer_are_transposed() {
    let (_folder, path, embedder) = exported(&config(Backbone::Conv4));
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (numbers, _) = file.tensor("head.weight").unwrap().data().as_chunks();
    let own = embedder.head.weight.val().into_data();
    let own = own.into_vec::<f32>().unwrap();
    // [5, 128] in PyTorch, [128, 5] in Burn.
    let (output, input) = (3, 7);
    assert_eq!(
        f32::from_le_bytes(numbers[output * 128 + input]),
        own[input * 5 + output]
    );
}

#[test]
fn missing_unknown_and_misshapen_tensors_are_named() {
    let (_folder, path, _) = exported(&config(Backbone::Conv4));
    let refusal = |change: fn(&mut BTreeMap<String, Vec<usize>>)| {
        read(&changed(&path, change)).unwrap_err().to_string()
    };
    let message = refusal(|tensors| drop(tensors.remove("head.bias")));
    assert!(
        message.contains("lacks 1 of its network's tensors: head.bias"),
        "{message}"
    );
    let message = refusal(|tensors| drop(tensors.insert("head.scale".into(), vec![1])));
    assert!(message.contains("does not have: head.scale"), "{message}");
    let message = refusal(|tensors| drop(tensors.insert("head.bias".into(), vec![6])));
    assert!(
        message.contains("head.bias is F32 [6], but its network needs F32 [5]"),
        "{message}"
    );
}

#[test]
fn tensor_with_nan_is_named() {
    let (_folder, path, _) = exported(&config(Backbone::Conv4));
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, ExportError::NotFinite { .. }), "{error}");
}

#[test]
fn other_damaged_and_later_files_have_different_errors() {
    let (folder, path, _) = exported(&config(Backbone::Conv4));
    let refusal = |path: &Path| read(path).unwrap_err().to_string();
    let bytes = std::fs::read(&path).unwrap();
    let other = folder.path().join("other.safetensors");
    std::fs::write(&other, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(&other).contains("truncated"), "{}", refusal(&other));

    let value = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let with = |text: Option<&str>| {
        let header = text.map(|text| HashMap::from([(METADATA_KEY.to_string(), text.to_string())]));
        serialize_to_file([("x", &value)], header, &other).unwrap();
        refusal(&other)
    };
    assert!(with(None).contains("not an exported embedder"));
    let later = with(Some(r#"{"format": 2, "loop_dml": "9.1.0", "novel": 1}"#));
    assert!(
        later.contains("format 2") && later.contains("9.1.0"),
        "{later}"
    );
    // The same format with a key, or a value, of another version.
    let header = ExportHeader::new(&config(Backbone::Conv4), None);
    let novel = |loop_dml: &str, key: &str| {
        let mut header = serde_json::to_value(&header).unwrap();
        header["loop_dml"] = loop_dml.into();
        header[key] = "novel".into();
        with(Some(&header.to_string()))
    };
    for key in ["novel", "mirror"] {
        let later = novel("9.1.0", key);
        let versions = format!(
            "written by loop-dml 9.1.0, this is {}",
            env!("CARGO_PKG_VERSION")
        );
        assert!(later.contains(&versions), "{later}");
        let damaged = novel(env!("CARGO_PKG_VERSION"), key);
        assert!(!damaged.contains("written by"), "{damaged}");
    }
    assert!(with(Some("{}")).contains("missing field"));
    assert!(with(Some("no JSON")).contains("is invalid"));
}

#[test]
fn invalid_preprocessing_is_refused_by_its_key() {
    let mut config = config(Backbone::Conv4);
    config.data.transform.image_size = 8;
    let (_folder, path, _) = exported(&config);
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("`data.image_size = 8`"), "{message}");
}

#[test]
fn existing_files_are_not_overwritten() {
    let (folder, path, _) = exported(&config(Backbone::Conv4));
    let refusal = |path: &Path| ExportOutput::new(path).unwrap_err().to_string();
    assert!(refusal(&path).contains("not overwritten"));
    // An existing description is enough.
    std::fs::remove_file(&path).unwrap();
    assert!(refusal(&path).contains("embedder.json exists"));
    assert!(refusal(&folder.path().join("embedder.pth")).contains(".safetensors"));
}

#[test]
fn failed_export_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embedder.safetensors");
    let config = config(Backbone::Conv4);
    let output = ExportOutput::new(&path).unwrap();
    std::fs::write(&path, "meanwhile").unwrap();
    let error = output.write(&embedder(&config), &config, None).unwrap_err();
    assert!(matches!(error, AtomicFileError::Exists { .. }), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);

    std::fs::remove_file(&path).unwrap();
    let output = ExportOutput::new(&path).unwrap();
    output.write(&embedder(&config), &config, None).unwrap();
    read(&path).unwrap();
}

#[test]
fn folders_of_weights_files_are_not_published() {
    let mut config = config(Backbone::Conv4);
    // A file may be named like a published source; the header must not confuse them.
    for name in ["weights.pth", "imagenet"] {
        let file = Path::new("/home/somebody/secret").join(name);
        config.model.weights = Some(WeightsSource::File(file));
        let header = ExportHeader::new(&config, None);
        let text = serde_json::to_string(&header).unwrap();
        assert!(!text.contains("secret"), "{text}");
        let again = ExportHeader::parse(Some(&text), Path::new("export")).unwrap();
        let kept = WeightsSource::File(name.into());
        assert_eq!(again.model.weights.unwrap().to_string(), kept.to_string());
    }
    config.model.weights = Some(WeightsSource::ImageNetV2);
    assert_eq!(ExportHeader::new(&config, None).model, config.model);
}
