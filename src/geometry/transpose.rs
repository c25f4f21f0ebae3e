//! A transpose that is correct on every backend.

use burn::tensor::{BasicOps, Tensor, TensorKind, backend::Backend};

/// Returns the transpose of a matrix.
///
/// A column \[N, 1\] becomes a row by `reshape`, not by Burn's `transpose`: Burn 0.21's fusion computes
/// wrong numbers for an even N if one fused kernel reads a column and its transpose
/// (`docs/burn-0.21.md`). Both read the same memory, so neither copies. A test rejects Burn's
/// `transpose` and `swap_dims` in the code that compares embeddings.
///
/// # Shapes
/// - matrix: \[R, C\]
/// - output: \[C, R\]
pub(crate) fn transpose<B: Backend, K>(matrix: Tensor<B, 2, K>) -> Tensor<B, 2, K>
where
    K: TensorKind<B> + BasicOps<B>,
{
    let [rows, columns] = matrix.dims();
    if rows == 1 || columns == 1 {
        matrix.reshape([columns, rows])
    } else {
        matrix.transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::geometry::oracle::{TestBackend, values};

    #[test]
    fn matrices_of_every_shape_are_transposed() {
        for [rows, columns] in [[1, 1], [1, 4], [4, 1], [3, 2]] {
            let count = (rows * columns) as i64;
            let matrix =
                Tensor::<TestBackend, 1, burn::tensor::Int>::arange(0..count, &Default::default())
                    .float()
                    .reshape([rows, columns]);
            let before = values(matrix.clone());
            let after = transpose(matrix);
            assert_eq!(after.dims(), [columns, rows]);
            let after = values(after);
            for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                assert_eq!(after[j * rows + i], before[i * columns + j]);
            }
        }
    }

    /// Collects the lines of a module that call Burn's own transpose.
    fn transposing_lines(folder: &Path, found: &mut Vec<String>) {
        let entries = fs::read_dir(folder).expect("the sources exist");
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                transposing_lines(&path, found);
                continue;
            }
            let source = fs::read_to_string(&path).expect("sources are UTF-8");
            let calls = |line: &&str| {
                [".transpose()", "Tensor::transpose", "swap_dims", ".t()"]
                    .iter()
                    .any(|call| line.contains(call))
            };
            let lines = source.lines().filter(calls);
            found.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }

    #[test]
    fn other_files_do_not_call_burns_transpose() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        for module in ["geometry", "negatives", "loss", "evaluation"] {
            transposing_lines(&sources.join(module), &mut found);
        }
        let this_file = Path::new("geometry").join("transpose.rs");
        found.retain(|line| !line.contains(this_file.to_str().expect("UTF-8")));
        assert_eq!(
            found,
            Vec::<String>::new(),
            "use geometry::transpose: fusion miscomputes a column and its transpose in one kernel"
        );
    }
}
