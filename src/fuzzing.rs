//! The parsers of all file formats, for the fuzz targets in `fuzz/`.

/// x
pub fn config(_: &[u8]) {}

/// x
pub fn csv_list(_: &[u8]) {}

/// x
pub fn idx(_: &[u8]) {}

/// x
pub fn mat(_: &[u8]) {}

/// x
pub fn embeddings(_: &[u8]) {}

/// x
pub fn exported_embedder(_: &[u8]) {}

/// x
pub fn safetensors_weights(_: &[u8]) {}

/// x
pub fn pth(_: &[u8]) {}

/// x
pub fn image(_: &[u8]) {}
