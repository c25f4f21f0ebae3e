//! Embeddings of images, and what is known of each image.

use std::fmt;
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::{Serialize, Serializer};

use crate::data::{ImageError, NO_CLASS, named_image};
use crate::embedding_file::{Embeddings, NamedEmbeddings};

/// Embeddings of images, from a network or a file.
#[derive(Debug, Clone)]
pub struct EmbeddedImages {
    /// The folder, list, image or file of embeddings, for messages.
    pub origin: PathBuf,
    /// The embeddings `[N, D]`, row by row. Every number is finite.
    pub rows: Vec<f32>,
    /// The dimension D of an embedding, at least 1.
    pub dim: usize,
    /// The class of each image, or [`NO_CLASS`].
    labels: Vec<i64>,
    /// The names of the classes, which the labels index; `None` if they are not known.
    classes: Option<Vec<String>>,
    /// The path of each image; `None` if they are not known.
    pub(super) paths: Option<Vec<String>>,
    /// The folder of the paths; `None` if it is not known.
    pub(super) root: Option<PathBuf>,
}

/// The class of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class<'a> {
    /// Its name.
    Name(&'a str),
    /// Its label in a file that does not name its classes.
    Number(i64),
}

impl fmt::Display for Class<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl Serialize for Class<'_> {
    /// A name as a string, a label as a number.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Number(number) => serializer.serialize_i64(*number),
        }
    }
}

impl EmbeddedImages {
    /// The embeddings of images by a network. Their paths are relative to the working folder.
    pub fn from_images(origin: &Path, embedded: NamedEmbeddings) -> Self {
        Self {
            origin: origin.into(),
            rows: embedded.rows,
            dim: embedded.dim,
            labels: embedded.labels,
            classes: Some(embedded.classes),
            paths: Some(embedded.paths),
            root: Some(PathBuf::new()),
        }
    }

    /// The embeddings of a file. `root` is the folder of its paths, if it is known.
    pub fn from_file(file: Embeddings, root: Option<PathBuf>) -> Self {
        Self {
            origin: file.path().into(),
            dim: file.dim,
            labels: file.labels,
            classes: file.classes,
            paths: file.paths,
            rows: file.rows,
            root,
        }
    }

    /// Returns the number of images.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Returns the embedding of an image.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.dim..][..self.dim]
    }

    /// Returns the path of an image as it was given, with its bounding box if it has one; `None` if it is not known.
    pub fn path(&self, index: usize) -> Option<&str> {
        let path = self.paths.as_ref()?.get(index)?;
        (!path.is_empty()).then_some(path)
    }

    /// Returns the path of an image, or its row.
    pub fn name(&self, index: usize) -> String {
        match self.path(index) {
            Some(path) => path.into(),
            None => format!("row {index}"),
        }
    }

    /// Returns the class of an image; `None` if it has none.
    pub fn class(&self, index: usize) -> Option<Class<'_>> {
        match (self.labels[index], &self.classes) {
            (NO_CLASS, _) => None,
            (label, Some(names)) => Some(Class::Name(&names[label as usize])),
            (label, None) => Some(Class::Number(label)),
        }
    }

    /// Decodes an image, whose shorter side may be reduced to `min_side` pixels; `None` if its path is not known. Paths
    /// of a file whose folder is not known are those below the folder of the file.
    pub fn image(&self, index: usize, min_side: u32) -> Option<Result<RgbImage, ImageError>> {
        let root = match &self.root {
            Some(root) => root,
            None => self.origin.parent()?,
        };
        Some(named_image(root, self.path(index)?, min_side))
    }
}
