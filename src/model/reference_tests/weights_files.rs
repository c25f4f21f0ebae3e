//! Weights files that are accepted, and the errors of others.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{Tensor, TensorData};
use burn_store::ModuleSnapshot;

use super::{B, Design, fixture, state, torch_shapes, write_weights};
use crate::model::{
    layers::{ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig, Padding},
    weights::{WeightsError, load_weights},
};

fn block() -> ConvolutionBlock<B> {
    let convolution = ConvolutionConfig::new(2, 3, 3).with_padding(Padding::Symmetric(1));
    ConvolutionBlockConfig::new(convolution).init(&Default::default())
}

#[test]
fn state_dictionaries_written_by_pytorch_are_loaded_with_any_strides() {
    for file in [
        "convolution_block.pth",
        "convolution_block_channels_last.pth",
        "convolution_block_channels_last_old_format.pth",
    ] {
        let block = load_weights(block(), &fixture(file)).unwrap();
        assert_formula_state(&block, file);
    }
}

fn assert_formula_state(block: &ConvolutionBlock<B>, file: &str) {
    for tensor in block.collect(None, None, false) {
        let key = tensor.full_path();
        let found = tensor.to_data().unwrap().into_vec::<f32>().unwrap();
        let expected = match key.as_str() {
            "conv.weight" => {
                let torch = state(&key, &[3, 2, 3, 3], Design::Usual);
                let torch = Tensor::<B, 4>::from_data(
                    TensorData::new(torch, [3, 2, 3, 3]),
                    &Default::default(),
                );
                let own = torch.permute([2, 3, 1, 0]);
                own.into_data().into_vec().unwrap()
            }
            _ => state(&key, &[3], Design::Usual),
        };
        assert_eq!(found, expected, "{file}: {key}");
    }
}

/// The error of loading a file with changed names and shapes into [`block`].
fn refusal(change: impl FnOnce(&mut BTreeMap<String, Vec<usize>>)) -> WeightsError {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block.safetensors");
    let mut shapes = torch_shapes(block().collect(None, None, false));
    change(&mut shapes);
    write_weights(&file, &shapes, Design::Usual);
    load_weights(block(), &file).unwrap_err()
}

#[test]
fn missing_weights_are_named() {
    let error = refusal(|shapes| drop(shapes.remove("bn.running_var")));
    let text = error.to_string();
    assert!(
        text.ends_with(
            "block.safetensors lacks 1 of the backbone's tensors: bn.running_var; is it a file for \
             another backbone?"
        ),
        "{text}"
    );
}

#[test]
fn unknown_weights_are_named() {
    let error = refusal(|shapes| drop(shapes.insert("conv.bias".into(), vec![3])));
    let text = error.to_string();
    assert!(
        text.ends_with(
            "block.safetensors has 1 tensors that the backbone does not have: conv.bias; is it a \
             file for another backbone?"
        ),
        "{text}"
    );
}

#[test]
fn names_with_a_prefix_are_shown_with_the_missing_names() {
    let error = refusal(|shapes| {
        let whole = std::mem::take(shapes).into_iter();
        shapes.extend(whole.map(|(name, shape)| (format!("module.{name}"), shape)));
    });
    let text = error.to_string();
    assert!(
        text.contains(
            "block.safetensors lacks 5 of the backbone's tensors: bn.bias, bn.running_mean, \
             bn.running_var, bn.weight and 1 more, and has 5 that the backbone does not have: \
             module.bn.bias, module.bn.running_mean, module.bn.running_var, module.bn.weight and 1 \
             more; is it"
        ),
        "{text}"
    );
}

#[test]
fn all_weights_of_other_shapes_are_named_with_both_shapes() {
    let text = refusal(|shapes| drop(shapes.insert("conv.weight".into(), vec![3, 2, 1, 1])));
    let text = text.to_string();
    assert!(
        text.contains(
            "block.safetensors has 1 tensors whose shapes differ from the backbone's: conv.weight \
             [3, 2, 1, 1] instead of [3, 2, 3, 3]; is it"
        ),
        "{text}"
    );
    let error = refusal(|shapes| {
        for shape in shapes.values_mut() {
            shape[0] = 7;
        }
    });
    let WeightsError::Shapes { tensors, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(tensors.len(), 5);
    let text = error.to_string();
    assert!(
        text.contains("[7] instead of [3]") && text.contains(" and 1 more;"),
        "{text}"
    );
}

#[test]
fn files_without_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["text.pth", "text.pt", "text.safetensors", "empty.pth"] {
        let file = folder.path().join(name);
        let content = if name.starts_with("text") {
            "text instead of weights"
        } else {
            ""
        };
        std::fs::write(&file, content).unwrap();
        let error = load_weights(block(), &file).unwrap_err();
        assert!(
            !matches!(error, WeightsError::NotFound { .. }),
            "{name}: {error}"
        );
    }
    let absent = load_weights(block(), Path::new("absent.pth")).unwrap_err();
    assert!(matches!(absent, WeightsError::NotFound { .. }));
    let picture = load_weights(block(), Path::new("picture.png")).unwrap_err();
    assert!(matches!(picture, WeightsError::UnknownFormat { .. }));
}

#[test]
fn tensors_with_nan_or_infinity_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let file = folder.path().join("block.safetensors");
        let shapes = torch_shapes(block().collect(None, None, false));
        write_weights(&file, &shapes, Design::Usual);
        // The last number of the last tensor in the file.
        let mut bytes = std::fs::read(&file).unwrap();
        let end = bytes.len() - 4;
        bytes[end..].copy_from_slice(&value.to_le_bytes());
        std::fs::write(&file, bytes).unwrap();
        let error = load_weights(block(), &file).unwrap_err();
        assert!(matches!(error, WeightsError::NotFinite { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(
                "block.safetensors has an infinite value or NaN; download the file again"
            ),
            "{text}"
        );
    }
    // A `.pth` file without compression; its checksum of the changed storage is not compared by
    // PyTorch's old format.
    let mut bytes =
        std::fs::read(fixture("convolution_block_channels_last_old_format.pth")).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let file = folder.path().join("block.pth");
    std::fs::write(&file, bytes).unwrap();
    let error = load_weights(block(), &file).unwrap_err();
    assert!(error.to_string().starts_with("the tensor "), "{error}");
}
