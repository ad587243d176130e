//! The `train.optimizer` table.

scn_keys::names! {
    /// The optimiser, as PyTorch's of that name.
    pub enum OptimizerKind {
        /// Stochastic gradient descent with momentum (dampening 0).
        Sgd = "sgd",
        /// Adam (Kingma & Ba, arXiv:1412.6980), β₂ = 0.999 and ε = 1e-8.
        Adam = "adam",
    }
}

scn_keys::table! {
    /// The optimiser, whose weight decay is added to the gradient.
    #[derive(Copy)]
    pub struct OptimizerConfig {
        /// The optimiser, as PyTorch's of that name; Adam with its β₂ of 0.999 and ε of 1e-8.
        pub kind: OptimizerKind = default(OptimizerKind::Sgd),
        /// The learning rate that the schedule scales; the highest one of a one-cycle schedule.
        pub learning_rate: f64 = default(0.1).within(positive()),
        /// Momentum, with dampening 0; of Adam β₁.
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
        /// What the learning rate is multiplied by for some parameters.
        pub factors: RateFactors = table(),
    }
}

scn_keys::table! {
    /// What the learning rate is multiplied by for some parameters, weight decay with it.
    #[derive(Copy)]
    pub struct RateFactors {
        /// For lambda1 and the thresholds of coding layers that stand in its place.
        pub lambda1: f64 = default(1.0).within(finite_at_least(0.0)),
        /// For the dictionaries of coding layers.
        pub dictionary: f64 = default(1.0).within(finite_at_least(0.0)),
        /// For the classifier's weight; its bias learns as all others.
        pub classifier: f64 = default(1.0).within(finite_at_least(0.0)),
    }
}
