//! `NAME.json` beside an exported embedder: the same for people and other programs.

use std::collections::BTreeMap;

use burn::tensor::backend::Backend;
use serde_json::{Value, json};

use super::{ExportHeader, TorchTensor};
use crate::data::config::EvalResize;
use crate::model::Embedder;
use crate::model::config::{Backbone, Descriptor, ModelConfig, Pooling};

/// What the embedder is, how images are brought to it, and what its tensors are.
pub(super) fn describe<B: Backend>(
    header: &ExportHeader,
    embedder: &Embedder<B>,
    tensors: &BTreeMap<String, TorchTensor>,
) -> Value {
    let shapes: BTreeMap<&str, &[usize]> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()))
        .collect();
    let input = embedder.input_scaling();
    json!({
        "about": "An image embedder exported by loop-dml. The tensors, single precision under \
                  PyTorch's names and in PyTorch's order of axes, are in the safetensors file of \
                  this name, whose metadata repeats what is needed to embed; this file is for people \
                  and other programs.",
        "loop_dml": header.loop_dml,
        "measured": header.measured,
        "model": header.model,
        "embedding": {
            "length": header.model.embedding_dim,
            "unit_length": header.model.normalize,
            "mirror_averaging": header.mirror,
        },
        "preprocessing": {
            "image_size": header.preprocessing.image_size,
            "resize": header.preprocessing.resize,
            "eval_resize": header.preprocessing.eval_resize,
            "jpeg_dct_scaling": header.preprocessing.jpeg_dct_scaling,
            "mean": decimal(header.preprocessing.mean),
            "std": decimal(header.preprocessing.std),
            "rescale": input.map(|[factor, offset]| {
                json!({"factor": decimal(factor), "offset": decimal(offset)})
            }),
            "steps": steps(header, input),
        },
        "tensors": shapes,
        "pytorch": in_pytorch(&header.model, input.is_some()),
    })
}

/// The shortest decimal numbers that are these in single precision, as people wrote them: 0.485 and
/// not 0.48500001430511475.
fn decimal(numbers: [f32; 3]) -> [Value; 3] {
    numbers
        .map(|number| serde_json::from_str(&number.to_string()).unwrap_or_else(|_| json!(number)))
}

/// From a file to an embedding, in words.
fn steps(header: &ExportHeader, input: Option<[[f32; 3]; 2]>) -> Vec<String> {
    let p = &header.preprocessing;
    let side = p.image_size;
    let mut decode = "Decode to 8 bit RGB, turned upright as EXIF says; grey becomes three equal \
                      channels, 16 bit are scaled to 8, what is transparent is laid over white; \
                      colour profiles are not applied."
        .to_string();
    if p.jpeg_dct_scaling {
        decode += " loop-dml decodes a JPEG with at least six times the pixels that are needed in \
                   each direction at a half, a quarter or an eighth of its size; in the mean that \
                   is up to two levels different.";
    }
    let resize = match p.eval_resize {
        EvalResize::Direct => format!(
            "Resize straight to {side} x {side} pixels, aspect not kept, bilinear with antialiasing \
             (PIL's is the same to one level of 255)."
        ),
        EvalResize::CenterCrop => format!(
            "Resize until the shorter side has {} pixels, the longer one rounded down, bilinear with \
             antialiasing (PIL's is the same to one level of 255); cut out the middle {side} x \
             {side}, whose left upper corner is at ((width - {side}) / 2, (height - {side}) / 2), \
             rounded down.",
            p.resize
        ),
    };
    let mut steps = vec![
        decode,
        resize,
        format!(
            "x = (byte / 255 - mean) / std with mean {:?} and std {:?} of red, green and blue; order \
             of axes [N, 3, {side}, {side}].",
            p.mean, p.std
        ),
    ];
    if let Some([factor, offset]) = input {
        steps.push(format!(
            "x = x * factor + offset with factor {factor:?} and offset {offset:?}: the scale that \
             the pretrained weights were trained on."
        ));
    }
    steps.push(network(&header.model));
    if header.mirror {
        steps.push(format!(
            "The same for the image mirrored left to right; the mean of the two embeddings{}.",
            if header.model.normalize {
                ", divided by its length again"
            } else {
                ""
            }
        ));
    }
    steps
}

/// From feature maps to an embedding, in words.
fn network(model: &ModelConfig) -> String {
    let descriptor = |descriptor: &Descriptor| match descriptor {
        Descriptor::Average => "the mean over positions",
        Descriptor::Max => "the maximum over positions",
        Descriptor::Gem => {
            "(the mean over positions of max(x, 0)^p)^(1/p), p the sum of model.gem_power and, where \
             it is there, gem.power_offset"
        }
    };
    let names: Vec<&str> = model.pooling.0.iter().map(descriptor).collect();
    let parts = names.len();
    let mut text = format!(
        "The backbone with the statistics of its batch norms fixed; its map pooled: {}; the dense \
         layer",
        names.join("; ")
    );
    if parts > 1 {
        text += &format!(
            ", of whose outputs the i-th of {parts} equal parts are those of the i-th descriptor"
        );
        if model.normalize {
            text += ", each part divided by its length";
        }
    }
    if model.normalize {
        text += "; its output divided by its length";
    }
    text + "."
}

/// How the backbone's tensors are loaded in PyTorch; nothing where that was not tried.
fn in_pytorch(model: &ModelConfig, rescales: bool) -> Option<String> {
    let network = match model.backbone {
        Backbone::GoogLeNet if model.pooling == Pooling::default() => format!(
            "torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=False, \
             transform_input={}) with fc = torch.nn.Identity()",
            if rescales { "True" } else { "False" }
        ),
        _ => return None,
    };
    Some(format!(
        "{network} takes the tensors below `backbone.` without that prefix (load_state_dict) and \
         gives the pooled features; head.weight and head.bias are those of a torch.nn.Linear after \
         it. loop-dml itself writes no ONNX; from there torch.onnx.export does."
    ))
}
