//! Writing embeddings: safetensors with everything in one file, or NumPy's arrays.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, View, serialize_to_file};
use serde_json::json;

use super::npy::write_npy;
use super::{CLASSES, PATHS};
use crate::atomic_file::{AtomicFileError, AtomicFiles, check_free, write_new};

/// Embeddings of named images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedEmbeddings {
    /// N rows of length D, one after the other.
    pub rows: Vec<f32>,
    /// D.
    pub dim: usize,
    /// The class of each row, an index into `classes`, or [`NO_CLASS`](crate::data::NO_CLASS).
    pub labels: Vec<i64>,
    /// What each image is called.
    pub paths: Vec<String>,
    /// The names of the classes.
    pub classes: Vec<String>,
}

/// Where embeddings are written to; the name says in which format.
///
/// `NAME.safetensors` holds everything. `NAME.npy` holds the embeddings alone, which is what the
/// format can hold; beside it come `NAME.labels.npy` and `NAME.json` with `paths` and `classes`.
#[derive(Debug, Clone)]
pub struct EmbeddingOutput {
    path: PathBuf,
    /// `NAME.labels.npy` and `NAME.json`, beside `NAME.npy`.
    beside: Option<[PathBuf; 2]>,
}

impl EmbeddingOutput {
    /// Output to `path`, which has to be free, with all that is written beside it.
    ///
    /// # Errors
    /// Those of [`check_free`], and when the name ends otherwise.
    pub fn new(path: &Path) -> Result<Self, AtomicFileError> {
        let ends_in = |ending: &str| {
            let extension = path.extension();
            extension.is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
        };
        let numpy = ends_in("npy");
        if !numpy && !ends_in("safetensors") {
            return Err(AtomicFileError::Format {
                path: path.to_path_buf(),
                endings: ".safetensors or .npy",
            });
        }
        let output = Self {
            path: path.to_path_buf(),
            beside: numpy.then(|| ["labels.npy", "json"].map(|end| path.with_extension(end))),
        };
        output.files().try_for_each(check_free)?;
        Ok(output)
    }

    /// The files that are written.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let beside = self.beside.iter().flatten();
        std::iter::once(&self.path)
            .chain(beside)
            .map(PathBuf::as_path)
    }

    /// Writes the embeddings.
    ///
    /// # Errors
    /// When a file has come to exist meanwhile, or cannot be written; then none is left.
    pub fn write(&self, embeddings: &NamedEmbeddings) -> Result<(), AtomicFileError> {
        let NamedEmbeddings {
            rows,
            dim,
            labels,
            paths,
            classes,
        } = embeddings;
        let count = labels.len();
        let embeddings = Array::floats(rows, vec![count, *dim]);
        let labels = Array::integers(labels, vec![count]);
        let Some([labels_path, names_path]) = &self.beside else {
            let list = |names: &[String]| json!(names).to_string();
            let metadata = HashMap::from([
                (PATHS.to_string(), list(paths)),
                (CLASSES.to_string(), list(classes)),
            ]);
            let tensors = [("embeddings", embeddings), ("labels", labels)];
            return write_tensors(&self.path, tensors, Some(metadata));
        };
        let mut files = AtomicFiles::default();
        files.write(labels_path, |file| write_array(&labels, file))?;
        files.write(names_path, |file| {
            writeln!(file, "{}", json!({PATHS: paths, CLASSES: classes}))
        })?;
        // The embeddings last: where they are, the rest is too.
        files.write(&self.path, |file| write_array(&embeddings, file))?;
        files.persist()
    }
}

/// Writes a matrix as the only tensor of a safetensors file.
///
/// # Shapes
/// - rows: N rows of length `dim`, one after the other
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write_matrix(
    path: &Path,
    name: &str,
    rows: &[f32],
    dim: usize,
) -> Result<(), AtomicFileError> {
    let matrix = Array::floats(rows, vec![rows.len() / dim, dim]);
    write_tensors(path, [(name, matrix)], None)
}

fn write_tensors<const N: usize>(
    path: &Path,
    tensors: [(&str, Array); N],
    metadata: Option<HashMap<String, String>>,
) -> Result<(), AtomicFileError> {
    write_new(path, |file| {
        serialize_to_file(tensors, metadata, file.path()).map_err(io::Error::other)
    })
}

fn write_array(array: &Array, file: impl Write) -> io::Result<()> {
    let mut buffered = BufWriter::new(file);
    write_npy(array, &mut buffered)?;
    buffered.flush()
}

/// Numbers as an array of a file, turned to bytes only while it is written.
pub(super) struct Array<'a> {
    numbers: Numbers<'a>,
    shape: Vec<usize>,
}

enum Numbers<'a> {
    Floats(&'a [f32]),
    Integers(&'a [i64]),
}

impl<'a> Array<'a> {
    fn floats(numbers: &'a [f32], shape: Vec<usize>) -> Self {
        let numbers = Numbers::Floats(numbers);
        Self { numbers, shape }
    }

    fn integers(numbers: &'a [i64], shape: Vec<usize>) -> Self {
        let numbers = Numbers::Integers(numbers);
        Self { numbers, shape }
    }

    /// NumPy's name of the type, little-endian.
    pub(super) fn numpy_type(&self) -> &'static str {
        match self.numbers {
            Numbers::Floats(_) => "<f4",
            Numbers::Integers(_) => "<i8",
        }
    }

    /// The lengths of its axes.
    pub(super) fn dimensions(&self) -> &[usize] {
        &self.shape
    }

    /// Writes the numbers, row by row.
    pub(super) fn write_to(&self, file: &mut impl Write) -> io::Result<()> {
        match self.numbers {
            Numbers::Floats(numbers) => numbers
                .iter()
                .try_for_each(|x| file.write_all(&x.to_le_bytes())),
            Numbers::Integers(numbers) => numbers
                .iter()
                .try_for_each(|x| file.write_all(&x.to_le_bytes())),
        }
    }
}

impl View for Array<'_> {
    fn dtype(&self) -> Dtype {
        match self.numbers {
            Numbers::Floats(_) => Dtype::F32,
            Numbers::Integers(_) => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        let written = self.write_to(&mut bytes);
        written.expect("memory takes all that is written to it");
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        match self.numbers {
            Numbers::Floats(numbers) => size_of_val(numbers),
            Numbers::Integers(numbers) => size_of_val(numbers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Embeddings;
    use super::*;

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
    fn safetensors_hold_rows_labels_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.safetensors");
        EmbeddingOutput::new(&path)
            .unwrap()
            .write(&two_rows())
            .unwrap();
        let read = Embeddings::read(&path).unwrap();
        assert_eq!((read.rows, read.dim), (two_rows().rows, 3));
        assert_eq!(read.labels, [1, -1]);
        assert_eq!(read.classes, Some(two_rows().classes));
    }

    #[test]
    fn numpy_arrays_come_with_labels_and_names_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let output = EmbeddingOutput::new(&path).unwrap();
        output.write(&two_rows()).unwrap();
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
        // One of the three in the way is enough to refuse the whole.
        std::fs::remove_file(&path).unwrap();
        let error = EmbeddingOutput::new(&path).unwrap_err().to_string();
        assert!(error.contains("rows.labels.npy exists"), "{error}");
    }

    #[test]
    fn arrays_whose_embeddings_cannot_be_written_are_not_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let output = EmbeddingOutput::new(&path).unwrap();
        std::fs::write(&path, "meanwhile").unwrap();
        output.write(&two_rows()).unwrap_err();
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn names_of_formats_that_are_not_written_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let new = |name: &str| EmbeddingOutput::new(&folder.path().join(name));
        for name in ["rows.csv", "rows.npz", "rows", "npy", "rows.npy.gz"] {
            let error = new(name).unwrap_err().to_string();
            assert!(error.contains(".safetensors or .npy"), "{error}");
        }
        for name in ["rows.safetensors", "rows.1.npy", "ROWS.NPY"] {
            new(name).unwrap();
        }
    }

    #[test]
    fn labels_without_a_name_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.safetensors");
        let unnamed = NamedEmbeddings {
            classes: vec!["a".into()],
            ..two_rows()
        };
        let output = EmbeddingOutput::new(&path).unwrap();
        output.write(&unnamed).unwrap();
        let error = Embeddings::read(&path).unwrap_err().to_string();
        assert!(error.contains("names no class 1"), "{error}");
    }
}
