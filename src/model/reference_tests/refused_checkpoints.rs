//! Errors of checkpoints.

use super::checkpoint_file::{Checkpoint, load, prefixed, refusal, several};
use super::weights_files::block;
use crate::model::weights::pth::writer::Python;
use crate::model::weights::{WeightsError, load_weights};

#[test]
fn file_with_several_networks_is_refused() {
    for prefixes in [
        ["student.", "teacher."],
        ["teacher.backbone.", "student.backbone."],
    ] {
        let text = refusal(&several(&prefixes));
        assert!(
            text.contains("has the backbone's tensors 2 times, named ")
                && prefixes
                    .iter()
                    .all(|prefix| text.contains(&format!("{prefix}*")))
                && text.contains("torch.save(model."),
            "{text}"
        );
    }
}

#[test]
fn wrong_tensors_are_named_with_their_prefix() {
    let change = |name: &str, shape: Option<&[usize]>| {
        let mut checkpoint = Checkpoint::new();
        let mut block = prefixed("module.", &checkpoint.block());
        block.retain(|(key, _)| key != name);
        block.extend(shape.map(|shape| (name.to_string(), checkpoint.ones(shape))));
        let head = ("module.fc.weight".to_string(), checkpoint.ones(&[2]));
        block.push(head);
        refusal(&checkpoint.file(Python::dictionary(block)))
    };
    let missing = change("module.bn.bias", None);
    assert!(
        missing.ends_with(
            "lacks 1 of the backbone's tensors: module.bn.bias; is it a file for another backbone?"
        ),
        "{missing}"
    );
    let larger = change("module.conv.bias", Some(&[3]));
    assert!(
        larger.contains("has 1 tensors that the backbone does not have: module.conv.bias;"),
        "{larger}"
    );
    let shape = change("module.bn.bias", Some(&[4]));
    assert!(
        shape.contains("module.bn.bias [4] instead of [3];"),
        "{shape}"
    );
}

#[test]
fn negative_variances_are_refused() {
    let mut checkpoint = Checkpoint::new();
    let mut block = prefixed("net.", &checkpoint.block());
    block.retain(|(name, _)| name != "net.bn.running_var");
    let variance = checkpoint.tensor(vec![1.0, -1e-6, 1.0], &[3]);
    block.push(("net.bn.running_var".into(), variance));
    let error = load(&checkpoint.file(Python::dictionary(block))).unwrap_err();
    assert!(matches!(error, WeightsError::NegativeVariance { .. }));
    let text = error.to_string();
    assert!(
        text.contains("the variances net.bn.running_var of ") && text.contains("below 0"),
        "{text}"
    );
}

#[test]
fn tensors_that_are_not_floating_point_are_refused_by_name() {
    let instructions = |text: &[u8]| Python::Instructions(text.to_vec());
    let integers = Python::Tensor {
        storage: 0,
        class: "CharStorage",
        shape: vec![3],
        strides: vec![1],
    };
    for (tensor, expected) in [
        (integers, "a tensor of i8; save the network in floating"),
        (
            instructions(b"ctorch._utils\n_rebuild_qtensor\n)R"),
            "a quantised tensor; save the network in floating",
        ),
        (
            instructions(b"ctorch._utils\n_rebuild_sparse_tensor\n)R"),
            "a sparse tensor; save dense",
        ),
        (
            instructions(b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R"),
            "a meta tensor; save dense",
        ),
        (
            instructions(
                b"ctorch._utils\n_rebuild_tensor_v3\n(NK\0))\x89Nctorch\nfloat8_e4m3fn\ntR",
            ),
            "a tensor of torch.float8_e4m3fn, which is not read;",
        ),
        (
            instructions(b"cnumpy.core.multiarray\n_reconstruct\n)R"),
            "a NumPy array; convert it with torch.as_tensor",
        ),
        (
            instructions(b"cargparse\nNamespace\n)\x81"),
            "an object of the class argparse.Namespace; save tensors",
        ),
    ] {
        let mut checkpoint = Checkpoint::new();
        let mut block = checkpoint.block();
        block.retain(|(name, _)| name != "bn.bias");
        block.push(("bn.bias".into(), tensor));
        let text = refusal(&checkpoint.file(Python::dictionary(block)));
        assert!(
            text.starts_with("bn.bias of ") && text.contains(expected),
            "{text}"
        );
    }
}

#[test]
fn pickled_models_are_refused_with_what_to_write() {
    let model = b"cmodels.resnet\nResNet\n)\x81}X\x08\0\0\0training\x88sb";
    let model = Python::Instructions(model.to_vec());
    let whole = Checkpoint::new().file(model.clone());
    let text = refusal(&whole);
    assert!(
        text.contains("whole pickled object of the class models.resnet.ResNet")
            && text.contains("torch.save(model.state_dict(), \"weights.pth\")"),
        "{text}"
    );
    let entry = Checkpoint::new().file(Python::dictionary([("model", model)]));
    let text = refusal(&entry);
    assert!(
        text.contains("the entry `model` of ")
            && text.contains("torch.save(checkpoint[\"model\"].state_dict(), \"weights.pth\")"),
        "{text}"
    );
    // The format before PyTorch 1.6 has the source of the class.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let old = b"(X\x06\0\0\0modulecmodels.resnet\nResNet\nX\x01\0\0\0fX\x01\0\0\0stQ)\x81}b";
    let old = Checkpoint::new().file(Python::Instructions(old.to_vec()));
    old.write_legacy(&path);
    let text = load_weights(block(), &path).unwrap_err().to_string();
    assert!(text.contains("of the class models.resnet.ResNet"), "{text}");
}
