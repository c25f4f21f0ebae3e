//! loop-dml as a library: LoOp in your own training loop, without the command line, the configuration
//! files and Burn's Learner.
//!
//! ```text
//! cargo run --release --example own_training_loop
//! ```
//!
//! A network with two layers embeds synthetic vectors. Their classes differ in 8 directions; 24 other
//! directions are noise of the same scale. The network learns the 8 directions from one half of the
//! classes and is evaluated on the other half.

#![allow(clippy::print_stdout, reason = "the output of the example")]

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::activation::relu;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Distribution, Int, Tensor};
use loop_dml::evaluation::{Recall, nearest_positive_ranks};
use loop_dml::geometry::Measure;
use loop_dml::loss::HphnTripletLossConfig;
use loop_dml::model::unit_length;
use loop_dml::negatives::{LoopNegatives, Negatives, Space};

const CLASSES: usize = 16;
/// The first classes are for training, the others for testing.
const TRAINING_CLASSES: usize = 8;
const VECTORS_PER_CLASS: usize = 32;
/// Directions in which the classes differ.
const SIGNAL: usize = 8;
/// Directions of noise.
const NOISE: usize = 24;

const STEPS: usize = 100;
/// Vectors of each training class in every step. Even, because LoOp uses pairs of vectors.
const VECTORS_IN_BATCH: usize = 8;
const LEARNING_RATE: f64 = 3e-3;

/// Your own network; loop-dml needs only its embeddings.
#[derive(Module, Debug)]
struct Network<B: Backend> {
    hidden: Linear<B>,
    head: Linear<B>,
}

impl<B: Backend> Network<B> {
    fn new(device: &B::Device) -> Self {
        Self {
            hidden: LinearConfig::new(SIGNAL + NOISE, 64).init(device),
            head: LinearConfig::new(64, 16).init(device),
        }
    }

    /// `[N, SIGNAL + NOISE]` → `[N, 16]`, of unit length.
    fn forward(&self, vectors: Tensor<B, 2>) -> Tensor<B, 2> {
        unit_length(self.head.forward(relu(self.hidden.forward(vectors))))
    }
}

/// Creates the vectors of all classes, `[CLASSES, VECTORS_PER_CLASS, SIGNAL + NOISE]`.
fn synthetic_vectors<B: Backend>(device: &B::Device) -> Tensor<B, 3> {
    let normal = |shape: [usize; 3], deviation: f64| {
        Tensor::<B, 3>::random(shape, Distribution::Normal(0.0, deviation), device)
    };
    let centres = normal([CLASSES, 1, SIGNAL], 1.0);
    let signal = centres + normal([CLASSES, VECTORS_PER_CLASS, SIGNAL], 0.3);
    let noise = normal([CLASSES, VECTORS_PER_CLASS, NOISE], 1.0);
    let dim = SIGNAL + NOISE;
    let mixture = normal([1, dim, dim], 1.0 / (dim as f64).sqrt());
    Tensor::cat(vec![signal, noise], 2).matmul(mixture)
}

/// Draws vectors of every class and their labels. The vectors of one class are adjacent, as LoOp
/// requires.
fn draw_batch<B: Backend>(vectors: &Tensor<B, 3>) -> (Tensor<B, 2>, Tensor<B, 1, Int>) {
    let [classes, of_each, dim] = vectors.dims();
    let device = vectors.device();
    let rows = classes * VECTORS_IN_BATCH;
    let drawn = Tensor::<B, 1>::random([of_each], Distribution::Uniform(0.0, 1.0), &device)
        .argsort(0)
        .slice(0..VECTORS_IN_BATCH);
    let labels = Tensor::<B, 1, Int>::arange(0..classes as i64, &device)
        .reshape([classes, 1])
        .repeat_dim(1, VECTORS_IN_BATCH)
        .reshape([rows]);
    let batch = vectors.clone().select(1, drawn).reshape([rows, dim]);
    (batch, labels)
}

fn train<B: AutodiffBackend>(mut network: Network<B>, vectors: &Tensor<B, 3>) -> Network<B> {
    let loss = HphnTripletLossConfig::new().with_margin(0.2).init();
    let negatives = Negatives::Loop(LoopNegatives::PUBLISHED);
    let mut optimizer = AdamConfig::new().init();
    for step in 1..=STEPS {
        let (batch, labels) = draw_batch(vectors);
        let embeddings = network.forward(batch);
        let comparisons = negatives.compare(embeddings, labels, Space::Sphere, Measure::Distance);
        let mean = loss.forward(comparisons).mean();
        if step == 1 || step % 20 == 0 {
            println!("step {step:>3}: loss {:.3}", mean.clone().into_scalar());
        }
        let gradients = GradientsParams::from_grads(mean.backward(), &network);
        network = optimizer.step(LEARNING_RATE, network, gradients);
    }
    network
}

/// Returns the share of vectors whose nearest neighbour is of their class.
fn recall_at_1<B: Backend>(network: &Network<B>, vectors: Tensor<B, 3>) -> f64 {
    let [classes, of_each, dim] = vectors.dims();
    let rows = classes * of_each;
    let embeddings = network.forward(vectors.reshape([rows, dim]));
    let labels: Vec<usize> = (0..rows).map(|row| row / of_each).collect();
    Recall::from_ranks(&nearest_positive_ranks(embeddings, &labels, None), &[1]).at_1()
}

fn main() {
    type B = Autodiff<burn_flex::Flex>;

    let device = Default::default();
    B::seed(&device, 1);
    let vectors = synthetic_vectors::<B>(&device);
    let training = vectors.clone().slice(0..TRAINING_CLASSES);
    let test = vectors.slice(TRAINING_CLASSES..CLASSES).inner();

    let network = Network::new(&device);
    let untrained = recall_at_1(&network.valid(), test.clone());
    let network = train(network, &training);
    let trained = recall_at_1(&network.valid(), test);
    println!(
        "Recall@1 on unseen classes: {:.1} % untrained, {:.1} % trained",
        100.0 * untrained,
        100.0 * trained
    );
}
