//! Weights files that are accepted, and the errors of others.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{Tensor, TensorData};
use burn_store::ModuleSnapshot;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::{B, Design, fixture, state, torch_shapes, write_weights};
use crate::model::{
    layers::{ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig, Padding},
    weights::{WeightsError, load_weights, pth::writer::write_archive},
};

pub(super) fn block() -> ConvolutionBlock<B> {
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
        let block = load_weights(block(), &fixture(file)).unwrap().module;
        assert_formula_state(&block, file);
    }
}

pub(super) fn assert_formula_state(block: &ConvolutionBlock<B>, file: &str) {
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
fn names_of_another_network_are_shown_with_the_missing_names() {
    let error = refusal(|shapes| {
        let whole = std::mem::take(shapes).into_iter();
        shapes.extend(whole.map(|(name, shape)| (name.replace('n', "_"), shape)));
    });
    let text = error.to_string();
    assert!(
        text.ends_with(
            "block.safetensors lacks 5 of the backbone's tensors: conv.weight, bn.weight, bn.bias, \
             bn.running_mean and 1 more, and has 5 that the backbone does not have: b_.bias, \
             b_.ru__i_g_mea_, b_.ru__i_g_var, b_.weight and 1 more; is it a file for another backbone?"
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

/// The message about a file with this content. Its format is known by it, whatever the name.
fn refused_content(content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let messages = ["file.pth", "file.safetensors", "file"].map(|name| {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        let message = load_weights(block(), &file).unwrap_err().to_string();
        message.replace(&file.display().to_string(), "FILE")
    });
    assert_eq!(messages[0], messages[1]);
    assert_eq!(messages[0], messages[2]);
    messages[0].clone()
}

#[test]
fn files_without_weights_are_refused_each_with_its_sentence() {
    for (content, expected) in [
        (&b""[..], "FILE is empty; download or copy it again"),
        (
            b"<!DOCTYPE html>\n<html><title>Sign in",
            "FILE is a web page, not weights; download the file itself",
        ),
        (
            b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
            "FILE is an XML document, such as the error of a file server",
        ),
        (
            b"{\"error\": \"Repository not found\"}",
            "FILE is a JSON document",
        ),
        (
            b"{\"weight_map\": {\"fc.weight\": \"model-00001-of-00002.safetensors\"}}",
            "FILE is the index of weights in several files",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102502400\n",
            "FILE is a Git LFS pointer, not the weights; fetch them with `git lfs pull`",
        ),
        (
            b"\x1f\x8b\x08\0",
            "FILE is compressed; decompress it with `gunzip`",
        ),
        (b"text instead of weights", "FILE is text, not weights;"),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            "FILE is not a weights file of PyTorch",
        ),
        // {'a': 1}, and the same as a pickle that NumPy arrays would be in.
        (
            b"\x80\x04}\x8c\x01aK\x01s.",
            "cannot read weights from FILE: it is a Python pickle that torch.save did not write; convert",
        ),
        (
            b"PK\x03\x04\x14\0\0\0",
            "cannot read weights from FILE: it is truncated: the directory at the end of the archive",
        ),
    ] {
        let message = refused_content(content);
        assert!(message.starts_with(expected), "{message}");
    }
    let absent = load_weights(block(), Path::new("absent.pth")).unwrap_err();
    assert!(matches!(absent, WeightsError::NotFound { .. }));
    let folder = load_weights(block(), Path::new("assets")).unwrap_err();
    let expected = "assets is a folder; name the weights file in it";
    assert_eq!(folder.to_string(), expected);
}

#[cfg(unix)]
#[test]
fn devices_are_refused() {
    let error = load_weights(block(), Path::new("/dev/null")).unwrap_err();
    let expected =
        "/dev/null is not a file but a device or a pipe; write the weights to a file, and name it";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn archives_of_other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.pth");
    for (names, expected) in [
        (
            &["data.pkl", "constants.pkl", "code/model.py"][..],
            "a TorchScript program;",
        ),
        (&["weight.npy"], "an archive of NumPy arrays; convert"),
        (
            &["resnet50.pth"],
            "a zip archive without tensors of PyTorch (its first file is `archive/resnet50.pth`)",
        ),
    ] {
        let files: Vec<_> = names
            .iter()
            .map(|name| (name.to_string(), b"N.".to_vec()))
            .collect();
        write_archive(&file, &files);
        let message = load_weights(block(), &file).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn formats_are_known_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let pth = folder.path().join("weights.safetensors");
    std::fs::copy(fixture("convolution_block.pth"), &pth).unwrap();
    let safetensors = folder.path().join("weights.pth");
    let shapes = torch_shapes(block().collect(None, None, false));
    write_weights(&safetensors, &shapes, Design::Usual);
    for file in [pth, safetensors] {
        let loaded = load_weights(block(), &file).unwrap();
        assert_formula_state(&loaded.module, &file.display().to_string());
    }
}

#[test]
fn damaged_safetensors_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block.safetensors");
    let shapes = torch_shapes(block().collect(None, None, false));
    write_weights(&file, &shapes, Design::Usual);
    let whole = std::fs::read(&file).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        load_weights(block(), &file).unwrap_err().to_string()
    };
    let message = refused(&whole[..whole.len() - 10]);
    let (needed, found) = (whole.len(), whole.len() - 10);
    let expected = format!("it is truncated: its tensors need {needed} bytes, and it has {found};");
    assert!(message.contains(&expected), "{message}");
    let message = refused(&whole[..40]);
    assert!(message.contains("it is truncated: "), "{message}");
    let message = refused(&[&whole[..], b"more"].concat());
    let expected = "it has 4 bytes behind its tensors; download or copy it again";
    assert!(message.contains(expected), "{message}");
    // A type of another size, in a header of the same length.
    let text = String::from_utf8_lossy(&whole[8..]).into_owned();
    let place = 8 + text.find("\"F32\"").unwrap();
    let typed = [&whole[..place], b"\"F4\" ", &whole[place + 5..]].concat();
    let message = refused(&typed);
    assert!(message.contains("its header is damaged ("), "{message}");
}

/// Writes a safetensors file of the block, without the tensor `without`, and with others of these types.
fn write_with_types(path: &Path, without: &str, others: &[(&str, Dtype)]) {
    let shapes = torch_shapes(block().collect(None, None, false));
    write_weights(path, &shapes, Design::Usual);
    let whole = std::fs::read(path).unwrap();
    let mut tensors = SafeTensors::deserialize(&whole).unwrap().tensors();
    tensors.retain(|(name, _)| name != without);
    for &(name, dtype) in others {
        let bytes = &whole[..3 * dtype.bitsize() / 8];
        let tensor = TensorView::new(dtype, vec![3], bytes).unwrap();
        tensors.push((name.to_string(), tensor));
    }
    std::fs::write(path, serialize(tensors, None).unwrap()).unwrap();
}

#[test]
fn only_safetensors_of_the_backbone_need_a_type_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block.safetensors");
    let types = [Dtype::F8_E5M2, Dtype::U16, Dtype::C64, Dtype::BOOL];
    let names = ["fc.a", "fc.b", "fc.c", "fc.d"];
    let unused: Vec<_> = names.into_iter().zip(types).collect();
    write_with_types(&file, "", &unused);
    let loaded = load_weights(block(), &file).unwrap();
    assert_formula_state(&loaded.module, "unused tensors");
    let notes: Vec<_> = loaded.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["4 other tensors are not used: fc.a, fc.b, fc.c, fc.d"]
    );
    for (dtype, expected) in [
        (
            Dtype::F8_E5M2,
            "a tensor of F8_E5M2, which is not read; save it in single precision",
        ),
        (Dtype::U16, "a tensor of U16, which is not read;"),
        (Dtype::C64, "a tensor of C64, which is not read;"),
        (
            Dtype::I32,
            "a tensor of i32; save the network in floating point",
        ),
    ] {
        write_with_types(&file, "bn.bias", &[("bn.bias", dtype)]);
        let text = load_weights(block(), &file).unwrap_err().to_string();
        assert!(
            text.starts_with("bn.bias of ") && text.contains(expected),
            "{text}"
        );
    }
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
