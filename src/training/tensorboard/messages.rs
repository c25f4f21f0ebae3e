//! The protocol buffers of event files: the fields that are written, with the numbers of TensorBoard's
//! `event.proto`, `summary.proto`, `histogram.proto`, `tensor.proto` and `hparams/plugin_data.proto`. Other fields
//! are skipped when a file is read.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

/// A record of an event file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    /// The epoch.
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub(super) what: Option<What>,
}

/// The content of an [`Event`].
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum What {
    /// The first record of a file.
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// A reader forgets what it read of this step and later ones.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionLog {
    /// 1 is a start.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<Value>,
}

/// A value of a tag at a step.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(message, optional, tag = "9")]
    pub(super) metadata: Option<SummaryMetadata>,
    #[prost(oneof = "Data", tags = "2, 4, 5, 8")]
    pub(super) data: Option<Data>,
}

/// The data of a [`Value`].
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Data {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "4")]
    Image(Image),
    #[prost(message, tag = "5")]
    Histogram(Histogram),
    #[prost(message, tag = "8")]
    Text(Text),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Image {
    #[prost(int32, tag = "1")]
    pub(super) height: i32,
    #[prost(int32, tag = "2")]
    pub(super) width: i32,
    /// 3 is RGB.
    #[prost(int32, tag = "3")]
    pub(super) colorspace: i32,
    /// The bytes of a PNG or JPEG file.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) encoded: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(double, tag = "1")]
    pub(super) min: f64,
    #[prost(double, tag = "2")]
    pub(super) max: f64,
    #[prost(double, tag = "3")]
    pub(super) count: f64,
    #[prost(double, tag = "4")]
    pub(super) sum: f64,
    #[prost(double, tag = "5")]
    pub(super) sum_of_squares: f64,
    /// The upper limit of each bucket, increasing.
    #[prost(double, repeated, tag = "6")]
    pub(super) limits: Vec<f64>,
    /// The number of values in each bucket.
    #[prost(double, repeated, tag = "7")]
    pub(super) buckets: Vec<f64>,
}

/// A tensor of strings; without a shape, a scalar.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Text {
    /// 7 is a string.
    #[prost(int32, tag = "1")]
    pub(super) data_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub(super) strings: Vec<Vec<u8>>,
}

/// The shape of a scalar.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Shape {}

/// The part of TensorBoard that shows a tag, and what it shows beside it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SummaryMetadata {
    #[prost(message, optional, tag = "1")]
    pub(super) plugin: Option<PluginData>,
    #[prost(string, tag = "3")]
    pub(super) description: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PluginData {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) content: Vec<u8>,
}

/// The content of the plugin `hparams`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HyperParametersData {
    #[prost(message, optional, tag = "3")]
    pub(super) session_start: Option<SessionStart>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) hyper_parameters: BTreeMap<String, HyperParameter>,
}

/// The value of a hyper-parameter.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HyperParameter {
    #[prost(oneof = "HyperParameterValue", tags = "2, 3, 4")]
    pub(super) value: Option<HyperParameterValue>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum HyperParameterValue {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Switch(bool),
}
