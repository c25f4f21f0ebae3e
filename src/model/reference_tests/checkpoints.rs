//! Checkpoints of trainings, and files with prefixes and shared tensors.

use burn_store::ModuleSnapshot;

use super::checkpoint_file::{Checkpoint, compiled, load, notes, prefixed, several};
use crate::model::weights::pth::writer::Python;

/// Objects as training programs save them beside the weights: instructions of pickles that Python wrote. None
/// of the classes is known here.
const OBJECTS: [(&str, &[u8]); 9] = [
    (
        "args",
        b"cargparse\nNamespace\n)\x81}(X\x02\0\0\0lrG?\xb9\x99\x99\x99\x99\x99\x9aX\x05\0\0\0names](X\x01\0\0\0\
          aX\x01\0\0\0beub",
    ),
    (
        "config",
        b"comegaconf.dictconfig\nDictConfig\n)\x81}X\x08\0\0\0_contentcomegaconf.nodes\nAnyNode\n)\x81sb",
    ),
    (
        "best",
        b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R(K\x03X\x01\0\0\0<NNN\
          J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbc_codecs\nencode\nX\x08\0\0\0abcdefghX\x06\0\0\0latin1\x86R\x86R",
    ),
    (
        "history",
        b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RX\x01\0\0\0a]K\x01as",
    ),
    ("size", b"ctorch\nSize\n(K\x02K\x03t\x85R"),
    ("dtype", b"ctorch\nfloat16\n"),
    ("device", b"ctorch\ndevice\nX\x04\0\0\0cuda\x85R"),
    ("phase", b"c__main__\nPhase\nK\x01\x85R"),
    // Protocol 0 and 1: an object of Python 2, a decimal number, a truth value, and an integer.
    ("old", b"(i__main__\nSettings\n(dp9\nS'rate'\nF0.1\nsS'count'\nI3\nsS'on'\nI01\nsb"),
];

#[test]
fn training_checkpoints_are_read_beside_objects_of_unknown_classes() {
    for container in [
        "state_dict",
        "model",
        "model_state_dict",
        "net",
        "network",
        "weights",
        "module",
    ] {
        let mut checkpoint = Checkpoint::new();
        let objects = OBJECTS.map(|(name, instructions)| {
            let object = Python::Instructions(instructions.to_vec());
            (name.to_string(), object)
        });
        let moment = checkpoint.ones(&[3]);
        let block = Python::dictionary(checkpoint.block());
        let optimizer = Python::dictionary([("exp_avg", moment)]);
        let entries = objects.into_iter().chain([
            ("epoch".to_string(), Python::Integer(12)),
            (container.to_string(), block),
            ("optimizer".to_string(), optimizer),
        ]);
        let file = checkpoint.file(Python::dictionary(entries));
        assert_eq!(
            notes(&file),
            [
                format!("the backbone's tensors are those named {container}.*"),
                "1 other tensor is not used: optimizer.exp_avg".to_string(),
            ]
        );
    }
}

#[test]
fn prefixes_are_removed_and_reported() {
    for prefix in [
        "module.",
        "_orig_mod.",
        "model.",
        "backbone.",
        "encoder.",
        "net.",
        "encoder_q.",
        "module._orig_mod.backbone.",
        "model.model.",
    ] {
        let mut checkpoint = Checkpoint::new();
        let block = checkpoint.block();
        let file = checkpoint.file(Python::dictionary(prefixed(prefix, &block)));
        assert_eq!(
            notes(&file),
            [format!("the backbone's tensors are those named {prefix}*")]
        );
    }
    let mut checkpoint = Checkpoint::new();
    let block = checkpoint.block();
    let file = checkpoint.file(Python::dictionary(block));
    assert_eq!(notes(&file), [""; 0]);
}

#[test]
fn parts_of_names_that_wrappers_of_layers_add_are_removed() {
    let mut checkpoint = Checkpoint::new();
    let block = checkpoint.block().into_iter();
    let wrapped = block.map(|(name, tensor)| {
        let name = name.replace("conv.", "conv._orig_mod.");
        (format!("backbone.{name}"), tensor)
    });
    let file = checkpoint.file(Python::dictionary(wrapped));
    let found = notes(&file);
    assert!(
        found[0].contains("`_orig_mod.`") && found[1].ends_with("named backbone.*"),
        "{found:?}"
    );
}

#[test]
fn network_with_wrapped_layers_is_preferred_to_its_plain_moving_average() {
    let mut checkpoint = Checkpoint::new();
    let network = compiled(checkpoint.block());
    let average = Python::dictionary(checkpoint.block_of_ones());
    let file = checkpoint.file(Python::dictionary([
        ("state_dict", network),
        ("ema", average),
    ]));
    let found = notes(&file);
    assert!(found[0].contains("`_orig_mod.`"), "{found:?}");
    assert_eq!(
        found[1..],
        [
            "the backbone's tensors are those named state_dict.*",
            "the moving average of the backbone is not used: ema.*",
            "5 other tensors are not used: ema.bn.bias, ema.bn.running_mean, ema.bn.running_var, \
             ema.bn.weight and 1 more",
        ]
    );
}

#[test]
fn heads_losses_and_optimizers_of_a_whole_system_are_ignored_and_named() {
    let mut checkpoint = Checkpoint::new();
    let block = prefixed("model.backbone.", &checkpoint.block());
    let heads = ["loss.weight", "model.head.bias", "model.head.weight"];
    let heads = heads.map(|name| (name.to_string(), checkpoint.ones(&[3])));
    let moments = [("0", checkpoint.ones(&[3])), ("1", checkpoint.ones(&[3]))];
    let state = Python::dictionary(block.into_iter().chain(heads));
    let file = checkpoint.file(Python::dictionary([
        ("state_dict", state),
        ("optimizer_states", Python::dictionary(moments)),
    ]));
    assert_eq!(
        notes(&file),
        [
            "the backbone's tensors are those named state_dict.model.backbone.*",
            "5 other tensors are not used: state_dict.model.head.bias, \
             state_dict.model.head.weight, state_dict.loss.weight, optimizer_states.0 and 1 more",
        ]
    );

    // A classifier beside the backbone, with a value that no network can use.
    let mut checkpoint = Checkpoint::new();
    let mut block = checkpoint.block();
    block.push((
        "fc.weight".into(),
        checkpoint.tensor(vec![f32::NAN], &[1, 1]),
    ));
    block.push(("head.0.bias".into(), checkpoint.ones(&[3])));
    let file = checkpoint.file(Python::dictionary(block));
    assert_eq!(
        notes(&file),
        ["2 other tensors are not used: fc.weight, head.0.bias"]
    );
}

#[test]
fn network_is_preferred_to_its_moving_average() {
    for [network, average] in [
        ["state_dict.", "state_dict_ema."],
        ["model.", "model_ema."],
        ["online_encoder.net.", "target_encoder.net."],
        ["encoder_q.", "encoder_k."],
        ["backbone.", "momentum_backbone."],
    ] {
        let found = notes(&several(&[network, average]));
        assert_eq!(
            found[..2],
            [
                format!("the backbone's tensors are those named {network}*"),
                format!("the moving average of the backbone is not used: {average}*"),
            ]
        );
    }
    assert_eq!(
        notes(&several(&["model_ema."])),
        ["the backbone's tensors are those named model_ema.*, a moving average of the weights"]
    );
}

#[test]
fn network_with_two_names_for_the_same_tensors_is_read() {
    // As byol-pytorch saves its learner.
    let mut checkpoint = Checkpoint::new();
    let block = checkpoint.block();
    let mut tensors = prefixed("net.", &block);
    tensors.extend(prefixed("online_encoder.net.", &block));
    let file = checkpoint.file(Python::dictionary(tensors));
    assert_eq!(
        notes(&file)[0],
        "the backbone's tensors are those named net.*"
    );
}

#[test]
fn expanded_and_tied_tensors_are_read() {
    let mut checkpoint = Checkpoint::new();
    let one = |storage, shape: &[usize]| Python::Tensor {
        storage,
        class: "FloatStorage",
        shape: shape.to_vec(),
        strides: vec![0; shape.len()],
    };
    checkpoint.storages = vec![vec![0.5], vec![2.0]];
    let file = checkpoint.file(Python::dictionary([
        ("conv.weight", one(0, &[3, 2, 3, 3])),
        ("bn.weight", one(1, &[3])),
        ("bn.bias", one(1, &[3])),
        ("bn.running_mean", one(0, &[3])),
        ("bn.running_var", one(1, &[3])),
        // Larger than any tensor that is read, and not used.
        ("fc.weight", one(1, &[1 << 30, 1 << 30])),
    ]));
    let loaded = load(&file).unwrap();
    let value = |name: &str| {
        let tensors = loaded.module.collect(None, None, false).into_iter();
        let tensor = tensors.into_iter().find(|t| t.full_path() == name).unwrap();
        tensor.to_data().unwrap().into_vec::<f32>().unwrap()
    };
    assert_eq!(value("conv.weight"), [0.5; 54]);
    assert_eq!(value("bn.bias"), [2.0; 3]);
    assert_eq!(value("bn.running_mean"), [0.5; 3]);
}
