//! Principal components, by subspace iteration: products and a small orthogonalisation, on any backend.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::kernels::matmul;

/// Iterations. Each reduces the error of a component by the ratio of the variances after and at it; for a map, few
/// digits suffice.
const ITERATIONS: usize = 30;
/// A column shorter than this share of the one before orthogonalisation depends on the others.
const DEPENDENT: f64 = 1e-6;

/// Projects rows on their principal components, those with the largest variance first.
///
/// # Shapes
/// - `values`: `[N, D]`, row by row, finite
/// - output: `[N, components]`, row by row; 0 for components without variance
pub(super) fn principal_components<B: Backend>(
    values: &[f32],
    dim: usize,
    components: usize,
    device: &B::Device,
) -> Vec<f32> {
    let count = values.len() / dim;
    let rows = Tensor::<B, 2>::from_data(TensorData::new(values.to_vec(), [count, dim]), device);
    let rows = rows.clone() - rows.mean_dim(0);
    let covariance = matmul(rows.clone().transpose(), rows.clone());
    let mut random = ChaCha8Rng::seed_from_u64(0);
    // The columns of the basis, one after the other.
    let mut basis: Vec<f64> = (0..dim * components)
        .map(|_| random.random_range(-1.0..1.0))
        .collect();
    orthogonalise(&mut basis, dim);
    let tensor = |basis: &[f64]| {
        let basis: Vec<f32> = basis.iter().map(|&x| x as f32).collect();
        Tensor::<B, 2>::from_data(TensorData::new(basis, [components, dim]), device).transpose()
    };
    for _ in 0..ITERATIONS {
        let product = matmul(covariance.clone(), tensor(&basis)).transpose();
        basis = product.into_data().iter::<f64>().collect();
        orthogonalise(&mut basis, dim);
    }
    let projected = matmul(rows, tensor(&basis));
    projected.into_data().iter::<f32>().collect()
}

/// Makes columns of length `dim` orthogonal and of length 1 (modified Gram-Schmidt). A column that depends on those
/// before it, or is 0, becomes 0.
fn orthogonalise(columns: &mut [f64], dim: usize) {
    for at in 0..columns.len() / dim {
        let (before, rest) = columns.split_at_mut(at * dim);
        let column = &mut rest[..dim];
        let first = length(column);
        for other in before.chunks(dim) {
            let product: f64 = other.iter().zip(&*column).map(|(a, b)| a * b).sum();
            let pairs = column.iter_mut().zip(other);
            pairs.for_each(|(x, other)| *x -= product * other);
        }
        let left = length(column);
        let scale = match left > DEPENDENT * first {
            true => 1.0 / left,
            false => 0.0,
        };
        column.iter_mut().for_each(|x| *x *= scale);
    }
}

fn length(column: &[f64]) -> f64 {
    column.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn variances_are_those_of_the_axes_in_descending_order() {
        // Independent axes with the standard deviations 1, 8, 3, 0, moved by 5.
        let deviations = [1.0_f64, 8.0, 3.0, 0.0];
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let count = 2000;
        let values: Vec<f32> = (0..count * 4)
            .map(|i| {
                let uniform: f64 = random.random_range(-1.0..1.0);
                (5.0 + deviations[i % 4] * 3.0_f64.sqrt() * uniform) as f32
            })
            .collect();
        let projected = principal_components::<B>(&values, 4, 4, &Default::default());
        for (component, expected) in [8.0, 3.0, 1.0, 0.0].into_iter().enumerate() {
            let values = projected.chunks(4).map(|row| f64::from(row[component]));
            let variance = values.map(|x| x * x).sum::<f64>() / count as f64;
            // 2,000 draws have the variance within some per cent.
            let error = (variance.sqrt() - expected).abs();
            assert!(error < 0.05 * expected + 1e-3, "{component}: {variance}");
        }
    }

    #[test]
    fn equal_rows_have_no_components() {
        let projected = principal_components::<B>(&[2.0; 12], 3, 3, &Default::default());
        assert!(projected.iter().all(|&x| x == 0.0), "{projected:?}");
    }
}
