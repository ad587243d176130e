//! The keys of SCNs.

use super::plan::MODULES;
use crate::layers::{Lambda1Config, MAX_KERNEL, SolverConfig};

/// Most atoms of a layer: a bound on what a typing mistake can allocate.
const MAX_ATOMS: usize = 4096;
/// Most modules, and the largest stride.
const MAX_MODULES: usize = 256;
const MAX_STRIDE: usize = 64;

scn_keys::names! {
    /// Which layer of a bottleneck module comes first.
    pub enum ModuleOrder {
        /// As in the authors' program.
        ReductionFirst = "reduction-first",
        /// As in the paper.
        ExpansionFirst = "expansion-first",
    }
}

scn_keys::table! {
    /// The keys of SCNs. The bounds on widths are bounds on what a typing mistake can allocate: 4096 atoms a layer.
    pub struct ScnConfig {
        /// SCN: the factor K of the expansion layers.
        pub width: usize = default(1).within(whole(1, 64)),
        /// SCN: atoms of the first layer.
        pub first_width: usize = default(16).within(whole(1, MAX_ATOMS as u64)),
        /// SCN: side of the windows that are coded.
        pub kernel: usize = default(3).within(range(
            format!("a whole number from 1 to {MAX_KERNEL}, odd unless model.padding is set"),
            |kernel| (1..=MAX_KERNEL).contains(kernel),
        )),
        /// SCN: the modules; 0 atoms: without that layer. The stride is that of a module's first layer.
        pub modules: Option<Vec<[usize; 3]>> = unset("the seven published ones, of width and first_width").within(range(
            format!(
                "a list of up to {MAX_MODULES} modules [reduction, expansion, stride], such as {:?}, of up to {MAX_ATOMS} atoms \
                 and strides from 1 to {MAX_STRIDE}",
                &MODULES[2..4]
            ),
            |modules: &Vec<[usize; 3]>| {
                let allowed = |&[reduction, expansion, stride]: &[usize; 3]| {
                    let atoms = [reduction, expansion];
                    let codes = atoms != [0, 0] && atoms.iter().all(|&atoms| atoms <= MAX_ATOMS);
                    codes && (1..=MAX_STRIDE).contains(&stride)
                };
                (1..=MAX_MODULES).contains(&modules.len()) && modules.iter().all(allowed)
            },
        )),
        /// SCN: which layer of a module comes first; of the published modules, `first_width` is then the reduction's.
        pub order: ModuleOrder = default(ModuleOrder::ReductionFirst),
        /// SCN: zeros around the input of every layer.
        pub padding: Option<usize> = unset("half the window, so that every pixel is the middle of one")
            .within(whole(0, MAX_KERNEL as u64)),
        /// The solver of the sparse-coding layers.
        pub solver: SolverConfig = table(),
        /// The sparsity weight of the sparse-coding layers.
        pub lambda1: Lambda1Config = table(),
    }
}
