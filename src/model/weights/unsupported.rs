//! What a weights file may have in place of a floating-point tensor.

use std::fmt;
use std::sync::Arc;

use crate::shorten::shorten;

/// What a weights file has in place of a floating-point tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsupportedTensor {
    /// A tensor of integers or booleans, with its type.
    Integers(String),
    /// A tensor of another type that is not read, such as 8-bit floating point, with the type.
    Numbers(String),
    /// A tensor with scales and zero points.
    Quantised,
    /// A sparse, nested or distributed tensor, or another without a dense array, with its kind.
    Layout(&'static str),
    /// A view whose values PyTorch negates or conjugates when it uses them, with the name of this flag.
    LazyView(&'static str),
    /// A NumPy array.
    NumpyArray,
    /// A Python object, with its class.
    Object(Arc<str>),
}

impl fmt::Display for UnsupportedTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FLOAT: &str = "save the network in floating point, before it is quantised";
        match self {
            Self::Integers(dtype) => write!(f, "a tensor of {dtype}; {FLOAT}"),
            Self::Numbers(dtype) => write!(
                f,
                "a tensor of {}, which is not read; save it in single precision with \
                 model.float()",
                shorten(dtype)
            ),
            Self::Quantised => write!(f, "a quantised tensor; {FLOAT}"),
            Self::Layout(kind) => write!(f, "a {kind} tensor; save dense tensors with values"),
            Self::LazyView(flag) => write!(
                f,
                "a view with the flag `{flag}`, whose stored values are not those of the tensor; save \
                 tensor.resolve_{flag}()"
            ),
            Self::NumpyArray => f.write_str(
                "a NumPy array; convert it with torch.as_tensor, and save it with torch.save",
            ),
            Self::Object(class) => write!(
                f,
                "an object of the class {}; save tensors with torch.save(model.state_dict(), …)",
                shorten(class)
            ),
        }
    }
}
