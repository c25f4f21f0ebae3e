//! Deep metric learning in one crate and one binary: image embeddings trained with LoOp's optimal
//! hard negatives (Vasudeva et al., ICCV 2021), on Burn.
//!
//! Everything that computes is generic over Burn's `Backend`. Data goes one way:
//!
//! ```text
//! images → data → model → negatives → loss → training (Burn's Learner)
//!                   └──→ evaluation
//! ```
//!
//! - [`geometry`]: closest approach of arcs and segments, from inner products; no labels, no losses.
//! - [`negatives`]: a batch of embeddings becomes comparisons of anchors.
//! - [`loss`]: comparisons become a loss and its statistics, one file per loss.
//! - [`model`]: backbones, pooling, embedding head, pretrained weights.
//! - [`data`]: datasets, transforms, the batch sampler, the loaders.
//! - [`training`]: the Learner's step, metrics, checkpoints, run folders.
//! - [`embedding`]: images to files of embeddings with a finished network, and their retrieval.
//! - [`evaluation`]: retrieval measures, pure functions of embeddings and labels.
//! - [`config`]: the typed configuration; the one place of defaults.
//! - [`benchmark`]: timings of the parts.
//! - [`backend`]: the only module that names concrete backends; [`cli`]: the command line;
//!   [`new_file`]: writing without overwriting.
//!
//! `geometry`, `negatives`, `loss` and `evaluation` know nothing of files, configurations of runs
//! or the Learner, and serve in a training loop of your own:
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
//! use loop_dml::negatives::{Negatives, Space};
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
//!     let mut means = Vec::new();
//!     for _ in 0..30 {
//!         let embeddings = network.forward(features.clone());
//!         let comparisons =
//!             Negatives::Loop.compare(embeddings, labels.clone(), Space::Sphere, Measure::Distance);
//!         let mean = loss.forward(comparisons).mean();
//!         means.push(mean.clone().into_scalar());
//!         let gradients = GradientsParams::from_grads(mean.backward(), &network);
//!         network = optimizer.step(1e-2, network, gradients);
//!     }
//!     assert!(means[29] < means[0]);
//! }
//! ```
//!
//! `examples/own_training_loop.rs` is a complete program, with a measurement on classes that it was
//! not trained on.

pub mod atomic_file;
pub mod backend;
pub mod bench;
pub mod cancellation;
pub mod cli;
pub mod config;
pub mod data;
pub mod evaluation;
mod file_lock;
pub mod geometry;
pub mod inference;
pub mod loss;
pub mod model;
pub mod negatives;
mod panic_capture;
pub mod progress;
pub mod setting;
pub mod training;
