//! Downloads of published ImageNet weights into the user's cache folder. Every use verifies the file.
//!
//! A file is identified by its SHA-256. A partial download has the file's name with `.part`, and the
//! next attempt resumes it; it is renamed when it is complete and verified. If several processes need
//! the same file, one downloads it while the others wait. A file in the cache needs no request. Nothing
//! is deleted except a partial download that turns out to be of another file.

mod cache;
mod error;
#[cfg(test)]
mod tests;
mod transfer;

pub(super) use cache::Cache;
pub use error::DownloadError;
