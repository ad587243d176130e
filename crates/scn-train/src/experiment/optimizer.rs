//! The `train.optimizer` table: stochastic gradient descent as PyTorch's `SGD`.

scn_keys::table! {
    /// Stochastic gradient descent with momentum (dampening 0) and weight decay (added to the gradient).
    #[derive(Copy)]
    pub struct OptimizerConfig {
        /// The learning rate that the schedule scales; the highest one of a one-cycle schedule.
        pub learning_rate: f64 = default(0.1).within(positive()),
        /// Momentum, with dampening 0.
        pub momentum: f64 = default(0.9).within(below_one()),
        /// Nesterov's form of the momentum.
        pub nesterov: bool = default(false),
        /// Weight decay of convolutions, dictionaries and the classifier.
        pub weight_decay: f64 = default(5e-4).within(finite_at_least(0.0)),
        /// SCN: weight decay of lambda1 too.
        pub decay_lambda1: bool = default(true),
        /// Weight decay of the classifier's bias too.
        pub decay_bias: bool = default(true),
        /// ResNet: weight decay of the batch norms' scale and shift too.
        pub decay_norm: bool = default(true),
    }
}
