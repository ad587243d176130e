//! Training and evaluation: a step, an epoch, a run, and the figures of each.

pub(crate) mod average;
pub(crate) mod evaluation;
pub(crate) mod first_layer;
pub(crate) mod learner;
pub mod loss;
pub(crate) mod optimizer;
pub(crate) mod progress;
pub(crate) mod saving;
mod shards;
pub(crate) mod splits;
pub(crate) mod start;
pub(crate) mod statistics;
pub(crate) mod stop;
pub(crate) mod test_time;
pub(crate) mod trainer;
