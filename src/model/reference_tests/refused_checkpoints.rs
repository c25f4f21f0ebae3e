//! Errors of checkpoints.

use super::checkpoint_file::{Checkpoint, compiled, load, prefixed, refusal, several};
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
                && text.ends_with("; save those to use in a separate file"),
            "{text}"
        );
    }
}

#[test]
fn entry_of_a_checkpoint_with_several_networks_is_named_as_python_code() {
    let two = |keys: [&str; 2]| {
        let mut checkpoint = Checkpoint::new();
        let networks = [checkpoint.block(), checkpoint.block_of_ones()].map(Python::dictionary);
        let entries = keys.into_iter().zip(networks);
        (checkpoint, Python::dictionary(entries))
    };
    let (checkpoint, networks) = two(["student", "teacher"]);
    let text = refusal(&checkpoint.file(networks));
    assert!(
        text.ends_with(
            "has the backbone's tensors 2 times, named student.*, teacher.*; save those to use in a \
             separate file, such as torch.save(torch.load(FILE, weights_only=False)[\"student\"], \
             \"weights.pth\")"
        ),
        "{text}"
    );
    // The entry has both.
    let (checkpoint, networks) = two(["student", "teacher"]);
    let text = refusal(&checkpoint.file(Python::dictionary([("model", networks)])));
    let expected = "named model.student.*, model.teacher.*; save those to use in a separate file";
    assert!(text.ends_with(expected), "{text}");
    // A list, whose entries have numbers.
    let mut checkpoint = Checkpoint::new();
    let mut list = b"](".to_vec();
    for network in [checkpoint.block(), checkpoint.block_of_ones()] {
        Python::dictionary(network).write(&mut list);
    }
    list.push(b'e');
    let text = refusal(&checkpoint.file(Python::Instructions(list)));
    let expected = "named 0.*, 1.*; save those to use in a separate file";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn networks_with_wrapped_and_with_plain_layers_are_not_confused() {
    let mut checkpoint = Checkpoint::new();
    let network = compiled(checkpoint.block());
    let other = Python::dictionary(checkpoint.block_of_ones());
    let file = checkpoint.file(Python::dictionary([("net", network), ("best", other)]));
    let text = refusal(&file);
    let expected = "has the backbone's tensors 2 times, named net.*, best.*; save";
    assert!(text.contains(expected), "{text}");

    // The plain names are the same without the wrapper of the second network.
    let mut checkpoint = Checkpoint::new();
    let network = compiled(checkpoint.block());
    let other = Python::dictionary(checkpoint.block_of_ones());
    let other = Python::dictionary([("net", other)]);
    let file = checkpoint.file(Python::dictionary([("net", network), ("_orig_mod", other)]));
    let text = refusal(&file);
    let expected = "has the backbone's tensors 2 times, named net.*, _orig_mod.net.*; save";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn single_tensor_is_refused() {
    let mut checkpoint = Checkpoint::new();
    let tensor = checkpoint.ones(&[3]);
    let text = refusal(&checkpoint.file(tensor));
    let expected = ": it is a single tensor, not the tensors of a network by their names; save these \
                    with torch.save(model.state_dict(), \"weights.pth\")";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn pickle_protocol_zero_is_refused_by_name() {
    // torch.save({'a': torch.ones(3)}, file, pickle_protocol=0), up to its tensor.
    let pickle = b"(dp0\nVa\np1\nctorch._utils\n_rebuild_tensor_v2\np2\n(P('storage', <class \
                   'torch.FloatStorage'>, '0', 'cpu', 3)\n";
    let text = refusal(&Checkpoint::new().file(Python::Instructions(pickle.to_vec())));
    let expected = "it was saved with pickle protocol 0, which PyTorch does not load either; save it \
                    again with torch.save's default";
    assert!(text.ends_with(expected), "{text}");
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
    let negated = |is_set: &[u8]| {
        let tensor =
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
                       X\x01\0\0\x000X\x03\0\0\0cpuK\x03tQK\0K\x03\x85K\x01\x85\x89\
                       ccollections\nOrderedDict\n)R}X\x03\0\0\0neg";
        instructions(&[&tensor[..], is_set, b"stR"].concat())
    };
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
            // torch._neg_view(tensor), in protocols 2 and 1.
            negated(b"\x88"),
            "a view with the flag `neg`, whose stored values are not those of the tensor; save \
             tensor.resolve_neg()",
        ),
        (negated(b"I01\n"), "a view with the flag `neg`, "),
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
