//! `model.pooling`: how a feature map is reduced to the input of the dense layer.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use toml::Value;

/// One or several global descriptors: `"average"`, or `["average", "gem"]`.
///
/// Several are combined as in CGD (Jun et al. 2019, arXiv 1903.10663): each has a separate dense layer
/// whose output is an equal part of the embedding, scaled to unit length; the parts are concatenated and
/// scaled again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Pooling(pub Vec<Descriptor>);

/// A global descriptor: one number per channel of a feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Descriptor {
    /// The mean over positions.
    Average,
    /// The maximum over positions.
    Max,
    /// The generalised mean (Radenović et al. 2018, arXiv 1711.02512).
    Gem,
}

/// Configuration of generalised-mean pooling (GeM).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GemConfig {
    /// p, at least 1; the initial value if it is learned.
    pub power: f64,
    /// Whether p is learned.
    pub learned: bool,
}

impl Default for GemConfig {
    /// The published p, fixed as in CGD, which is independent of the optimiser. The authors of GeM learn
    /// p at ten times the network's learning rate and without weight decay.
    fn default() -> Self {
        Self {
            power: 3.0,
            learned: false,
        }
    }
}

impl Default for Pooling {
    fn default() -> Self {
        Self(vec![Descriptor::Average])
    }
}

impl Pooling {
    /// Whether GeM is one of the descriptors.
    pub fn has_gem(&self) -> bool {
        self.0.contains(&Descriptor::Gem)
    }

    /// A descriptor that occurs twice.
    pub(super) fn repeated(&self) -> Option<Descriptor> {
        let mut seen = self.0.iter().enumerate();
        seen.find(|(i, descriptor)| self.0[..*i].contains(descriptor))
            .map(|(_, descriptor)| *descriptor)
    }
}

impl JsonSchema for Pooling {
    fn schema_name() -> Cow<'static, str> {
        "Pooling".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let descriptor = generator.subschema_for::<Descriptor>();
        json_schema!({
            "anyOf": [descriptor, { "type": "array", "items": descriptor, "minItems": 1 }],
        })
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Average => "average",
            Self::Max => "max",
            Self::Gem => "gem",
        })
    }
}

impl From<Pooling> for Value {
    fn from(Pooling(descriptors): Pooling) -> Self {
        match descriptors.as_slice() {
            [one] => Value::String(one.to_string()),
            several => Value::Array(several.iter().map(|one| one.to_string().into()).collect()),
        }
    }
}

impl TryFrom<Value> for Pooling {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let descriptors = match value {
            Value::Array(descriptors) => descriptors,
            one => vec![one],
        };
        descriptors
            .into_iter()
            .map(Value::try_into)
            .collect::<Result<_, toml::de::Error>>()
            .map(Self)
            .map_err(|error| error.message().to_string())
    }
}
