//! Writing embeddings, in the format of the file's extension.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::array::Array;
use super::error::EmbeddingFileError;
use super::metadata::{self, CLASSES, PATHS};
use super::named_embeddings::NamedEmbeddings;
use super::npy::write_npy;
use super::output_format::{EmbeddingFormat, MatrixFormat};
use super::parquet::write_parquet;
use super::tensor_file::write_tensors;
use crate::atomic_file::{AtomicFileError, AtomicFiles, check_free, write_new};

/// The output file of embeddings; its extension is the format.
///
/// `NAME.safetensors` and `NAME.parquet` contain everything. `NAME.npy` contains only the embeddings, because the format
/// has one array; `NAME.labels.npy` and `NAME.json` with `paths` and `classes` are written beside it.
#[derive(Debug, Clone)]
pub struct EmbeddingOutput {
    path: PathBuf,
    format: EmbeddingFormat,
}

impl EmbeddingOutput {
    /// Creates an output to `path`. Neither it nor the files beside it may exist.
    ///
    /// # Errors
    /// If a file exists, the folder does not, or the extension is unknown.
    pub fn new(path: &Path) -> Result<Self, EmbeddingFileError> {
        let output = Self {
            path: path.to_path_buf(),
            format: EmbeddingFormat::of(path)?,
        };
        output.files().try_for_each(|file| check_free(&file))?;
        Ok(output)
    }

    /// Returns the files that are written.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let numpy = self.format == EmbeddingFormat::Npy;
        let beside = numpy.then(|| self.files_beside());
        std::iter::once(self.path.clone()).chain(beside.into_iter().flatten())
    }

    /// The files of labels and of names beside `NAME.npy`.
    fn files_beside(&self) -> [PathBuf; 2] {
        ["labels.npy", "json"].map(|end| self.path.with_extension(end))
    }

    /// Writes the embeddings.
    ///
    /// # Errors
    /// If a file was created meanwhile, or cannot be written. Then none of the files is left.
    pub fn write(&self, embeddings: &NamedEmbeddings) -> Result<(), EmbeddingFileError> {
        match self.format {
            EmbeddingFormat::Safetensors => self.write_safetensors(embeddings)?,
            EmbeddingFormat::Npy => self.write_numpy(embeddings)?,
            EmbeddingFormat::Parquet => {
                write_new(&self.path, |file| write_parquet(embeddings, file))?;
            }
        }
        Ok(())
    }

    fn write_safetensors(&self, embeddings: &NamedEmbeddings) -> Result<(), AtomicFileError> {
        let NamedEmbeddings { paths, classes, .. } = embeddings;
        let [rows, labels] = arrays(embeddings);
        let tensors = [("embeddings", rows), ("labels", labels)];
        let metadata = metadata::from_names(paths, classes);
        write_tensors(&self.path, tensors, Some(metadata))
    }

    fn write_numpy(&self, embeddings: &NamedEmbeddings) -> Result<(), AtomicFileError> {
        let NamedEmbeddings { paths, classes, .. } = embeddings;
        let [rows, labels] = arrays(embeddings);
        let [labels_path, names_path] = self.files_beside();
        let mut files = AtomicFiles::default();
        files.write(&labels_path, |file| write_npy(&labels, file))?;
        files.write(&names_path, |file| {
            writeln!(file, "{}", json!({PATHS: paths, CLASSES: classes}))
        })?;
        // The embeddings are last: if they exist, the rest does too.
        files.write(&self.path, |file| write_npy(&rows, file))?;
        files.persist()
    }
}

/// The embeddings and the labels.
fn arrays(embeddings: &NamedEmbeddings) -> [Array<'_>; 2] {
    let NamedEmbeddings {
        rows, dim, labels, ..
    } = embeddings;
    let count = labels.len();
    [
        Array::floats(rows, vec![count, *dim]),
        Array::integers(labels, vec![count]),
    ]
}

/// The output file of a matrix; its extension, `.safetensors` or `.npy`, is the format.
#[derive(Debug, Clone)]
pub struct MatrixOutput {
    path: PathBuf,
    format: MatrixFormat,
}

impl MatrixOutput {
    /// Creates an output to `path`, which may not exist.
    ///
    /// # Errors
    /// If the file exists, its folder does not, or the extension is unknown.
    pub fn new(path: &Path) -> Result<Self, EmbeddingFileError> {
        let format = MatrixFormat::of(path)?;
        check_free(path)?;
        let path = path.to_path_buf();
        Ok(Self { path, format })
    }

    /// Writes the matrix, in a safetensors file as its only tensor `name`.
    ///
    /// # Shapes
    /// - rows: \[N, dim\], row by row
    ///
    /// # Errors
    /// If the file was created meanwhile, or cannot be written.
    pub fn write(&self, name: &str, rows: &[f32], dim: usize) -> Result<(), AtomicFileError> {
        let matrix = Array::floats(rows, vec![rows.len() / dim, dim]);
        match self.format {
            MatrixFormat::Safetensors => write_tensors(&self.path, [(name, matrix)], None),
            MatrixFormat::Npy => write_new(&self.path, |file| write_npy(&matrix, file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::LabelsOption;
    use super::super::embeddings::Embeddings;
    use super::*;

    fn read(path: &Path) -> Result<Embeddings, EmbeddingFileError> {
        let labels = LabelsOption {
            name: "--labels",
            file: None,
        };
        Embeddings::read(path, labels)
    }

    fn two_rows() -> NamedEmbeddings {
        NamedEmbeddings {
            rows: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            dim: 3,
            labels: vec![1, -1],
            paths: vec!["b/0.png".into(), "stray, \"odd\".png".into()],
            classes: vec!["a".into(), "b".into()],
        }
    }

    #[test]
    fn safetensors_file_has_rows_labels_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.safetensors");
        EmbeddingOutput::new(&path)
            .unwrap()
            .write(&two_rows())
            .unwrap();
        let read = read(&path).unwrap();
        assert_eq!((read.rows, read.dim), (two_rows().rows, 3));
        assert_eq!(read.labels, [1, -1]);
        assert_eq!(read.classes, Some(two_rows().classes));
        assert_eq!(read.paths, Some(two_rows().paths));
    }

    #[test]
    fn numpy_array_has_labels_and_names_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let output = EmbeddingOutput::new(&path).unwrap();
        output.write(&two_rows()).unwrap();
        let back = read(&path).unwrap();
        assert_eq!((back.rows, back.dim), (two_rows().rows, 3));
        assert_eq!(back.labels, [1, -1]);
        assert_eq!(back.classes, Some(two_rows().classes));
        assert_eq!(back.paths, Some(two_rows().paths));
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        // 128 bytes of header, then the values.
        let bytes = read("rows.npy");
        assert!(String::from_utf8_lossy(&bytes).contains("'shape': (2, 3)"));
        let rows: Vec<u8> = two_rows()
            .rows
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        assert_eq!(bytes[128..], rows);
        let bytes = read("rows.labels.npy");
        let labels: Vec<u8> = two_rows()
            .labels
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        assert_eq!(bytes[128..], labels);
        let names: serde_json::Value = serde_json::from_slice(&read("rows.json")).unwrap();
        assert_eq!(names["paths"], json!(two_rows().paths));
        assert_eq!(names["classes"], json!(two_rows().classes));
        // One existing file of the three is enough for an error.
        std::fs::remove_file(&path).unwrap();
        let error = EmbeddingOutput::new(&path).unwrap_err().to_string();
        assert!(error.contains("rows.labels.npy exists"), "{error}");
    }

    #[test]
    fn no_file_is_left_if_the_embeddings_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let output = EmbeddingOutput::new(&path).unwrap();
        std::fs::write(&path, "meanwhile").unwrap();
        output.write(&two_rows()).unwrap_err();
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn unknown_extension_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let new = |name: &str| EmbeddingOutput::new(&folder.path().join(name));
        for name in ["rows.csv", "rows.npz", "rows", "npy", "rows.npy.gz"] {
            let error = new(name).unwrap_err().to_string();
            assert!(error.contains(".safetensors, .npy or .parquet"), "{error}");
        }
        for name in ["rows.safetensors", "rows.1.npy", "ROWS.NPY", "rows.Parquet"] {
            new(name).unwrap();
        }
    }

    #[test]
    fn matrix_has_the_format_of_its_extension() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let write = |name: &str| {
            let path = folder.path().join(name);
            let output = MatrixOutput::new(&path).unwrap();
            output.write("gradient", &rows, 3).unwrap();
            assert!(MatrixOutput::new(&path).is_err());
            std::fs::read(path).unwrap()
        };
        let values = rows.map(f32::to_le_bytes).concat();
        let numpy = write("g.npy");
        assert!(numpy.starts_with(b"\x93NUMPY\x01\x00"));
        assert_eq!(numpy[128..], values);
        let file = write("g.safetensors");
        let file = safetensors::SafeTensors::deserialize(&file).unwrap();
        assert_eq!(file.tensor("gradient").unwrap().shape(), [2, 3]);
        assert_eq!(file.tensor("gradient").unwrap().data(), values);
        for name in ["g", "g.npz", "g.pt", "g.parquet"] {
            let error = MatrixOutput::new(&folder.path().join(name)).unwrap_err();
            assert!(
                error.to_string().contains(".safetensors or .npy"),
                "{error}"
            );
        }
    }

    #[test]
    fn label_without_a_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.safetensors");
        let unnamed = NamedEmbeddings {
            classes: vec!["a".into()],
            ..two_rows()
        };
        let output = EmbeddingOutput::new(&path).unwrap();
        output.write(&unnamed).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("there is no name for class 1"), "{error}");
    }
}
