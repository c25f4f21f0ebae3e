//! Deep metric learning in one crate and one binary: image embeddings trained with LoOp's optimal
//! hard negatives (Vasudeva et al., ICCV 2021), on Burn.
//!
//! Everything that computes is generic over Burn's `Backend`. A training step is
//!
//! ```text
//! images → data → model → negatives → loss → training (Burn's Learner)
//! ```
//!
//! # Modules
//!
//! A module imports only modules further down, and modules of one layer do not import each other.
//!
//! ```text
//!  cli            the command line: arguments, output, exit statuses
//!   │
//!   ├─ bench      timings of the loss, the training step and the loader
//!   ├─ report     HTML pages about runs and searches
//!   │
//!  sweep          trainings with every combination of some values, and their results
//!   │
//!  inference      embedding images, retrieval, export
//!   │
//!  training       Burn's Learner: step, optimiser, metrics, checkpoints, run folders
//!   │
//!  backend        the only concrete backends; devices, kernel caches
//!   │
//!  config         the configuration: merges the sections, checks them together
//!   │
//!   ├─ data       datasets, transforms, batch sampler, loaders
//!   ├─ model      backbones, pooling, embedding head, pretrained weights
//!   │
//!  embedding_file files of embeddings with labels
//!   │
//!   ├─ loss       comparisons → a loss and its statistics, one file per loss
//!   ├─ evaluation ranks of the positives → retrieval metrics
//!   │
//!  negatives      embeddings and labels → comparisons of anchors
//!   │
//!  geometry       closest approach of arcs and segments, from inner products
//!
//!  kernels        layers in few passes: kernels for GPUs, loops for processors
//!
//!  support, for all of them:
//!  setting        checks of configuration values
//!  cancellation   one request to stop
//!  progress       the progress of long work
//!  atomic_file    files that are complete or absent
//!  bounded_read   reading files with a limit on their size
//!  escape         text without codes for terminals
//!  file_lock      a lock between processes
//!  free_space     free space of disks
//!  hex            hashes in hexadecimal digits
//!  panic_capture  panics of libraries as values
//!  process_memory the memory of this process
//!  queued_read    reads from a device that are awaited later
//!  safetensors_start  safetensors files by their first bytes
//!  shorten        long texts in messages
//!  temporary_files  what an immediate exit removes
//! ```
//!
//! Each module has an error type and the configuration of its section, except `[optimizer]`, `[training]`
//! and `[evaluation]`, which `config` defines. The library prints nothing: it returns values, logs with `tracing`, and reports to a [`ProgressObserver`](progress::ProgressObserver)
//! and a [`TrainingObserver`](training::TrainingObserver).
//!
//! # Terms
//!
//! | term | meaning |
//! | --- | --- |
//! | anchor | what a loss compares with positives and negatives: an image, or with LoOp a pair of images |
//! | positive, negative | an embedding, or a point between two, of the anchor's class or of another class |
//! | comparisons | the distances or inner products of all anchors of a batch, with masks ([`Comparisons`](negatives::Comparisons)) |
//! | negatives | the strategy that generates them: `none`, `embedding-expansion` or `loop` ([`Negatives`](negatives::Negatives)) |
//! | pair | two images of the same class, in adjacent rows of a batch |
//! | space | the unit sphere or Euclidean space, in which embeddings are compared ([`Space`](negatives::Space)) |
//! | active | share of the anchors with a loss above 0 |
//! | mined | number of positives and negatives that have a gradient, per anchor |
//! | d⁺, d⁻ | mean distance of the anchors to, or inner product with, their hardest positive and negative |
//! | embedder | backbone, pooling and head ([`Embedder`](model::Embedder)) |
//! | split | the training images or the test images ([`Split`](data::Split)) |
//! | query, gallery | an image to search with, and the images to search in ([`Role`](evaluation::Role)) |
//! | Recall@K | share of the queries with a positive among the K nearest ([`Recall`](evaluation::Recall)) |
//! | metric learner | an embedder in training, with its objective ([`MetricLearner`](training::MetricLearner)) |
//! | forward pass, backward pass | the two halves of a training step ([`ForwardPass`](training::ForwardPass), [`BackwardPass`](model::BackwardPass)) |
//! | run folder | everything that a training writes: configuration, metrics, checkpoints ([`RunFolder`](training::RunFolder)) |
//! | checkpoint | the state of a run after an epoch: `best`, `last`, or the number of the epoch ([`Checkpoint`](training::Checkpoint)) |
//! | compute context | a device, and how to compute on it ([`ComputeContext`](backend::ComputeContext)) |
//! | backend task | a computation that is generic over the backend ([`BackendTask`](backend::BackendTask)) |
//! | cancellation token | a request to stop, shared by its clones ([`CancellationToken`](cancellation::CancellationToken)) |
//!
//! # Example
//!
//! `geometry`, `negatives`, `loss` and `evaluation` do not depend on files, configurations of runs or
//! the Learner. They can be used in any training loop:
//!
//! ```
//! use burn::backend::Autodiff;
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::{AdamConfig, GradientsParams, Optimizer};
//! use burn::tensor::backend::Backend;
//! use burn::tensor::{Distribution, Int, Tensor};
//! use loop_dml::loss::HphnTripletLossConfig;
//! use loop_dml::model::unit_length;
//! use loop_dml::geometry::Measure;
//! use loop_dml::negatives::{LoopNegatives, Negatives, Space};
//!
//! /// A network of your own.
//! #[derive(Module, Debug)]
//! struct Network<B: Backend> {
//!     head: Linear<B>,
//! }
//!
//! impl<B: Backend> Network<B> {
//!     fn forward(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
//!         unit_length(self.head.forward(features))
//!     }
//! }
//!
//! fn main() {
//!     type B = Autodiff<burn_flex::Flex>;
//!     let device = Default::default();
//!     B::seed(&device, 1);
//!     let head = LinearConfig::new(16, 8).init(&device);
//!     let mut network = Network::<B> { head };
//!     let mut optimizer = AdamConfig::new().init();
//!     let loss = HphnTripletLossConfig::new().with_margin(0.2).init();
//!
//!     // Rows of one class are adjacent and an even number: LoOp takes them in pairs.
//!     let features = Tensor::<B, 2>::random([8, 16], Distribution::Default, &device);
//!     let labels = Tensor::<B, 1, Int>::from_data([0, 0, 1, 1, 2, 2, 3, 3], &device);
//!     let negatives = Negatives::Loop(LoopNegatives::PUBLISHED);
//!     let mut means = Vec::new();
//!     for _ in 0..30 {
//!         let embeddings = network.forward(features.clone());
//!         let comparisons =
//!             negatives.compare(embeddings, labels.clone(), Space::Sphere, Measure::Distance);
//!         let mean = loss.forward(comparisons).mean();
//!         means.push(mean.clone().into_scalar());
//!         let gradients = GradientsParams::from_grads(mean.backward(), &network);
//!         network = optimizer.step(1e-2, network, gradients);
//!     }
//!     assert!(means[29] < means[0]);
//! }
//! ```
//!
//! `examples/own_training_loop.rs` is a complete program that also evaluates on classes without
//! training images.

pub mod atomic_file;
pub mod backend;
pub mod bench;
mod bounded_read;
pub mod cancellation;
pub mod cli;
pub mod config;
pub mod data;
pub mod distribution;
pub mod embedding_file;
mod escape;
pub mod evaluation;
mod file_identity;
mod file_lock;
mod free_space;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod geometry;
mod hex;
pub mod inference;
pub mod kernels;
pub mod loss;
pub mod model;
pub mod negatives;
mod panic_capture;
mod process_memory;
pub mod progress;
mod queued_read;
pub mod report;
mod safetensors_start;
pub mod setting;
mod shorten;
pub mod sweep;
mod temporary_files;
pub mod training;
