//! The keys of multiscale equilibrium networks.

use super::fixed_point::Method;

scn_keys::table! {
    /// The keys of multiscale equilibrium networks.
    #[derive(Copy)]
    pub struct MdeqConfig {
        /// MDEQ: probability that a value of a block's second convolution is left out, the same values in all iterations.
        pub dropout: f64 = default(0.25).within(below_one()),
        /// The equilibrium.
        pub equilibrium: EquilibriumConfig = table(),
    }
}

scn_keys::table! {
    /// How the equilibrium is found and differentiated, `model.equilibrium`.
    #[derive(Copy)]
    pub struct EquilibriumConfig {
        /// MDEQ: the solver of the equilibrium, and of the system of the backward pass.
        pub method: Method = default(Method::Broyden),
        /// MDEQ: the relative residual ‖f(z) − z‖/‖f(z)‖ of an image at which its solve stops.
        pub tolerance: f64 = default(1e-3).within(finite_at_least(0.0)),
        /// MDEQ: iterations after which a solve stops anyway.
        pub max_iterations: usize = default(18).within(whole(1, 10_000)),
        /// MDEQ: the relative residual of an image's backward system at which its solve stops.
        pub backward_tolerance: f64 = default(1e-3).within(finite_at_least(0.0)),
        /// MDEQ: iterations after which a backward solve stops anyway.
        pub backward_max_iterations: usize = default(20).within(whole(1, 10_000)),
        /// MDEQ: gradients through a few damped steps from the equilibrium, in place of the exact ones of a backward system.
        pub phantom: Option<PhantomConfig> = unset("no"),
        /// MDEQ: the first steps of training, which unroll some iterations from 0 in place of a solve.
        pub pretraining_steps: usize = default(3000).within(whole(0, 1_000_000_000)),
        /// MDEQ: so many iterations.
        pub pretraining_layers: usize = default(10).within(whole(1, 1000)),
    }
}

scn_keys::table! {
    /// Phantom gradients (Geng, Zhang, Bai, Wang & Lin, arXiv:2111.05177), `model.equilibrium.phantom`.
    #[derive(Copy)]
    pub struct PhantomConfig {
        /// MDEQ: steps that a phantom gradient passes through.
        pub steps: usize = default(5).within(whole(1, 1000)),
        /// MDEQ: the part of each of these steps that is new.
        pub damping: f64 = default(0.5).within(range("a number above 0 and at most 1", |part: &f64| {
            *part > 0.0 && *part <= 1.0
        })),
    }
}
