//! The `model.csc` table.

scn_keys::table! {
    /// The convolutional sparse-coding layer, `model.csc`.
    #[derive(Copy)]
    pub struct CscConfig {
        /// SDNet: the weight lambda of the 1-norm of the codes.
        pub lambda: f64 = default(0.1).within(finite_at_least(0.0)),
        /// SDNet: steps of FISTA.
        pub steps: usize = default(2).within(whole(1, 1000)),
        /// SDNet: the ridge mu of the elastic net.
        pub mu: f64 = default(0.0).within(finite_at_least(0.0)),
        /// SDNet: whether codes are non-negative.
        pub non_negative: bool = default(true),
        /// SDNet: solve to convergence and differentiate the solution.
        pub implicit: Option<ImplicitConfig> = unset("no"),
    }
}

scn_keys::table! {
    /// Implicit differentiation, `model.csc.implicit`.
    #[derive(Copy)]
    pub struct ImplicitConfig {
        /// SDNet: with `implicit`, codes are solved to this relative residual and differentiated there, whatever `steps` says.
        pub tolerance: f64 = default(1e-4).within(finite_at_least(0.0)),
        /// SDNet: iterations after which such a solve stops anyway, forward and backward.
        pub max_iterations: usize = default(500).within(whole(1, 1_000_000)),
    }
}
