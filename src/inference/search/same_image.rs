//! Which rows of a gallery are a query itself.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::embedded_images::EmbeddedImages;

/// The most that two embeddings of one image by one network may be apart, relative to their length: batches of
/// different sizes are summed in different orders.
const SAME_EMBEDDING: f64 = 1e-4;

/// The place of an image.
enum Place {
    /// Its file, with its bounding box.
    File(PathBuf),
    /// The end of the path of its file, with its bounding box.
    End(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::End(path) => path,
        }
    }
}

/// The folders of files with links resolved.
#[derive(Default)]
struct Folders(HashMap<PathBuf, PathBuf>);

impl Folders {
    fn place(&mut self, images: &EmbeddedImages, name: &str) -> Place {
        let named = Path::new(name);
        let path = match &images.root {
            Some(root) => root.join(named),
            None if named.is_absolute() => named.into(),
            None => return Place::End(named.components().collect()),
        };
        let (folder, file) = (path.parent(), path.file_name());
        let (Some(folder), Some(file)) = (folder, file) else {
            return Place::File(path);
        };
        let resolve = || {
            let here = match folder.as_os_str().is_empty() {
                true => Path::new("."),
                false => folder,
            };
            let absolute = || std::path::absolute(here);
            let resolved = here.canonicalize().or_else(|_| absolute());
            resolved.unwrap_or_else(|_| here.into())
        };
        let folder = self.0.entry(folder.into()).or_insert_with(resolve);
        Place::File(folder.join(file))
    }
}

/// Returns for each query the rows of the gallery that are the same image, ascending. Without a gallery, the queries are
/// the gallery, and every query is itself, whatever its path is.
pub(super) fn same_images(
    queries: &EmbeddedImages,
    gallery: Option<&EmbeddedImages>,
) -> Vec<Vec<usize>> {
    let mut same: Vec<Vec<usize>> = match gallery {
        Some(_) => vec![Vec::new(); queries.count()],
        None => (0..queries.count()).map(|row| vec![row]).collect(),
    };
    let in_itself = gallery.is_none();
    let gallery = gallery.unwrap_or(queries);
    // Paths are compared only if their last names are the same.
    let by_end = |images: &EmbeddedImages, wanted: Option<&HashSet<String>>| {
        let mut rows: HashMap<String, Vec<usize>> = HashMap::new();
        for row in 0..images.count() {
            let end = images.path(row).map(last_name);
            if let Some(end) = end.filter(|end| wanted.is_none_or(|wanted| wanted.contains(*end))) {
                rows.entry(end.into()).or_default().push(row);
            }
        }
        rows
    };
    let of_queries = by_end(queries, None);
    let wanted = of_queries.keys().cloned().collect();
    let of_gallery = by_end(gallery, Some(&wanted));
    let mut folders = Folders::default();
    for (end, own) in of_queries {
        let Some(others) = of_gallery.get(&end) else {
            continue;
        };
        if in_itself && own.len() == 1 {
            continue;
        }
        let mut places = |images: &EmbeddedImages, rows: &[usize]| -> Vec<Place> {
            let path = |&row: &usize| images.path(row).unwrap_or_default();
            rows.iter()
                .map(|row| folders.place(images, path(row)))
                .collect()
        };
        let (own_places, other_places) = (places(queries, &own), places(gallery, others));
        let by_path = PlacesByPath::new(&other_places);
        for (&query, place) in own.iter().zip(&own_places) {
            let found = by_path.candidates(place).filter(|&at| {
                let are_equal = || equal_embeddings(queries.row(query), gallery.row(others[at]));
                match (place, &other_places[at]) {
                    (Place::File(a), Place::File(b)) => a == b,
                    (Place::End(a), Place::End(b)) => a == b && are_equal(),
                    (Place::File(file), Place::End(end)) | (Place::End(end), Place::File(file)) => {
                        file.ends_with(end) && are_equal()
                    }
                }
            });
            let found: Vec<usize> = found.map(|at| others[at]).collect();
            same[query].extend(found);
        }
    }
    for rows in &mut same {
        rows.sort_unstable();
        rows.dedup();
    }
    same
}

/// Places by their paths, so that thousands of images called `0.jpg` in different folders are not all compared.
struct PlacesByPath<'a> {
    by_path: HashMap<&'a Path, Vec<usize>>,
    files: Vec<usize>,
    ends: Vec<usize>,
}

impl<'a> PlacesByPath<'a> {
    fn new(places: &'a [Place]) -> Self {
        let mut by_path: HashMap<&Path, Vec<usize>> = HashMap::new();
        for (at, place) in places.iter().enumerate() {
            by_path.entry(place.path()).or_default().push(at);
        }
        let (files, ends) = (0..places.len()).partition(|&at| matches!(places[at], Place::File(_)));
        Self {
            by_path,
            files,
            ends,
        }
    }

    /// Returns the places that may be the same as `place`: equal paths, and those of the other kind.
    fn candidates(&self, place: &Place) -> impl Iterator<Item = usize> {
        let equal = self.by_path.get(place.path()).into_iter().flatten();
        let others = match place {
            Place::File(_) => &self.ends,
            Place::End(_) => &self.files,
        };
        equal.chain(others).copied()
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn equal_embeddings(a: &[f32], b: &[f32]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (mut apart, mut length) = (0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        apart += (f64::from(a) - f64::from(b)).powi(2);
        length += f64::from(a).powi(2);
    }
    apart <= SAME_EMBEDDING * SAME_EMBEDDING * length
}
