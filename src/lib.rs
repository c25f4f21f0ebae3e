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
//! - [`geometry`]: closest approach of arcs, from inner products; no labels, no losses.
//! - [`negatives`]: a batch of embeddings becomes comparisons of anchors.
//! - [`loss`]: comparisons become a loss and its statistics, one file per loss.
//! - [`model`]: backbones, pooling, embedding head, pretrained weights.
//! - [`data`]: datasets, transforms, the batch sampler, the loaders.
//! - [`training`]: the Learner's step, metrics, checkpoints, run folders.
//! - [`evaluation`]: retrieval measures, pure functions of embeddings and labels.
//! - [`config`]: the typed configuration; the one place of defaults.
//! - [`benchmark`]: timings of the parts.
//! - [`backend`]: the only file that names concrete backends; [`cli`]: the command line.
//!
//! `geometry`, `negatives`, `loss` and `evaluation` know nothing of files, configurations of runs
//! or the Learner, and serve in a training loop of your own.

pub mod backend;
pub mod benchmark;
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
pub mod evaluation;
pub mod geometry;
pub mod loss;
pub mod model;
pub mod negatives;
pub mod training;

pub use error::Error;
