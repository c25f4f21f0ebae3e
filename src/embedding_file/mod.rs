//! Files of embeddings with labels.
//!
//! A safetensors file has `embeddings` \[N, D\] and `labels` \[N\], −1 for images without a class. Its
//! metadata may have `paths` and `classes`, each a JSON list: the names of the images, row by row, and the
//! names of the classes, which the labels then index. An `.npz` archive has the same two arrays. A `.npy` file
//! is the embeddings alone; `NAME.labels.npy` beside `NAME.npy` has the labels, and `NAME.json` the names. A
//! Parquet file is a table for databases, with the columns `path`, `class`, `label` and `embedding`.
//!
//! [`Embeddings`] reads these files, of floating-point numbers and integers of any width and byte order, and
//! of texts as labels. [`EmbeddingOutput`] writes safetensors files of f32 and i64, NumPy's arrays or Parquet
//! files, and [`MatrixOutput`] the first two.

mod array;
mod array_names;
mod contents;
mod element;
mod embeddings;
mod error;
mod image_names;
#[cfg(test)]
mod label_file_tests;
mod label_table;
mod label_text;
mod labels;
mod metadata;
mod named_embeddings;
mod npy;
mod npz;
mod output;
mod output_format;
mod parquet;
mod raw_array;
mod read;
mod read_tensors;
mod tensor_file;
#[cfg(test)]
mod tests;

pub use embeddings::Embeddings;
pub use error::{EmbeddingFileError, RowNames};
pub use labels::NO_CLASS;
pub use named_embeddings::NamedEmbeddings;
pub use output::{EmbeddingOutput, MatrixOutput};
#[cfg(feature = "fuzzing")]
pub(crate) use read::parse_labels;
pub use read::{LabelsOption, is_embedding_file};
