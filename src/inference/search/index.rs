//! An approximate index of a gallery (HNSW, by usearch), for galleries of many million images.
//!
//! The index is a file in usearch's format, memory-mapped when it is used. `INDEX.json` beside it names the gallery by a
//! digest, and has the digest of the index itself, because usearch does not detect damage.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use super::embedded_images::EmbeddedImages;
use super::{SearchResult, SearchSets, check, same_images};
use crate::atomic_file::AtomicFiles;
use crate::bounded_read::{MIB, read_at_most};
use crate::cancellation::Cancelled;
use crate::evaluation::{Neighbour, NeighbourSearch, nearest_neighbours};
use crate::hex::hex;
use crate::inference::error::InferenceError;
use crate::inference::index_error::IndexError;
use crate::progress::{Monitor, Unit};

/// Links of a node in the graph, the default of HNSW's authors.
const CONNECTIVITY: usize = 16;

/// Candidates that are kept while a row is added, and at least while one is searched.
const EXPANSION: usize = 128;

/// The most queries of which the recall is measured.
const SAMPLE: usize = 100;

/// `INDEX.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Description {
    /// The digest of the gallery: SHA-256 of its dimension and its rows.
    gallery: String,
    /// The digest of the index.
    index: String,
    /// The number of rows.
    rows: usize,
    /// Their dimension.
    dim: usize,
}

/// What a search by an index found.
#[derive(Debug, Clone)]
pub struct IndexedSearch {
    /// The neighbours. Their distances are exact, but some neighbours may be missing.
    pub result: SearchResult,
    /// Whether the index was built.
    pub built: bool,
    /// The share of the exact neighbours that were found, of a sample of the queries.
    pub recall: f64,
    /// The number of queries in the sample.
    pub sample: usize,
}

/// Finds the `k` nearest images as [`search`](super::search()) does, but approximately, by the index `path` of the
/// gallery. It is built if the file does not exist. The recall is measured on up to 100 of the queries.
///
/// # Errors
/// As [`search`](super::search()), and if the index is damaged, is that of another gallery, or cannot be written.
pub fn search_by_index<B: Backend>(
    sets: SearchSets,
    path: &Path,
    k: usize,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<IndexedSearch, InferenceError> {
    let k = check(&sets, k)?;
    let gallery = sets.gallery();
    let digest = digest_of(gallery);
    let description = description_path(path);
    let built = !path.exists();
    if built {
        build(gallery, digest, path, &description, monitor)?;
    } else {
        verify(gallery, &digest, path, &description, monitor)?;
    }
    let index = view(gallery, path, &description)?;
    let queries = &sets.queries;
    let own_rows = same_images(queries, sets.gallery.as_ref());
    let task = monitor.task("searching", Some(queries.count()), Unit::Queries);
    let found = (0..queries.count()).into_par_iter().map(|query| {
        task.advance(1)?;
        let own = &own_rows[query];
        let matches = index.search(queries.row(query), k + own.len());
        let keys = matches.map_err(|error| IndexError::Unreadable {
            path: path.into(),
            description: description.clone(),
            reason: error.to_string(),
        });
        let keys = keys?.keys.into_iter().map(|key| key as usize);
        let rows = keys.filter(|row| *row < gallery.count() && !own.contains(row));
        let mut found: Vec<Neighbour> = rows
            .map(|row| Neighbour {
                row,
                distance: distance(queries.row(query), gallery.row(row)),
            })
            .collect();
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row)));
        found.truncate(k);
        Ok(found)
    });
    let neighbours = found.collect::<Result<Vec<_>, InferenceError>>()?;
    task.finish();
    let result = SearchResult {
        sets,
        neighbours,
        own_rows,
    };
    let (recall, sample) = measure_recall::<B>(&result, k, device, monitor)?;
    Ok(IndexedSearch {
        result,
        built,
        recall,
        sample,
    })
}

/// Returns the share of the exact neighbours that were found, of queries at equal intervals, and their number.
fn measure_recall<B: Backend>(
    result: &SearchResult,
    k: usize,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<(f64, usize), Cancelled> {
    let (queries, gallery) = (result.queries(), result.gallery());
    let sample: Vec<usize> = (0..queries.count())
        .step_by(queries.count().div_ceil(SAMPLE).max(1))
        .collect();
    let rows: Vec<f32> = sample
        .iter()
        .flat_map(|&query| queries.row(query))
        .copied()
        .collect();
    let search = NeighbourSearch {
        queries: &rows,
        gallery: &gallery.rows,
        dim: gallery.dim,
        k,
        is_excluded: &|at, row| result.own_rows[sample[at]].contains(&row),
    };
    let exact = nearest_neighbours::<B>(search, device, monitor)?;
    let (mut found, mut expected) = (0, 0);
    for (&query, exact) in sample.iter().zip(&exact) {
        let farthest = exact.last().map_or(0.0, |neighbour| neighbour.distance);
        expected += exact.len();
        // Of images as near as the last one, any is right.
        let near = result.neighbours(query).iter();
        found += near
            .filter(|neighbour| neighbour.distance <= farthest)
            .count();
    }
    Ok((found as f64 / expected.max(1) as f64, sample.len()))
}

fn build(
    gallery: &EmbeddedImages,
    digest: String,
    path: &Path,
    description: &Path,
    monitor: Monitor<'_>,
) -> Result<(), InferenceError> {
    let failed = |reason: String| IndexError::Build {
        path: path.into(),
        reason,
    };
    let index = new_index(gallery.dim).map_err(failed)?;
    let threads = rayon::current_num_threads();
    let reserved = index.reserve_capacity_and_threads(gallery.count(), threads);
    reserved.map_err(|error| failed(error.to_string()))?;
    let task = monitor.task("building the index", Some(gallery.count()), Unit::Images);
    (0..gallery.count()).into_par_iter().try_for_each(|row| {
        task.advance(1)?;
        let added = index.add(row as u64, gallery.row(row));
        added.map_err(|error| InferenceError::from(failed(error.to_string())))
    })?;
    task.finish();
    let mut files = AtomicFiles::default();
    let mut index_digest = String::new();
    files.write(path, |file| {
        let name = file.path().to_str();
        let name = name.ok_or_else(|| io::Error::other("its path is not UTF-8"))?;
        index.save(name).map_err(io::Error::other)?;
        file.as_file().sync_all()?;
        index_digest = file_digest(file.path(), Monitor::none())?;
        Ok(())
    })?;
    let text = serde_json::to_string(&Description {
        gallery: digest,
        index: index_digest,
        rows: gallery.count(),
        dim: gallery.dim,
    });
    files.write(description, |file| {
        writeln!(file, "{}", text.map_err(io::Error::other)?)
    })?;
    files.persist()?;
    Ok(())
}

/// Checks that the index is undamaged, and that of the gallery.
fn verify(
    gallery: &EmbeddedImages,
    digest: &str,
    path: &Path,
    description: &Path,
    monitor: Monitor<'_>,
) -> Result<(), InferenceError> {
    let unreadable = |reason: String| IndexError::Unreadable {
        path: path.into(),
        description: description.into(),
        reason,
    };
    let described = read_at_most(description, MIB).and_then(|bytes| {
        let described: Description = serde_json::from_slice(&bytes)?;
        Ok(described)
    });
    let described = described.map_err(|error| {
        unreadable(format!(
            "{} cannot be read ({error})",
            description.display()
        ))
    })?;
    if described.gallery != digest {
        return Err(IndexError::OtherGallery {
            path: path.into(),
            description: description.into(),
            gallery: gallery.origin.clone(),
        }
        .into());
    }
    let found = file_digest(path, monitor);
    monitor.check()?;
    match found {
        Ok(found) if found == described.index => Ok(()),
        Ok(_) => Err(unreadable("it is damaged".into()).into()),
        Err(error) => Err(unreadable(error.to_string()).into()),
    }
}

/// Maps the index into memory.
fn view(
    gallery: &EmbeddedImages,
    path: &Path,
    description: &Path,
) -> Result<Index, InferenceError> {
    let unreadable = |reason: String| IndexError::Unreadable {
        path: path.into(),
        description: description.into(),
        reason,
    };
    let name = path.to_str();
    let name = name.ok_or_else(|| unreadable("its path is not UTF-8".into()))?;
    let index = new_index(gallery.dim).map_err(unreadable)?;
    index
        .view(name)
        .map_err(|error| unreadable(error.to_string()))?;
    if index.size() != gallery.count() || index.dimensions() != gallery.dim {
        return Err(unreadable("it has other rows than the gallery".into()).into());
    }
    index.change_expansion_search(EXPANSION);
    Ok(index)
}

fn new_index(dim: usize) -> Result<Index, String> {
    let index = Index::new(&IndexOptions {
        dimensions: dim,
        metric: MetricKind::L2sq,
        quantization: ScalarKind::F32,
        connectivity: CONNECTIVITY,
        expansion_add: EXPANSION,
        expansion_search: EXPANSION,
        multi: false,
    });
    index.map_err(|error| error.to_string())
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b);
    let squares = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>().sqrt()
}

/// `INDEX.json`, beside the index.
fn description_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".json");
    path.with_file_name(name)
}

fn digest_of(gallery: &EmbeddedImages) -> String {
    let mut hash = Sha256::new();
    hash.update((gallery.dim as u64).to_le_bytes());
    let mut bytes = Vec::new();
    for rows in gallery.rows.chunks(1 << 16) {
        bytes.clear();
        bytes.extend(rows.iter().flat_map(|number| number.to_le_bytes()));
        hash.update(&bytes);
    }
    hex(&hash.finalize())
}

fn file_digest(path: &Path, monitor: Monitor<'_>) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        monitor.check().map_err(io::Error::other)?;
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}
