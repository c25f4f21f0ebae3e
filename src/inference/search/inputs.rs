//! What each path of a search is.

use std::path::{Path, PathBuf};

use super::super::search_error::SearchError;
use crate::embedding_file::is_embedding_file;

/// The paths of a search by what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchInputs {
    /// The run or exported embedder; `None` if nothing is embedded.
    pub network: Option<PathBuf>,
    /// The queries.
    pub queries: SearchInput,
    /// The gallery; `None` if it is the only query too.
    pub gallery: Option<SearchInput>,
}

/// Queries, or a gallery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchInput {
    /// A file of embeddings.
    Embeddings(PathBuf),
    /// Images, folders and lists, at least one.
    Images(Vec<PathBuf>),
}

impl SearchInputs {
    /// Sorts the paths of a search: a network and queries, or a file of embeddings that is the query.
    ///
    /// # Errors
    /// If there is no query, if images have no network, or if a file of embeddings is one of several queries.
    pub fn new(paths: &[PathBuf], gallery: &Path) -> Result<Self, SearchError> {
        let (network, queries) = match paths {
            [first, ..] if is_embedding_file(first) => (None, paths),
            [network, queries @ ..] => (Some(network), queries),
            [] => (None, paths),
        };
        let is_images = |path: &&PathBuf| !is_embedding_file(path);
        match network {
            Some(network) if queries.is_empty() => {
                let network = network.clone();
                return Err(SearchError::NoQuery { network });
            }
            None if !is_embedding_file(gallery) => {
                let path = gallery.into();
                return Err(SearchError::NoNetwork { path });
            }
            None => {
                if let Some(path) = queries.iter().find(is_images) {
                    let path = path.clone();
                    return Err(SearchError::NoNetwork { path });
                }
            }
            _ => {}
        }
        let one = |path: &Path| match is_embedding_file(path) {
            true => SearchInput::Embeddings(path.into()),
            false => SearchInput::Images(vec![path.into()]),
        };
        let queries = match queries {
            [query] => one(query),
            several => match several.iter().find(|path| is_embedding_file(path)) {
                Some(path) => return Err(SearchError::SeveralQueries { path: path.clone() }),
                None => SearchInput::Images(several.to_vec()),
            },
        };
        let only = match &queries {
            SearchInput::Embeddings(path) => Some(path),
            SearchInput::Images(paths) if paths.len() == 1 => paths.first(),
            SearchInput::Images(_) => None,
        };
        let is_gallery = only.is_some_and(|path| is_same_file(path, gallery));
        Ok(Self {
            network: network.cloned(),
            gallery: (!is_gallery).then(|| one(gallery)),
            queries,
        })
    }

    /// Returns whether images have to be embedded. If not, the network is not used.
    pub fn has_images(&self) -> bool {
        let mut inputs = [Some(&self.queries), self.gallery.as_ref()].into_iter();
        inputs.any(|input| matches!(input, Some(SearchInput::Images(_))))
    }
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    let canonical = [a, b].map(|path| path.canonicalize().ok());
    canonical[0].is_some() && canonical[0] == canonical[1]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn path(folder: &Path, name: &str) -> PathBuf {
        folder.join(name)
    }

    /// A folder with two files of embeddings, an image, and a folder of images.
    fn prepared() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.npy", "b.npy"] {
            fs::write(path(folder.path(), name), b"\x93NUMPY\x01\x00").unwrap();
        }
        fs::write(path(folder.path(), "photo.jpg"), b"\xff\xd8\xff").unwrap();
        fs::create_dir(path(folder.path(), "photos")).unwrap();
        folder
    }

    #[test]
    fn a_file_of_embeddings_needs_no_network() {
        let folder = prepared();
        let at = |name| path(folder.path(), name);
        let inputs = SearchInputs::new(&[at("a.npy")], &at("b.npy")).unwrap();
        assert_eq!(inputs.network, None);
        assert_eq!(inputs.queries, SearchInput::Embeddings(at("a.npy")));
        assert_eq!(inputs.gallery, Some(SearchInput::Embeddings(at("b.npy"))));
        assert!(!inputs.has_images());
        let same = SearchInputs::new(&[at("a.npy")], &at("photos/../a.npy")).unwrap();
        assert_eq!(same.gallery, None);
    }

    #[test]
    fn the_first_path_is_otherwise_the_network() {
        let folder = prepared();
        let at = |name| path(folder.path(), name);
        let inputs = [at("run"), at("photo.jpg"), at("photos")];
        let inputs = SearchInputs::new(&inputs, &at("b.npy")).unwrap();
        assert_eq!(inputs.network, Some(at("run")));
        let images = vec![at("photo.jpg"), at("photos")];
        assert_eq!(inputs.queries, SearchInput::Images(images));
        assert!(inputs.has_images());
        let same = SearchInputs::new(&[at("run"), at("photos")], &at("photos")).unwrap();
        assert!(same.gallery.is_none() && same.has_images());
        let message = SearchInputs::new(&[at("run")], &at("photos"));
        let message = message.unwrap_err().to_string();
        assert!(message.contains("no query after the network"), "{message}");
    }

    #[test]
    fn images_without_a_network_and_mixed_queries_are_refused() {
        let folder = prepared();
        let at = |name| path(folder.path(), name);
        let refused = |paths: &[PathBuf], gallery| {
            let error = SearchInputs::new(paths, &at(gallery)).unwrap_err();
            error.to_string()
        };
        let message = refused(&[at("a.npy")], "photos");
        assert!(
            message.contains("photos is not a file of embeddings"),
            "{message}"
        );
        let message = refused(&[at("a.npy"), at("photo.jpg")], "b.npy");
        assert!(message.contains("photo.jpg is not a file of"), "{message}");
        for paths in [&["run", "a.npy", "photo.jpg"][..], &["a.npy", "b.npy"]] {
            let paths: Vec<PathBuf> = paths.iter().map(|name| at(name)).collect();
            let message = refused(&paths, "b.npy");
            assert!(message.contains("must be the only query"), "{message}");
        }
    }
}
