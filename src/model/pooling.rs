//! Global pooling: reduces a feature map to one number per channel.
//!
//! Maps are channels-last with their positions in one axis, `[N, M, C]`; the output is `[N, C]`.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};

use super::config::GemConfig;
use super::layers::ConvAlgorithm;

/// GeM raises smaller activations to this value (the authors' code). They get no gradient.
const ACTIVATION_FLOOR: f64 = 1e-6;

/// The smallest p. Below it the mean is not a norm, and towards 0 its root overflows.
const SMALLEST_POWER: f64 = 1.0;

/// The mean over positions.
pub(super) fn average<B: Backend>(maps: Tensor<B, 3>, algorithm: ConvAlgorithm) -> Tensor<B, 2> {
    mean(maps, algorithm).squeeze_dim(1)
}

/// The maximum over positions. The gradient goes to one of equal maxima; on the CPU, the first.
pub(super) fn maximum<B: Backend>(maps: Tensor<B, 3>) -> Tensor<B, 2> {
    maps.max_dim(1).squeeze_dim(1)
}

/// Generalised-mean pooling: f = (1/M · Σ max(xᵢ, ε)ᵖ)^(1/p) over the M positions of each channel
/// (Radenović et al. 2018, arXiv 1711.02512, eq. 3); average pooling at p = 1, towards max pooling
/// as p → ∞.
#[derive(Module, Debug)]
pub struct GemPool<B: Backend> {
    /// The learned difference from the initial power, `[1]`; `None` if the power is fixed.
    ///
    /// The parameter is the difference instead of p, because weight decay pulls parameters to 0: it
    /// would turn the pooling into an average, and so pulls p to its initial value.
    pub power_offset: Option<Param<Tensor<B, 1>>>,
    power: f64,
}

impl<B: Backend> GemPool<B> {
    /// The pooling with its initial power.
    pub(super) fn new(config: &GemConfig, device: &B::Device) -> Self {
        let offset = || Param::from_tensor(Tensor::zeros([1], device));
        Self {
            power_offset: config.learned.then(offset),
            power: config.power,
        }
    }

    /// Pools `maps`.
    ///
    /// f is homogeneous in x, so that f = Σ xᵢ ∂f/∂xᵢ (Euler), with ∂f/∂xᵢ = (xᵢ/f)^(p−1) / M. The
    /// derivatives are computed without gradient and used as the constant weights of a sum, which has
    /// the value and the gradient of f without a power in the backward pass. Powers are computed of
    /// rᵢ = xᵢ / maxⱼ xⱼ, which excludes overflow and roots of 0.
    ///
    /// # Shapes
    /// - `maps`: `[N, M, C]`
    /// - output: `[N, C]`
    pub(super) fn forward(&self, maps: Tensor<B, 3>, algorithm: ConvAlgorithm) -> Tensor<B, 2> {
        let power = self.power_offset.as_ref().map(|offset| {
            let power = (offset.val() + self.power).clamp_min(SMALLEST_POWER);
            power.reshape([1, 1, 1])
        });
        let maps = maps.clamp_min(ACTIVATION_FLOOR);
        let constant = maps.clone().detach();
        let largest = spread(constant.clone().max_dim(1), constant.dims()[1], algorithm);
        let ratios = constant / largest;
        let (raised, root, by_power) = match &power {
            None => {
                let (raised, root) = fixed_powers(ratios, self.power, algorithm);
                (raised, root, None)
            }
            Some(power) => {
                let power = power.clone().detach();
                let (raised, root, by_power) = learned_powers(ratios, power, algorithm);
                (raised, root, Some(by_power))
            }
        };
        let pooled = mean(maps * raised, algorithm) / root;
        let pooled = match (power, by_power) {
            (Some(power), Some(by_power)) => {
                let slope = pooled.clone().detach() * by_power;
                pooled + (power.clone() - power.detach()) * slope
            }
            _ => pooled,
        };
        pooled.squeeze_dim(1)
    }
}

/// For f = mean(x rᵖ⁻¹) / m^((p−1)/p), where m is the mean of rᵖ: rᵖ⁻¹ `[N, M, C]` and the
/// denominator `[N, 1, C]`.
fn fixed_powers<B: Backend>(
    ratios: Tensor<B, 3>,
    p: f64,
    algorithm: ConvAlgorithm,
) -> (Tensor<B, 3>, Tensor<B, 3>) {
    let raised = ratios.clone().powf_scalar(p - 1.0);
    let root = mean(raised.clone() * ratios, algorithm).powf_scalar((p - 1.0) / p);
    (raised, root)
}

/// The same for a power `p` `[1, 1, 1]` on the device, and ∂f/∂p / f `[N, 1, C]`, which is
/// mean(rᵖ ln r) / (p m) − ln m / p².
fn learned_powers<B: Backend>(
    ratios: Tensor<B, 3>,
    p: Tensor<B, 3>,
    algorithm: ConvAlgorithm,
) -> (Tensor<B, 3>, Tensor<B, 3>, Tensor<B, 3>) {
    let logarithms = ratios.clone().log();
    let raised = (logarithms.clone() * (p.clone() - 1.0)).exp();
    let whole = raised.clone() * ratios;
    let m = mean(whole.clone(), algorithm);
    let log_m = m.clone().log();
    let root = (log_m.clone() * (p.clone() - 1.0) / p.clone()).exp();
    let by_power = (mean(whole * logarithms, algorithm) / m - log_m / p.clone()) / p;
    (raised, root, by_power)
}

/// The mean over positions, `[N, M, C]` → `[N, 1, C]`.
///
/// [`ConvAlgorithm::Im2col`] multiplies by a constant row: the gradient is an outer product instead of a
/// broadcast, which CPUs process number by number. A GPU may round the factors of a product to 11
/// significant bits (TF32), and fuses a reduction with the operations before it.
fn mean<B: Backend>(maps: Tensor<B, 3>, algorithm: ConvAlgorithm) -> Tensor<B, 3> {
    let [_, positions, _] = maps.dims();
    let weight = 1.0 / positions as f64;
    match algorithm {
        ConvAlgorithm::Im2col => {
            Tensor::full([1, 1, positions], weight, &maps.device()).matmul(maps)
        }
        ConvAlgorithm::Backend => maps.mean_dim(1),
    }
}

/// Numbers `[N, 1, C]` as an operand for maps `[N, M, C]`; a product for the reason given at [`mean`].
fn spread<B: Backend>(
    numbers: Tensor<B, 3>,
    positions: usize,
    algorithm: ConvAlgorithm,
) -> Tensor<B, 3> {
    match algorithm {
        ConvAlgorithm::Im2col => Tensor::ones([1, positions, 1], &numbers.device()).matmul(numbers),
        ConvAlgorithm::Backend => numbers,
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::Autodiff,
        tensor::{TensorData, backend::AutodiffBackend},
    };

    use super::*;

    type AB = Autodiff<burn_flex::Flex>;
    type Gradients = <AB as AutodiffBackend>::Gradients;

    const ALGORITHMS: [ConvAlgorithm; 2] = [ConvAlgorithm::Im2col, ConvAlgorithm::Backend];

    const N: usize = 2;
    const C: usize = 3;

    /// Step of finite differences, in double precision.
    const STEP: f64 = 1e-6;

    /// Activations like those after a ReLU: two in five are 0.
    fn wave(positions: usize) -> Vec<f64> {
        let value = |i: usize| (2.0 * (i as f64 * 1.3).sin() + 0.5).max(0.0);
        (0..N * positions * C).map(value).collect()
    }

    fn probe() -> Vec<f64> {
        (0..N * C).map(|i| (i as f64 * 0.7 + 0.3).cos()).collect()
    }

    fn tensor<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<AB, D> {
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    /// The values of channel `c` of image `n`.
    fn channel(x: &[f64], n: usize, c: usize) -> Vec<f64> {
        let image = x.len() / N;
        let of_image = &x[n * image..(n + 1) * image];
        of_image.iter().skip(c).step_by(C).copied().collect()
    }

    fn expected(x: &[f64], pool: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        (0..N * C)
            .map(|i| pool(&channel(x, i / C, i % C)))
            .collect()
    }

    fn plain_mean(x: &[f64]) -> f64 {
        x.iter().sum::<f64>() / x.len() as f64
    }

    fn largest(x: &[f64]) -> f64 {
        x.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn generalised_mean(p: f64) -> impl Fn(&[f64]) -> f64 {
        move |x| {
            let powers: Vec<f64> = x.iter().map(|x| x.max(1e-6).powf(p)).collect();
            plain_mean(&powers).powf(1.0 / p)
        }
    }

    fn gem(power: f64, learned: bool) -> GemPool<AB> {
        GemPool::new(&GemConfig { power, learned }, &Default::default())
    }

    fn probed(x: &[f64], pool: impl Fn(&[f64]) -> f64) -> f64 {
        expected(x, pool)
            .iter()
            .zip(probe())
            .map(|(y, w)| y * w)
            .sum()
    }

    /// Central differences of the probed oracle by every activation.
    fn differences(x: &[f64], pool: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let slope = |i: usize| {
            let moved = |by: f64| {
                let mut x = x.to_vec();
                x[i] += by;
                probed(&x, &pool)
            };
            (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
        };
        (0..x.len()).map(slope).collect()
    }

    fn assert_close(found: TensorData, expected: &[f64], tolerance: f64, what: &str) {
        let found: Vec<f64> = found.iter().collect();
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < tolerance, "{what}: {found:?} {expected:?}");
        }
    }

    /// Output and gradient of the activations under the probe.
    fn results(
        x: &[f64],
        pool: impl Fn(Tensor<AB, 3>) -> Tensor<AB, 2>,
    ) -> (TensorData, TensorData, Gradients) {
        let x = tensor(x, [N, x.len() / (N * C), C]).require_grad();
        let y = pool(x.clone());
        let gradients = (y.clone() * tensor(&probe(), [N, C])).sum().backward();
        let slope = x.grad(&gradients).unwrap().into_data();
        (y.into_data(), slope, gradients)
    }

    /// Single precision against double: about 10 roundings of numbers up to 2.5.
    const TOLERANCE: f64 = 5e-6;

    #[test]
    fn average_and_maximum_equal_plain_loops() {
        for positions in [1, 4, 49] {
            // Without ties, at which the maximum has no derivative.
            let x: Vec<f64> = wave(positions)
                .iter()
                .enumerate()
                .map(|(i, x)| x + 1e-3 * i as f64)
                .collect();
            for algorithm in ALGORITHMS {
                let (y, slope, _) = results(&x, |x| average(x, algorithm));
                assert_close(y, &expected(&x, plain_mean), TOLERANCE, "mean");
                let slopes = differences(&x, plain_mean);
                assert_close(slope, &slopes, TOLERANCE, "mean's gradient");
            }
            let (y, slope, _) = results(&x, maximum);
            assert_close(y, &expected(&x, largest), TOLERANCE, "maximum");
            assert_close(slope, &differences(&x, largest), TOLERANCE, "its gradient");
        }
    }

    #[test]
    fn gem_equals_the_formula_with_fixed_and_learned_power() {
        for positions in [1, 4, 49] {
            for p in [1.0, 2.5, 3.0, 8.0] {
                let x = wave(positions);
                let oracle = expected(&x, generalised_mean(p));
                // Differences at activations of 0 are not used: a step would cross the floor.
                let slopes = differences(&x, generalised_mean(p));
                for (learned, algorithm) in [false, true]
                    .map(|l| ALGORITHMS.map(|algorithm| (l, algorithm)))
                    .concat()
                {
                    let what =
                        format!("{positions} positions, p {p}, learned {learned}, {algorithm:?}");
                    let pool = gem(p, learned);
                    let (y, slope, _) = results(&x, |x| pool.forward(x, algorithm));
                    assert_close(y, &oracle, TOLERANCE, &what);
                    let found: Vec<f64> = slope.iter().collect();
                    for ((x, found), expected) in x.iter().zip(found).zip(&slopes) {
                        let expected = if *x > 0.0 { *expected } else { 0.0 };
                        assert!((found - expected).abs() < TOLERANCE, "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn gradient_of_the_learned_power_equals_a_finite_difference() {
        for p in [1.5, 3.0, 8.0] {
            let (x, pool) = (wave(9), gem(p, true));
            let slope =
                probed(&x, generalised_mean(p + STEP)) - probed(&x, generalised_mean(p - STEP));
            for algorithm in ALGORITHMS {
                let (_, _, gradients) = results(&x, |x| pool.forward(x, algorithm));
                let offset = pool.power_offset.as_ref().unwrap().val();
                let found = offset.grad(&gradients).unwrap().into_data();
                assert_close(found, &[slope / (2.0 * STEP)], TOLERANCE, "power");
            }
        }
    }

    #[test]
    fn learned_offset_is_added_to_the_power_which_stays_at_least_one() {
        let x = wave(9);
        for (offset, p) in [(0.5, 3.5), (-1.0, 2.0), (-7.0, 1.0)] {
            let mut pool = gem(3.0, true);
            pool.power_offset = Some(Param::from_tensor(tensor(&[offset], [1])));
            let (y, _, _) = results(&x, |x| pool.forward(x, ConvAlgorithm::Im2col));
            assert_close(y, &expected(&x, generalised_mean(p)), TOLERANCE, "offset");
        }
    }

    #[test]
    fn map_of_zeros_pools_to_the_floor_with_finite_gradients() {
        let zeros = [0.0; N * 4 * C];
        for p in [1.0, 3.0, 50.0] {
            for learned in [false, true] {
                let pool = gem(p, learned);
                let (y, slope, gradients) =
                    results(&zeros, |x| pool.forward(x, ConvAlgorithm::Im2col));
                assert_close(y, &[1e-6; N * C], 1e-11, "floor");
                assert_close(slope, &zeros, 1e-30, "zeros");
                if let Some(offset) = &pool.power_offset {
                    let slope = offset.val().grad(&gradients).unwrap().into_data();
                    assert_close(slope, &[0.0], 1e-9, "power");
                }
            }
        }
    }

    #[test]
    fn large_powers_and_activations_do_not_overflow() {
        let huge: Vec<f64> = wave(4).iter().map(|x| x * 1e30).collect();
        for learned in [false, true] {
            let pool = gem(60.0, learned);
            let (y, slope, _) = results(&huge, |x| pool.forward(x, ConvAlgorithm::Im2col));
            let found: Vec<f64> = y.iter().collect();
            for (a, b) in found.iter().zip(expected(&huge, largest)) {
                // At most the maximum; at least the mean if only one position in four has it.
                assert!(*a <= b * 1.001 && *a >= b * 0.25_f64.powf(1.0 / 60.0) * 0.999);
            }
            assert!(slope.iter::<f64>().all(f64::is_finite));
        }
    }

    #[test]
    fn gradient_of_equal_maxima_goes_to_one_of_them() {
        let (y, slope, _) = results(&[1.5; N * 4 * C], maximum);
        assert_close(y, &[1.5; N * C], TOLERANCE, "maximum");
        let slope: Vec<f64> = slope.iter().collect();
        for (i, weight) in probe().iter().enumerate() {
            let of_channel = channel(&slope, i / C, i % C);
            assert_eq!(of_channel[0], *weight as f32 as f64);
            assert!(of_channel[1..].iter().all(|&g| g == 0.0));
        }
    }
}
