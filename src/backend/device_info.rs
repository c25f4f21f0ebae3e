//! The description of a device.

use serde::Serialize;

/// A device of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// Number for `--device`, from 0.
    pub index: usize,
    /// Name, as the driver or the system reports it.
    pub name: String,
    /// Bytes of its memory; `None` if unknown.
    pub memory_bytes: Option<u64>,
    /// Name and version of its driver; `None` if unknown.
    pub driver: Option<String>,
}
