//! Files of embeddings with labels.
//!
//! A safetensors file has `embeddings` f32 \[N, D\] and `labels` i64 \[N\], −1 for images without a
//! class. Its metadata may have `paths` and `classes`, each a JSON list: the names of the images, row
//! by row, and the names of the classes, which the labels then index.
//!
//! [`Embeddings`] reads such a file. [`EmbeddingOutput`] writes one, or NumPy's arrays.

mod array;
mod embeddings;
mod error;
mod metadata;
mod npy;
mod output;
mod tensor_file;

pub use embeddings::Embeddings;
pub use error::EmbeddingFileError;
pub use output::{EmbeddingOutput, NamedEmbeddings};
pub use tensor_file::write_matrix;
