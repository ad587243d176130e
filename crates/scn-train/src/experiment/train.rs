//! The `train` table.

use super::{OptimizerConfig, Schedule, ScheduleConfig};

scn_keys::table! {
    /// Evaluate, keep and test an exponential moving average of the weights.
    #[derive(Copy)]
    pub struct EmaConfig {
        /// What a step leaves of the average; the rest are the weights after the step, and the running statistics of batch
        /// norm with them (timm's `ModelEmaV2`).
        pub decay: f64 = default(0.999).within(below_one()),
    }
}

scn_keys::table! {
    /// How the network is trained.
    pub struct TrainConfig {
        /// Passes over the training set.
        pub epochs: usize = default(200).within(whole(1, 1_000_000)),
        /// Parts that a step takes its batch in, one after the other, each with batch-norm statistics of its own; gradients are
        /// averaged.
        pub shards: usize = default(1).within(whole(1, 1_000_000)),
        /// Probability that the target moves from the label to all classes evenly.
        pub label_smoothing: f64 = default(0.0).within(below_one()),
        /// Largest Euclidean norm of the gradient of all parameters.
        pub clip_norm: Option<f64> = unset("not clipped").within(positive()),
        /// Evaluate, keep and test an exponential moving average of the weights.
        pub ema: Option<EmaConfig> = unset("the weights themselves"),
        /// The optimiser.
        pub optimizer: OptimizerConfig = table(),
        /// The learning rate over time.
        pub schedule: ScheduleConfig = table(),
    }
}

impl TrainConfig {
    /// The learning rate of every step.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(&self.schedule, self.optimizer.learning_rate, self.epochs)
    }
}
