//! The classes and functions that a pickle names.

use std::sync::Arc;

use burn::tensor::DType;

use crate::model::weights::unsupported::UnsupportedTensor;

/// A class or function.
#[derive(Debug)]
pub(super) enum Global {
    Function(Function),
    StorageClass(StorageClass),
    /// Any other, by its name.
    Named(Arc<str>),
}

/// The functions that state dictionaries call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Function {
    /// Returns a tensor, given a storage, an offset, a shape and strides.
    Tensor,
    /// Returns a tensor, given also a type that no class of storages has.
    TypedTensor,
    /// Returns a parameter, given a tensor.
    Parameter,
    /// Returns a tensor of a subclass, given a function and its arguments.
    Subclass,
    /// Returns an empty dictionary.
    Dictionary,
    /// Returns an object, given its class.
    Object,
    /// Returns something like a tensor that is not read.
    Unsupported(UnsupportedTensor),
}

/// The class of a storage, which is the type of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StorageClass {
    pub(super) numbers: Numbers,
    /// The size of a number in bytes.
    pub(super) size: usize,
}

/// The type of the numbers in a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    Known(DType),
    Unknown(&'static str),
}

/// The class or function `name` of `module`.
pub(super) fn global(module: &str, name: &str) -> Global {
    Global::Function(match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Function::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => Function::TypedTensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
        | ("torch.nn.parameter", "Parameter") => Function::Parameter,
        (
            "torch._tensor" | "torch.tensor" | "torch._utils",
            "_rebuild_from_type_v2" | "_rebuild_from_type",
        ) => Function::Subclass,
        ("collections", "OrderedDict" | "defaultdict") | ("builtins" | "__builtin__", "dict") => {
            Function::Dictionary
        }
        ("copy_reg" | "copyreg", "_reconstructor" | "__newobj__" | "__newobj_ex__") => {
            Function::Object
        }
        ("torch._utils", name) if name.starts_with("_rebuild_") => {
            Function::Unsupported(unsupported(name))
        }
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
            Function::Unsupported(UnsupportedTensor::NumpyArray)
        }
        ("torch" | "torch.cuda" | "torch.storage", storage) if storage.ends_with("Storage") => {
            let class = storage_class(storage);
            return class.map_or_else(|| named(module, name), Global::StorageClass);
        }
        _ => return named(module, name),
    })
}

fn named(module: &str, name: &str) -> Global {
    Global::Named(Arc::from(format!("{module}.{name}")))
}

/// What the function `name` of `torch._utils` returns.
fn unsupported(name: &str) -> UnsupportedTensor {
    match name {
        "_rebuild_qtensor" => UnsupportedTensor::Quantised,
        "_rebuild_nested_tensor" => UnsupportedTensor::Layout("nested"),
        "_rebuild_meta_tensor_no_storage" => UnsupportedTensor::Layout("meta"),
        "_rebuild_wrapper_subclass" => UnsupportedTensor::Layout("distributed"),
        name if name.starts_with("_rebuild_sparse") => UnsupportedTensor::Layout("sparse"),
        _ => UnsupportedTensor::Layout("special"),
    }
}

/// PyTorch's storage class `name`.
fn storage_class(name: &str) -> Option<StorageClass> {
    let known = |dtype: DType| StorageClass {
        numbers: Numbers::Known(dtype),
        size: dtype.size(),
    };
    let unknown = |name, size| StorageClass {
        numbers: Numbers::Unknown(name),
        size,
    };
    Some(match name {
        "DoubleStorage" => known(DType::F64),
        "FloatStorage" => known(DType::F32),
        "HalfStorage" => known(DType::F16),
        "BFloat16Storage" => known(DType::BF16),
        "LongStorage" => known(DType::I64),
        "IntStorage" => known(DType::I32),
        "ShortStorage" => known(DType::I16),
        "CharStorage" => known(DType::I8),
        "ByteStorage" | "BoolStorage" => known(DType::U8),
        "ComplexFloatStorage" => unknown("complex64", 8),
        "ComplexDoubleStorage" => unknown("complex128", 16),
        "QInt8Storage" => unknown("qint8", 1),
        "QUInt8Storage" => unknown("quint8", 1),
        "QInt32Storage" => unknown("qint32", 4),
        "QUInt4x2Storage" => unknown("quint4x2", 1),
        "QUInt2x4Storage" => unknown("quint2x4", 1),
        "UntypedStorage" => unknown("untyped", 1),
        _ => return None,
    })
}
