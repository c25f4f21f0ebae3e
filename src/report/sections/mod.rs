//! The sections of the report of one run.

mod confusions;
mod curves;
mod distances;
mod map;
mod overview;
mod published;
mod queries;
mod settings;
mod skipped;
mod tile;

pub(super) use confusions::confusions;
pub(super) use curves::{curves, loss_series, map_at_r_series, recall_series};
pub(super) use distances::distances;
pub(super) use map::map;
pub(super) use overview::{overview, protocol};
pub(super) use published::published;
pub(super) use queries::{best_queries, worst_queries};
pub(super) use settings::{configuration, environment};
pub(super) use skipped::skipped;
