//! The keys of sc-cnn.

use crate::layers::{MAX_KERNEL, SolverConfig};

/// Most layers, and most atoms of one.
const MAX_LAYERS: usize = 64;
const MAX_ATOMS: usize = 4096;

scn_keys::names! {
    /// How the windows are coded.
    pub enum Inference {
        /// By the solution for orthonormal atoms: a convolution, a bias −λ and a rectifier (Bowren, eq. 45).
        ClosedForm = "closed-form",
        /// By solving the elastic net.
        Full = "full",
    }
}

scn_keys::names! {
    /// Where training keeps the dictionaries.
    pub enum Dictionaries {
        /// At the nearest one with orthonormal atoms, after every step.
        Orthogonal = "orthogonal",
        /// Where the step ends.
        Free = "free",
    }
}

scn_keys::table! {
    /// The keys of sc-cnn.
    pub struct ScCnnConfig {
        /// sc-cnn: the layers [atoms, side of the window], each coding every window of the one before.
        pub windows: Vec<[usize; 2]> = default(vec![[8, 3], [16, 3]]).within(range(
            format!(
                "a list of up to {MAX_LAYERS} layers [atoms, side of the window], such as [[8, 3], [16, 3]], of 1 to \
                 {MAX_ATOMS} atoms and sides from 1 to {MAX_KERNEL}"
            ),
            |layers: &Vec<[usize; 2]>| {
                let allowed = |[atoms, kernel]: &[usize; 2]| {
                    (1..=MAX_ATOMS).contains(atoms) && (1..=MAX_KERNEL).contains(kernel)
                };
                (1..=MAX_LAYERS).contains(&layers.len()) && layers.iter().all(allowed)
            },
        )),
        /// sc-cnn: how windows are coded, by the closed form for orthonormal atoms or by solving.
        pub inference: Inference = default(Inference::ClosedForm),
        /// sc-cnn: whether dictionaries are made orthonormal after every step.
        pub dictionaries: Dictionaries = default(Dictionaries::Orthogonal),
        /// sc-cnn: code by the so many largest non-negative products with atoms, in place of the prior.
        pub l0: Option<usize> = unset("no").within(whole(1, MAX_ATOMS as u64)),
        /// The exponential prior of the codes.
        pub prior: PriorConfig = table(),
        /// The solver of the sparse-coding layers.
        pub solver: SolverConfig = table(),
    }
}

scn_keys::table! {
    /// The exponential prior of the codes, `model.prior`: its weight λ is that of their 1-norm.
    #[derive(Copy)]
    pub struct PriorConfig {
        /// sc-cnn: lambda before training.
        pub initial: f64 = default(0.1).within(finite_at_least(0.0)),
        /// sc-cnn: the least lambda, so that the prior is kept.
        pub minimum: Option<f64> = unset("none; solved codes keep lambda at or above 0").within(positive()),
        /// sc-cnn: one lambda for each atom, not for each layer.
        pub per_atom: bool = default(true),
        /// sc-cnn: whether training changes lambda.
        pub learned: bool = default(true),
    }
}
