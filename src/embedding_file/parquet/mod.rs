//! Apache Parquet: a table with a column of embeddings, which databases load.
//!
//! The columns `path`, `class`, `label` and `embedding` are written. In files of other programs, embeddings may
//! be called `embeddings` or `vector`, and are lists of floating-point numbers, of fixed size or not; labels are
//! integers or texts in the column `label` or `class`. The other columns are ignored.
//!
//! The low-level interface of the crate `parquet` is used, of its Arrow interface only the conversion of schemas.
//! A page is checked before it is decoded, because a small file can promise any number of values.

mod class_columns;
mod column;
mod flat_column;
mod list_column;
mod pages;
mod table;
mod write;

use bytes::Bytes;

use super::labels::Labels;
use super::raw_array::Matrix;
use crate::panic_capture::catch_message;
use crate::shorten::shorten;
use table::Table;

pub(super) use write::write_parquet;

/// The first and last bytes of a file.
pub(super) const MAGIC: &[u8] = b"PAR1";

/// The first and last bytes of a file whose footer is encrypted.
pub(super) const ENCRYPTED_MAGIC: &[u8] = b"PARE";

/// The key of the classes' names in the metadata, as in safetensors files.
const CLASSES_KEY: &str = "classes";

/// The contents of a Parquet file.
#[derive(Debug)]
pub(super) struct ParquetContents {
    pub(super) matrix: Matrix,
    /// The names of the images, one for each row.
    pub(super) paths: Option<Vec<String>>,
    /// The labels, or the reason for which the file has none; `None` if they were not asked for.
    pub(super) labels: Option<Result<Labels, String>>,
}

/// Parses a whole file.
///
/// # Errors
/// The difference from the format, with what to do.
pub(super) fn parse_parquet(bytes: Vec<u8>, with_labels: bool) -> Result<ParquetContents, String> {
    if bytes.starts_with(ENCRYPTED_MAGIC) {
        return Err("it is encrypted; save it without encryption".into());
    }
    // The crate checks most of what it reads, and panics on some of the rest.
    catch_message(|| parse(bytes.into(), with_labels))
        .unwrap_or_else(|panic| Err(table::damaged(&shorten(&panic))))
}

fn parse(bytes: Bytes, with_labels: bool) -> Result<ParquetContents, String> {
    let table = Table::open(bytes)?;
    let matrix = table.embeddings()?;
    let count = matrix.rows.len() / matrix.dim;
    let labels = match with_labels {
        true => Some(table.labels(count)?),
        false => None,
    };
    Ok(ParquetContents {
        matrix,
        paths: table.paths(count)?,
        labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_tables_are_refused_and_changed_bytes_do_not_panic() {
        for name in ["fixed-float", "both", "zstd", "snappy"] {
            let whole = std::fs::read(format!("assets/fixtures/parquet/{name}.parquet")).unwrap();
            for length in 0..whole.len() {
                parse_parquet(whole[..length].to_vec(), true).unwrap_err();
            }
            for at in 0..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= [1, 0x80, 0xff][at % 3];
                // A changed number is not noticed.
                let _ = parse_parquet(changed, true);
            }
        }
    }
}
