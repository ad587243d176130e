//! The keys of SCNs.

use crate::layers::{Lambda1Config, SolverConfig};

/// Largest window side.
const MAX_KERNEL: usize = 31;

scn_keys::table! {
    /// The keys of SCNs. The bounds on widths are bounds on what a typing mistake can allocate: 4096 atoms a layer.
    #[derive(Copy)]
    pub struct ScnConfig {
        /// SCN: the factor K of the expansion layers.
        pub width: usize = default(1).within(whole(1, 64)),
        /// SCN: atoms of the first layer.
        pub first_width: usize = default(16).within(whole(1, 4096)),
        /// SCN: side of the windows that are coded.
        pub kernel: usize = default(3).within(range(
            format!("an odd whole number from 1 to {MAX_KERNEL}"),
            |&kernel| kernel % 2 == 1 && kernel <= MAX_KERNEL,
        )),
        /// The solver of the sparse-coding layers.
        pub solver: SolverConfig = table(),
        /// The sparsity weight of the sparse-coding layers.
        pub lambda1: Lambda1Config = table(),
    }
}
