//! Searches of embeddings from files and of images.

use std::path::{Path, PathBuf};

use super::*;
use crate::embedding_file::{EmbeddingOutput, Embeddings, NamedEmbeddings};

type B = burn_flex::Flex;

/// A file called `name` of embeddings on a line, with the paths and classes of the images.
fn file(folder: &Path, name: &str, images: &[(f32, &str, i64)], classes: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let embeddings = NamedEmbeddings {
        rows: images.iter().map(|image| image.0).collect(),
        dim: 1,
        labels: images.iter().map(|image| image.2).collect(),
        paths: images.iter().map(|image| image.1.into()).collect(),
        classes: classes.iter().map(ToString::to_string).collect(),
    };
    EmbeddingOutput::new(&path)
        .unwrap()
        .write(&embeddings)
        .unwrap();
    path
}

fn read(path: &Path, root: Option<&Path>) -> EmbeddedImages {
    let file = Embeddings::read_with_any_labels(path).unwrap();
    EmbeddedImages::from_file(file, root.map(Path::to_path_buf))
}

fn found(queries: EmbeddedImages, gallery: Option<EmbeddedImages>, k: usize) -> SearchResult {
    let sets = SearchSets { queries, gallery };
    search::<B>(sets, k, &Default::default(), Monitor::none()).unwrap()
}

fn names(result: &SearchResult, query: usize) -> Vec<String> {
    let neighbours = result.neighbours(query).iter();
    neighbours.map(|n| result.gallery().name(n.row)).collect()
}

const ANIMALS: [(f32, &str, i64); 4] = [
    (0.0, "cat/1.jpg", 0),
    (1.0, "cat/2.jpg", 0),
    (3.0, "dog/1.jpg", 1),
    (3.5, "stray.jpg", -1),
];

#[test]
fn query_among_the_others_is_not_its_own_neighbour() {
    let folder = tempfile::tempdir().unwrap();
    let animals = file(folder.path(), "a.safetensors", &ANIMALS, &["cat", "dog"]);
    let result = found(read(&animals, None), None, 10);
    assert_eq!(names(&result, 0), ["cat/2.jpg", "dog/1.jpg", "stray.jpg"]);
    assert_eq!(result.neighbours(0)[1].distance, 3.0);
    assert_eq!(result.class_of_query(3), None);
    let right: Vec<_> = [1, 2, 3].map(|row| result.is_right(0, row)).to_vec();
    assert_eq!(right, [Some(true), Some(false), None]);
}

#[test]
fn same_path_with_another_embedding_is_a_neighbour_if_folders_are_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = file(folder.path(), "g.safetensors", &ANIMALS, &["cat", "dog"]);
    let queries = [(1.0, "cat/2.jpg", -1), (1.0, "cat/1.jpg", -1)];
    let queries = file(folder.path(), "q.safetensors", &queries, &[]);
    let result = found(read(&queries, None), Some(read(&gallery, None)), 2);
    // The first is in the gallery, and has its class there.
    assert_eq!(names(&result, 0), ["cat/1.jpg", "dog/1.jpg"]);
    assert_eq!(result.class_of_query(0), Some(Class::Name("cat")));
    // The second only has the name of another image.
    assert_eq!(names(&result, 1), ["cat/2.jpg", "cat/1.jpg"]);
    assert_eq!(result.class_of_query(1), None);
    // If the folders are known, the paths decide.
    let root = |name| Some(folder.path().join(name));
    let (a, b) = (root("a"), root("b"));
    let same = found(
        read(&queries, a.as_deref()),
        Some(read(&gallery, a.as_deref())),
        3,
    );
    assert_eq!(names(&same, 1), ["cat/2.jpg", "dog/1.jpg", "stray.jpg"]);
    let others = found(
        read(&queries, a.as_deref()),
        Some(read(&gallery, b.as_deref())),
        1,
    );
    assert_eq!(names(&others, 0), ["cat/2.jpg"]);
}

#[test]
fn image_is_found_by_the_end_of_its_path_in_a_file_without_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = file(folder.path(), "g.safetensors", &ANIMALS, &["cat", "dog"]);
    let query = |path: &str, embedding| {
        let embedded = NamedEmbeddings {
            rows: vec![embedding],
            dim: 1,
            labels: vec![-1],
            paths: vec![path.into()],
            classes: Vec::new(),
        };
        EmbeddedImages::from_images(Path::new(path), embedded)
    };
    let nearest = |query| names(&found(query, Some(read(&gallery, None)), 1), 0);
    assert_eq!(nearest(query("photos/cat/2.jpg", 1.000_01)), ["cat/1.jpg"]);
    assert_eq!(nearest(query("photos/dog/2.jpg", 1.0)), ["cat/2.jpg"]);
    assert_eq!(nearest(query("photos/tomcat/2.jpg", 1.0)), ["cat/2.jpg"]);
    assert_eq!(nearest(query("photos/cat/2.jpg", 1.4)), ["cat/2.jpg"]);
}

#[test]
fn repeated_image_is_no_neighbour_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let images = [(0.0, "a.jpg", 0), (0.0, "a.jpg", 0), (2.0, "b.jpg", 0)];
    let images = file(folder.path(), "r.safetensors", &images, &["x"]);
    let result = found(read(&images, None), None, 5);
    assert_eq!(names(&result, 0), ["b.jpg"]);
    assert_eq!(names(&result, 2), ["a.jpg", "a.jpg"]);
}

#[test]
fn parts_of_one_image_are_different_images() {
    let folder = tempfile::tempdir().unwrap();
    let images = [(0.0, "a.jpg#0,0,9,9", 0), (1.0, "a.jpg#9,0,18,9", 0)];
    let images = file(folder.path(), "boxes.safetensors", &images, &["x"]);
    let root = Some(folder.path());
    let result = found(read(&images, root), Some(read(&images, root)), 5);
    assert_eq!(names(&result, 0), ["a.jpg#9,0,18,9"]);
}

#[test]
fn labels_that_are_numbers_are_compared_as_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let named = file(folder.path(), "n.safetensors", &ANIMALS, &["cat", "dog"]);
    let tensor = |shape: Vec<usize>, bytes: Vec<u8>, dtype| {
        safetensors::tensor::TensorView::new(dtype, shape, bytes.leak()).unwrap()
    };
    let rows = [0.5_f32, 2.0].map(f32::to_le_bytes).concat();
    let labels = [7_i64, 8].map(i64::to_le_bytes).concat();
    let tensors = [
        (
            "embeddings",
            tensor(vec![2, 1], rows, safetensors::Dtype::F32),
        ),
        ("labels", tensor(vec![2], labels, safetensors::Dtype::I64)),
    ];
    let numbers = folder.path().join("numbers.safetensors");
    safetensors::serialize_to_file(tensors, None, &numbers).unwrap();
    let result = found(read(&numbers, None), None, 1);
    assert_eq!(result.is_right(0, 1), Some(false));
    assert_eq!(result.class_of_query(0), Some(Class::Number(7)));
    assert_eq!(result.queries().name(1), "row 1");
    let mixed = found(read(&numbers, None), Some(read(&named, None)), 1);
    assert_eq!(mixed.is_right(0, 0), None);
}

#[test]
fn different_dimensions_and_too_many_neighbours_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.safetensors", &ANIMALS, &["cat", "dog"]);
    let refused = |sets: SearchSets, k| {
        let error = search::<B>(sets, k, &Default::default(), Monitor::none()).unwrap_err();
        error.to_string()
    };
    let mut gallery = read(&path, None);
    gallery.dim = 2;
    let sets = SearchSets {
        queries: read(&path, None),
        gallery: Some(gallery),
    };
    let message = refused(sets, 1);
    assert!(message.contains("dimension 1"), "{message}");
    let many = NamedEmbeddings {
        rows: vec![0.0; 20_000],
        dim: 1,
        labels: vec![-1; 20_000],
        paths: vec![String::new(); 20_000],
        classes: Vec::new(),
    };
    let sets = SearchSets {
        queries: EmbeddedImages::from_images(Path::new("many"), many),
        gallery: None,
    };
    let message = refused(sets, 20_000);
    assert!(message.contains("give -k up to 13421"), "{message}");
}
