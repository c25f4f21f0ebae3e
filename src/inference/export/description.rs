//! `NAME.json` beside an exported embedder, for people and other programs.

use std::collections::BTreeMap;

use burn::tensor::backend::Backend;
use serde_json::{Value, json};

use super::header::{ExportHeader, Preprocessing};
use super::tensors::TorchTensor;
use crate::data::config::EvalResize;
use crate::model::Embedder;
use crate::model::config::{Backbone, Descriptor, ModelConfig, Pooling};

/// Returns the description of the embedder, its preprocessing and its tensors.
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
    let inputs = match header.preprocessing {
        Some(_) => "images",
        None => "features of another model",
    };
    json!({
        "about": format!(
            "An embedder of {inputs} exported by loop-dml. The safetensors file of the same name has the tensors in \
             single precision, with PyTorch's names and order of axes, and in its metadata everything that loop-dml \
             needs to embed {inputs}. This file is for people and other programs."
        ),
        "loop_dml": header.loop_dml,
        "measured": header.measured,
        "model": header.model,
        "embedding": {
            "length": header.model.embedding_dim,
            "unit_length": header.model.normalize,
            "mirror_averaging": header.mirror,
        },
        "preprocessing": match &header.preprocessing {
            Some(preprocessing) => json!({
                "image_size": preprocessing.image_size,
                "resize": preprocessing.resize,
                "eval_resize": preprocessing.eval_resize,
                "jpeg_dct_scaling": preprocessing.jpeg_dct_scaling,
                "mean": decimal(preprocessing.mean),
                "std": decimal(preprocessing.std),
                "rescale": input.map(|[factor, offset]| {
                    json!({"factor": decimal(factor), "offset": decimal(offset)})
                }),
                "steps": image_steps(header, preprocessing, input),
            }),
            None => json!({ "steps": feature_steps(&header.model) }),
        },
        "tensors": shapes,
        "pytorch": in_pytorch(&header.model, input.is_some()),
    })
}

/// Returns the shortest decimal numbers that are equal in single precision, such as 0.485 instead of
/// 0.48500001430511475.
fn decimal(numbers: [f32; 3]) -> [Value; 3] {
    numbers
        .map(|number| serde_json::from_str(&number.to_string()).unwrap_or_else(|_| json!(number)))
}

/// Returns the steps from a row of features to an embedding, in words.
fn feature_steps(model: &ModelConfig) -> Vec<String> {
    let mut steps = vec![format!(
        "Compute {} features with the model that the head was trained on, in single precision.",
        model.feature_dim.unwrap_or_default()
    )];
    if model.standardize == Some(true) {
        steps.push(
            "x = (x - standardization.mean) / standardization.deviation, number by number.".into(),
        );
    }
    steps.push(head(model));
    steps
}

/// Returns the steps from an image file to an embedding, in words.
fn image_steps(
    header: &ExportHeader,
    p: &Preprocessing,
    input: Option<[[f32; 3]; 2]>,
) -> Vec<String> {
    let side = p.image_size;
    let mut decode = "Decode to 8 bit RGB and rotate by the EXIF orientation. Grey becomes three \
                      equal channels, 16 bit are scaled to 8, transparent pixels are blended with \
                      white. Colour profiles are ignored."
        .to_string();
    if p.jpeg_dct_scaling {
        decode += " loop-dml decodes a JPEG that is at least six times larger than needed in each \
                   direction at a half, a quarter or an eighth of its size. The mean difference is up \
                   to two levels of 255.";
    }
    let resize = match p.eval_resize {
        EvalResize::Direct => format!(
            "Resize to {side} x {side} pixels regardless of the aspect ratio, bilinear with \
             antialiasing (equal to PIL's within one level of 255)."
        ),
        EvalResize::CenterCrop => format!(
            "Resize until the shorter side has {} pixels, with the longer one rounded down, bilinear \
             with antialiasing (equal to PIL's within one level of 255). Crop the central {side} x \
             {side} pixels, whose top left corner is at ((width - {side}) / 2, (height - {side}) / \
             2), rounded down.",
            p.resize
        ),
    };
    let mut steps = vec![
        decode,
        resize,
        format!(
            "x = (byte / 255 - mean) / std with mean {:?} and std {:?} of red, green and blue; the \
             axes are [N, 3, {side}, {side}].",
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
            "Repeat with the image mirrored left to right and average the two embeddings{}.",
            if header.model.normalize {
                ", then divide by the length again"
            } else {
                ""
            }
        ));
    }
    steps
}

/// Returns the steps from an input to an embedding, in words.
fn network(model: &ModelConfig) -> String {
    let descriptor = |descriptor: &Descriptor| match descriptor {
        Descriptor::Average => "the mean over positions",
        Descriptor::Max => "the maximum over positions",
        Descriptor::Gem => {
            "(the mean over positions of max(x, 0)^p)^(1/p), where p is model.gem_power, plus \
             gem.power_offset if that tensor exists"
        }
    };
    let names: Vec<&str> = model.pooling.0.iter().map(descriptor).collect();
    format!(
        "Apply the backbone with the running statistics of its batch norms. Pool its map by {}. {}",
        names.join("; "),
        head(model)
    )
}

/// Returns the steps from pooled features to an embedding, in words.
fn head(model: &ModelConfig) -> String {
    let parts = model.pooling.0.len();
    let mut text = match model.hidden {
        Some(_) => "Apply the dense layer hidden.linear and ReLU. ",
        None => "",
    }
    .to_string();
    text += "Apply the dense layer head";
    if parts > 1 {
        text += &format!(
            "; the i-th of {parts} equal parts of its output belongs to the i-th descriptor"
        );
        if model.normalize {
            text += ". Divide each part by its length";
        }
    }
    if model.normalize {
        text += ". Divide the output by its length";
    }
    text + "."
}

/// Returns how to load the backbone's tensors in PyTorch; `None` for networks that are not tested.
fn in_pytorch(model: &ModelConfig, rescales: bool) -> Option<String> {
    let network = match model.backbone {
        Backbone::GoogLeNet if model.pooling == Pooling::default() => format!(
            "torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=False, \
             transform_input={}) with fc = torch.nn.Identity()",
            if rescales { "True" } else { "False" }
        ),
        _ => return None,
    };
    let hidden = match model.hidden {
        Some(_) => {
            "hidden.linear.weight and hidden.linear.bias belong to a torch.nn.Linear with ReLU after it, and "
        }
        None => "",
    };
    let after = match model.hidden {
        Some(_) => "that",
        None => "it",
    };
    Some(format!(
        "{network} loads the tensors below `backbone.` without that prefix (load_state_dict) and \
         returns the pooled features. {hidden}head.weight and head.bias belong to a torch.nn.Linear after {after}. \
         loop-dml does not write ONNX; torch.onnx.export does."
    ))
}
