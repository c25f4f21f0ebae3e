//! Files as `torch.save` writes them, for tests.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A Python value.
#[derive(Debug, Clone)]
pub(in crate::model) enum Python {
    Text(String),
    Integer(u8),
    Dictionary(Vec<(Python, Python)>),
    /// A tensor with an index of its storage, the class of the storage, its shape and strides.
    Tensor {
        storage: usize,
        class: &'static str,
        shape: Vec<usize>,
        strides: Vec<usize>,
    },
    /// Instructions that push any other value.
    Instructions(Vec<u8>),
}

impl Python {
    /// A dictionary with texts as keys.
    pub(in crate::model) fn dictionary<K: Into<String>>(
        entries: impl IntoIterator<Item = (K, Python)>,
    ) -> Self {
        let entries = entries.into_iter();
        Self::Dictionary(
            entries
                .map(|(key, value)| (Self::Text(key.into()), value))
                .collect(),
        )
    }

    /// The value as instructions of protocol 2.
    pub(in crate::model) fn write(&self, pickle: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                pickle.push(b'X');
                pickle.extend((text.len() as u32).to_le_bytes());
                pickle.extend(text.as_bytes());
            }
            Self::Integer(number) => pickle.extend([b'K', *number]),
            Self::Dictionary(entries) => {
                pickle.extend(b"}(");
                for (key, value) in entries {
                    key.write(pickle);
                    value.write(pickle);
                }
                pickle.push(b'u');
            }
            Self::Tensor {
                storage,
                class,
                shape,
                strides,
            } => {
                pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage");
                pickle.extend(format!("ctorch\n{class}\n").bytes());
                Self::Text(storage.to_string()).write(pickle);
                // The device, and a length that is not used.
                Self::Text("cpu".into()).write(pickle);
                pickle.extend(b"K\0tQK\0");
                for sizes in [shape, strides] {
                    pickle.push(b'(');
                    for &size in sizes {
                        pickle.push(b'J');
                        pickle.extend((size as i32).to_le_bytes());
                    }
                    pickle.push(b't');
                }
                // Needs no gradient, and has no hooks.
                pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
            }
            Self::Instructions(instructions) => pickle.extend(instructions),
        }
    }

    /// The value as a pickle.
    fn pickle(&self) -> Vec<u8> {
        let mut pickle = b"\x80\x02".to_vec();
        self.write(&mut pickle);
        pickle.push(b'.');
        pickle
    }
}

/// A value, and the single-precision numbers of its storages.
#[derive(Debug, Clone)]
pub(in crate::model) struct TorchFile {
    pub(in crate::model) value: Python,
    pub(in crate::model) storages: Vec<Vec<f32>>,
}

impl TorchFile {
    fn bytes(storage: &[f32]) -> Vec<u8> {
        storage.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    /// Writes an archive, as from PyTorch 1.6 on.
    pub(in crate::model) fn write(&self, path: &Path) {
        let storages = self.storages.iter().enumerate();
        let storages = storages.map(|(key, numbers)| (format!("data/{key}"), Self::bytes(numbers)));
        let pickle = ("data.pkl".to_string(), self.value.pickle());
        let entries: Vec<_> = std::iter::once(pickle).chain(storages).collect();
        write_archive(path, &entries);
    }

    /// Writes the format before PyTorch 1.6.
    pub(in crate::model) fn write_legacy(&self, path: &Path) {
        let key = |key: usize| Python::Text(key.to_string());
        let mut keys = b"](".to_vec();
        (0..self.storages.len()).for_each(|i| key(i).write(&mut keys));
        keys.push(b'e');
        let facts = Python::dictionary([("little_endian", Python::Instructions(vec![0x88]))]);
        let mut file = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
        file.extend(facts.pickle());
        file.extend(self.value.pickle());
        file.extend(Python::Instructions(keys).pickle());
        for numbers in &self.storages {
            file.extend((numbers.len() as u64).to_le_bytes());
            file.extend(Self::bytes(numbers));
        }
        std::fs::write(path, file).unwrap();
    }
}

/// Writes an archive with these files in a folder, without compression.
pub(in crate::model) fn write_archive(path: &Path, files: &[(String, Vec<u8>)]) {
    let mut archive = ZipWriter::new(File::create(path).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in files {
        archive
            .start_file(format!("archive/{name}"), stored)
            .unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}
