//! The nearest images of queries in a gallery.
//!
//! [`SearchInputs`] decides what each path of a search is: a network, images, or embeddings. [`EmbeddedImages`] are
//! the queries, and the gallery. [`search()`] finds the neighbours exactly.

mod embedded_images;
#[cfg(feature = "index")]
mod index;
mod inputs;
mod same_image;
#[cfg(test)]
mod tests;

use burn::tensor::backend::Backend;

use super::error::InferenceError;
use super::retrieval_error::RetrievalError;
use super::search_error::SearchError;
use crate::evaluation::{Neighbour, NeighbourSearch, nearest_neighbours};
use crate::progress::Monitor;
pub use embedded_images::{Class, EmbeddedImages};
#[cfg(feature = "index")]
pub use index::{IndexedSearch, search_by_index};
pub use inputs::{SearchInput, SearchInputs};
use same_image::same_images;

/// The most neighbours that are kept, of all queries together: 4 GiB.
const MOST_NEIGHBOURS: usize = 1 << 28;

/// Queries, and the images in which they are searched.
#[derive(Debug, Clone)]
pub struct SearchSets {
    /// The queries.
    pub queries: EmbeddedImages,
    /// The gallery; `None` if every query is searched in the other queries.
    pub gallery: Option<EmbeddedImages>,
}

impl SearchSets {
    /// Returns the images in which queries are searched.
    pub fn gallery(&self) -> &EmbeddedImages {
        self.gallery.as_ref().unwrap_or(&self.queries)
    }
}

/// The neighbours of queries.
#[derive(Debug, Clone)]
pub struct SearchResult {
    sets: SearchSets,
    /// The neighbours of each query, the nearest first.
    neighbours: Vec<Vec<Neighbour>>,
    /// The rows of the gallery that are the query itself, for each query.
    own_rows: Vec<Vec<usize>>,
}

/// Finds the `k` nearest images of the gallery for each query by Euclidean distance, exactly: distances and their
/// order are those in `f64`, and of images as near, the first in the gallery is first. A query has fewer neighbours if
/// the gallery is smaller.
///
/// A query that is in the gallery is not its own neighbour: the same file, with the same bounding box. Where the
/// folder of embeddings from a file is not known, it is an image whose path ends with the same names and that has the
/// same embedding.
///
/// # Errors
/// If queries and gallery have different dimensions, if the neighbours need more than 4 GiB, or if a stop was
/// requested.
pub fn search<B: Backend>(
    sets: SearchSets,
    k: usize,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<SearchResult, InferenceError> {
    let most = check(&sets, k)?;
    let (queries, gallery) = (&sets.queries, sets.gallery());
    let own_rows = same_images(queries, sets.gallery.as_ref());
    let neighbours = NeighbourSearch {
        queries: &queries.rows,
        gallery: &gallery.rows,
        dim: queries.dim,
        k: most,
        is_excluded: &|query, row| own_rows[query].contains(&row),
    };
    let neighbours = nearest_neighbours::<B>(neighbours, device, monitor)?;
    Ok(SearchResult {
        sets,
        neighbours,
        own_rows,
    })
}

/// Checks that queries can be searched in the gallery. Returns the most neighbours of a query.
fn check(sets: &SearchSets, k: usize) -> Result<usize, InferenceError> {
    let (queries, gallery) = (&sets.queries, sets.gallery());
    if queries.dim != gallery.dim {
        return Err(RetrievalError::Dimensions {
            path: queries.origin.clone(),
            queries: queries.dim,
            gallery_path: gallery.origin.clone(),
            gallery: gallery.dim,
        }
        .into());
    }
    let most = k.min(gallery.count());
    if queries.count().saturating_mul(most) > MOST_NEIGHBOURS {
        return Err(SearchError::TooManyNeighbours {
            queries: queries.count(),
            k: most,
            most: (MOST_NEIGHBOURS / queries.count()).max(1),
        }
        .into());
    }
    Ok(most)
}

impl SearchResult {
    /// Returns the queries.
    pub fn queries(&self) -> &EmbeddedImages {
        &self.sets.queries
    }

    /// Returns the images in which queries were searched.
    pub fn gallery(&self) -> &EmbeddedImages {
        self.sets.gallery()
    }

    /// Returns the neighbours of a query, the nearest first.
    pub fn neighbours(&self, query: usize) -> &[Neighbour] {
        &self.neighbours[query]
    }

    /// Returns the class of a query: its own, or that of the same image in the gallery; `None` if it is not known.
    pub fn class_of_query(&self, query: usize) -> Option<Class<'_>> {
        let in_gallery = || {
            let mut rows = self.own_rows[query].iter();
            rows.find_map(|&row| self.gallery().class(row))
        };
        self.queries().class(query).or_else(in_gallery)
    }

    /// Returns whether a row of the gallery has the class of a query; `None` if one of the two is not known, or one is
    /// a name and the other a number.
    pub fn is_right(&self, query: usize, row: usize) -> Option<bool> {
        match (self.class_of_query(query)?, self.gallery().class(row)?) {
            (Class::Name(a), Class::Name(b)) => Some(a == b),
            (Class::Number(a), Class::Number(b)) => Some(a == b),
            _ => None,
        }
    }
}
