//! Retrieval measures of embeddings from files.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::error::InferenceError;
use super::retrieval_error::RetrievalError;
use crate::embedding_file::Embeddings;
use crate::embedding_file::NO_CLASS;
use crate::evaluation::{MeasureOptions, Role, SplitMeasures, searched_images};
use crate::progress::Monitor;

/// The class number of rows without a class, which no query has.
const UNKNOWN: usize = 0;

/// The measures of embeddings from files.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrievalResult {
    /// The measures. Labels are indices into `classes`.
    pub measures: SplitMeasures,
    /// The names of the classes; their labels, if a file has no names.
    pub classes: Vec<String>,
}

/// Measures the rows of `queries` among those of `gallery`. Without a gallery, each row is searched among the
/// other rows. All rows with a class are clustered.
///
/// Rows without a class are not queries, but belong to the gallery: they may be nearer than a
/// positive, and are never right. If both files name their classes, classes of the same name are
/// equal, whatever their labels. Otherwise classes of the same label are equal.
///
/// # Errors
/// If both are the same file, if their embeddings have different dimensions, if one has names as labels and the
/// other numbers, if a K is above [`searched_rows`], or if no query has a positive ([`RetrievalError`]); or if a
/// stop was requested.
pub fn retrieval<B: Backend>(
    queries: &Embeddings,
    gallery: Option<&Embeddings>,
    options: MeasureOptions<'_>,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<RetrievalResult, InferenceError> {
    if let Some(gallery) = gallery {
        check_gallery(queries, gallery)?;
    }
    // One row alone has no positive, which is reported below.
    let searched = searched_rows(queries, gallery).max(1);
    if let Some(&k) = options.recall.iter().find(|&&k| k > searched) {
        return Err(RetrievalError::RecallAboveGallery { k, searched }.into());
    }
    let rows = Rows::new(queries, gallery);
    let count = rows.classes.len();
    let embeddings = TensorData::new(rows.values, [count, queries.dim]);
    let embeddings = Tensor::<B, 2>::from_data(embeddings, device);
    let (classes, roles) = (&rows.classes, Some(&rows.roles[..]));
    let has_class = |row: usize| classes[row] != UNKNOWN;
    let measures = SplitMeasures::measure(embeddings, classes, roles, has_class, options, monitor)?;
    match measures.retrieval.recall.queries {
        0 => Err(RetrievalError::NoQuery {
            path: queries.path().into(),
            gallery: gallery.map(|gallery| gallery.path().into()),
        }
        .into()),
        _ => Ok(RetrievalResult {
            measures,
            classes: rows.names,
        }),
    }
}

/// Returns the number of rows among which a query is searched: those of the gallery, or the others of its file.
pub fn searched_rows(queries: &Embeddings, gallery: Option<&Embeddings>) -> usize {
    match gallery {
        Some(gallery) => gallery.labels.len(),
        None => searched_images(queries.labels.len(), None),
    }
}

fn check_gallery(queries: &Embeddings, gallery: &Embeddings) -> Result<(), RetrievalError> {
    let [first, second] = [queries, gallery].map(|file| file.path().canonicalize().ok());
    if first.is_some() && first == second {
        return Err(RetrievalError::SameFile {
            path: gallery.path().into(),
        });
    }
    if queries.dim != gallery.dim {
        return Err(RetrievalError::Dimensions {
            path: queries.path().into(),
            queries: queries.dim,
            gallery_path: gallery.path().into(),
            gallery: gallery.dim,
        });
    }
    for (names, numbers) in [(queries, gallery), (gallery, queries)] {
        if names.has_only_names() && numbers.classes.is_none() {
            return Err(RetrievalError::NamesAndNumbers {
                names: names.path().into(),
                numbers: numbers.path().into(),
            });
        }
    }
    Ok(())
}

/// Queries and gallery as one matrix.
struct Rows {
    values: Vec<f32>,
    classes: Vec<usize>,
    roles: Vec<Role>,
    /// The names of the classes, by number.
    names: Vec<String>,
}

/// The identity of a class.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Class<'a> {
    Name(&'a str),
    Label(i64),
}

impl Rows {
    fn new(queries: &Embeddings, gallery: Option<&Embeddings>) -> Self {
        let by_name = gallery.is_none_or(|gallery| gallery.classes.is_some());
        let mut numbers = BTreeMap::new();
        let mut rows = Self {
            values: Vec::new(),
            classes: Vec::new(),
            roles: Vec::new(),
            names: vec![String::new()],
        };
        let role = match gallery {
            None => (Role::Both, Some(Role::Gallery)),
            Some(_) => (Role::Query, None),
        };
        rows.add(queries, role, by_name, &mut numbers);
        if let Some(gallery) = gallery {
            let by_name = queries.classes.is_some();
            let role = (Role::Gallery, Some(Role::Gallery));
            rows.add(gallery, role, by_name, &mut numbers);
        }
        rows.names.resize(numbers.len() + 1, String::new());
        for (class, number) in numbers {
            rows.names[number] = match class {
                Class::Name(name) => name.to_string(),
                Class::Label(label) => label.to_string(),
            };
        }
        rows
    }

    /// Adds a file's rows. `known` is the role of rows with a class, `unknown` that of the others;
    /// `None` leaves them out.
    fn add<'a>(
        &mut self,
        file: &'a Embeddings,
        (known, unknown): (Role, Option<Role>),
        by_name: bool,
        numbers: &mut BTreeMap<Class<'a>, usize>,
    ) {
        let names = file.classes.as_deref().filter(|_| by_name);
        for (values, &label) in file.rows.chunks(file.dim).zip(&file.labels) {
            let (class, role) = match (label, unknown) {
                (NO_CLASS, None) => continue,
                (NO_CLASS, Some(role)) => (UNKNOWN, role),
                _ => {
                    let class = match names {
                        Some(names) => Class::Name(&names[label as usize]),
                        None => Class::Label(label),
                    };
                    let next = numbers.len() + 1;
                    (*numbers.entry(class).or_insert(next), known)
                }
            };
            self.values.extend_from_slice(values);
            self.classes.push(class);
            self.roles.push(role);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::cancellation::CancellationToken;
    use crate::embedding_file::{EmbeddingOutput, LabelsOption, NamedEmbeddings};
    use crate::progress::NoProgress;

    type B = burn_flex::Flex;

    /// Embeddings on a line, from a file called `name`.
    fn file(folder: &Path, name: &str, rows: &[(f32, i64)], classes: &[&str]) -> Embeddings {
        let path = folder.join(format!("{name}.safetensors"));
        let embeddings = NamedEmbeddings {
            rows: rows.iter().map(|row| row.0).collect(),
            dim: 1,
            labels: rows.iter().map(|row| row.1).collect(),
            paths: vec![String::new(); rows.len()],
            classes: classes.iter().map(ToString::to_string).collect(),
        };
        let output = EmbeddingOutput::new(&path).unwrap();
        output.write(&embeddings).unwrap();
        let labels = LabelsOption {
            name: "--labels",
            file: None,
        };
        Embeddings::read(&path, labels).unwrap()
    }

    fn at(recall: &[usize]) -> MeasureOptions<'_> {
        MeasureOptions {
            recall,
            ..MeasureOptions::default()
        }
    }

    fn at_1(queries: &Embeddings, gallery: Option<&Embeddings>) -> (f64, usize) {
        let (device, monitor) = (Default::default(), Monitor::none());
        let result = retrieval::<B>(queries, gallery, at(&[1]), &device, monitor).unwrap();
        let recall = result.measures.retrieval.recall;
        (recall.at[&1], recall.queries)
    }

    #[test]
    fn rows_without_a_class_are_distractors_and_not_queries() {
        let folder = TempDir::new().unwrap();
        let rows = [(0.0, 0), (1.0, 0), (10.0, 1), (11.0, 1)];
        let labelled = file(folder.path(), "a", &rows, &["x", "y"]);
        assert_eq!(at_1(&labelled, None), (1.0, 4));
        let rows = [&rows[..], &[(0.4, NO_CLASS), (30.0, NO_CLASS)]].concat();
        let disturbed = file(folder.path(), "b", &rows, &["x", "y"]);
        // The row at 0.4 is nearer to both of class x than they are to each other.
        assert_eq!(at_1(&disturbed, None), (0.5, 4));
    }

    #[test]
    fn classes_of_two_files_are_compared_by_name() {
        let folder = TempDir::new().unwrap();
        let queries = file(
            folder.path(),
            "q",
            &[(0.0, 0), (10.0, 1), (5.0, NO_CLASS)],
            &["x", "y"],
        );
        let gallery = [(0.1, 1), (10.1, 0), (50.0, 2)];
        let gallery = file(folder.path(), "g", &gallery, &["y", "x", "z"]);
        assert_eq!(at_1(&queries, Some(&gallery)), (1.0, 2));
        // If one of the files has no names, labels are compared.
        let mut nameless = gallery.clone();
        nameless.classes = None;
        assert_eq!(at_1(&queries, Some(&nameless)), (0.0, 2));
    }

    #[test]
    fn cancellation_ends_the_search() {
        let folder = TempDir::new().unwrap();
        let rows = file(folder.path(), "a", &[(0.0, 0), (1.0, 0)], &["x"]);
        let token = CancellationToken::new();
        token.cancel();
        let monitor = Monitor::new(&token, &NoProgress);
        let result = retrieval::<B>(&rows, None, at(&[1]), &Default::default(), monitor);
        assert!(matches!(result, Err(InferenceError::Cancelled)));
    }

    #[test]
    fn k_above_the_rows_that_are_searched_is_refused() {
        let folder = TempDir::new().unwrap();
        let rows = [(0.0, 0), (1.0, 0), (3.0, NO_CLASS)];
        let queries = file(folder.path(), "q", &rows, &["x"]);
        let gallery = file(folder.path(), "g", &[rows, rows].concat(), &["x"]);
        let measure = |gallery: Option<&Embeddings>, k: usize| {
            let (device, monitor) = (Default::default(), Monitor::none());
            retrieval::<B>(&queries, gallery, at(&[1, k]), &device, monitor)
        };
        assert_eq!(
            measure(None, 2).unwrap().measures.retrieval.recall.at[&2],
            1.0
        );
        let message = measure(None, 3).unwrap_err().to_string();
        assert_eq!(
            message,
            "Recall@3 needs 3 neighbours, but a query is searched among 2 row(s); give K up to 2 with --recall"
        );
        assert_eq!(
            measure(Some(&gallery), 6)
                .unwrap()
                .measures
                .retrieval
                .recall
                .at[&6],
            1.0
        );
        let message = measure(Some(&gallery), 7).unwrap_err().to_string();
        assert!(message.contains("searched among 6 row(s)"), "{message}");
    }

    #[test]
    fn same_file_without_positives_and_other_dimension_are_errors() {
        let folder = TempDir::new().unwrap();
        let alone = file(folder.path(), "a", &[(0.0, 0), (1.0, 1)], &["x", "y"]);
        let refusal = |gallery: Option<&Embeddings>| {
            let (device, monitor) = (Default::default(), Monitor::none());
            let refused = retrieval::<B>(&alone, gallery, at(&[1]), &device, monitor);
            refused.unwrap_err().to_string()
        };
        assert!(refusal(Some(&alone)).contains("would find itself"));
        assert!(refusal(None).contains("nothing could be found"));
        let strange = file(folder.path(), "g", &[(0.0, 0)], &["z"]);
        assert!(refusal(Some(&strange)).contains("nothing could be found"));
        let mut longer = strange.clone();
        longer.dim = 2;
        assert!(refusal(Some(&longer)).contains("have dimension 1"));
    }
}
