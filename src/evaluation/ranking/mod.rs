//! The ranks of a query's positives among its neighbours, from which retrieval measures are computed.
//!
//! The rank of a positive is the number of gallery images that are at least as near: other positives up to
//! it, and images of other classes. Counting them needs neither sorting nor N² memory.

mod device;
mod host;
mod search;
#[cfg(test)]
mod tests;
mod thresholds;

use burn::tensor::{Tensor, backend::Backend};

use super::measures::QueryMeasures;
use super::role::Role;
use super::vectors::Vectors;
use crate::cancellation::Cancelled;
use crate::geometry::is_host;
use crate::progress::Monitor;
use search::Search;

/// Returns the rank, from 1, of each query's nearest positive among its neighbours in the gallery by
/// Euclidean distance; `None` for a query without another image of its class in the gallery.
///
/// The rank is one plus the number of images of other classes that are at least as near as the nearest
/// positive. A query is excluded from its neighbours by its index, so that an identical image is a neighbour.
/// A tie between a positive and an image of another class counts against the query: a network that maps every
/// image to one point has a recall of 0, not 1. An embedding that is not finite is neither a neighbour nor
/// has neighbours.
///
/// On the CPU, ranks are those of distances in `f64`. On a GPU, they are computed in `f64` if it supports it,
/// otherwise in `f32` from products that resolve the distances of near embeddings.
///
/// # Shapes
/// - `embeddings`: `[N, D]`, of any length
/// - `labels`: N class indices
/// - `roles`: N roles; `None` means [`Role::Both`] for every image
///
/// # Panics
/// If the number of labels or roles is not N.
pub fn nearest_positive_ranks<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    roles: Option<&[Role]>,
) -> Vec<Option<usize>> {
    let ranks = nearest_positive_ranks_monitored(embeddings, labels, roles, Monitor::none());
    ranks.expect("nothing cancels it")
}

/// Returns the ranks as [`nearest_positive_ranks`] does. Reports the ranked queries as the task
/// `ranking`, and checks after every few million pairs whether it is cancelled.
///
/// # Errors
/// If a stop was requested.
///
/// # Panics
/// If the number of labels or roles is not N.
pub fn nearest_positive_ranks_monitored<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    roles: Option<&[Role]>,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<usize>>, Cancelled> {
    let reduce = Reduce {
        nearest: true,
        ranks: |ranks: &[usize]| ranks[0],
    };
    rank(embeddings, labels, roles, &reduce, monitor)
}

/// Returns the measures of each query from the ranks of all its positives; `None` for a query without another
/// image of its class in the gallery. Neighbours and ties are those of [`nearest_positive_ranks`]. Reports its
/// progress as the task `ranking`.
///
/// # Errors
/// If a stop was requested.
///
/// # Panics
/// If the number of labels or roles is not N.
pub fn measure_queries<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    roles: Option<&[Role]>,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<QueryMeasures>>, Cancelled> {
    let reduce = Reduce {
        nearest: false,
        ranks: QueryMeasures::from_ranks,
    };
    rank(embeddings, labels, roles, &reduce, monitor)
}

/// What is computed from the ranks of a query.
struct Reduce<T> {
    /// Whether only the nearest positive is ranked.
    nearest: bool,
    /// From the ranks, ascending, at least one.
    ranks: fn(&[usize]) -> T,
}

fn rank<B: Backend, T: Send>(
    embeddings: Tensor<B, 2>,
    labels: &[usize],
    roles: Option<&[Role]>,
    reduce: &Reduce<T>,
    monitor: Monitor<'_>,
) -> Result<Vec<Option<T>>, Cancelled> {
    let [n, dim] = embeddings.dims();
    assert_eq!(n, labels.len(), "one label for each embedding");
    assert!(roles.is_none_or(|roles| roles.len() == n), "one role each");
    monitor.check()?;
    let device = embeddings.device();
    let values = embeddings.to_data().convert::<f32>();
    let values = values.into_vec::<f32>().expect("they are f32");
    let is_finite = |row: usize| values[row * dim..][..dim].iter().all(|x| x.is_finite());
    let search = Search::new(labels, roles, is_finite);
    if search.queries.is_empty() || search.gallery.is_empty() {
        return Ok((0..search.query_count).map(|_| None).collect());
    }
    drop(embeddings);
    let vectors = Vectors::new(values, dim);
    match is_host::<B>(&device) {
        true => host::rank(&search, &vectors, reduce, monitor),
        false => device::rank::<B, T>(&search, labels, &vectors, &device, reduce, monitor),
    }
}
