//! The layers of an SCN, from its keys.

use scn_ops::{Padding, Placement};

use super::{ModuleOrder, ScnConfig};
use crate::Misfit;
use crate::layers::windows;

/// The published bottleneck modules: atoms of the reduction layer, atoms of the expansion layer over K, and stride.
pub(super) const MODULES: [[usize; 3]; 7] = [
    [16, 16, 1],
    [16, 16, 1],
    [16, 16, 1],
    [32, 32, 2],
    [32, 32, 1],
    [64, 64, 2],
    [64, 64, 1],
];

/// A layer of the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub atoms: usize,
    pub placement: Placement,
    /// Its module's place in the list.
    module: usize,
}

/// All layers, in their order.
pub(super) fn plan(keys: &ScnConfig) -> Vec<Planned> {
    let modules = keys
        .modules
        .clone()
        .unwrap_or_else(|| published(keys.width, keys.first_width));
    let padding = keys.padding.map_or(Padding::Same, Padding::Zeros);
    let mut layers = Vec::new();
    for (module, [reduction, expansion, stride]) in modules.into_iter().enumerate() {
        let atoms = match keys.order {
            ModuleOrder::ReductionFirst => [reduction, expansion],
            ModuleOrder::ExpansionFirst => [expansion, reduction],
        };
        let present = atoms.into_iter().filter(|&atoms| atoms > 0);
        layers.extend(present.zip([stride, 1]).map(|(atoms, stride)| Planned {
            atoms,
            placement: Placement {
                stride,
                padding,
                dilation: 1,
            },
            module,
        }));
    }
    layers
}

fn published(width: usize, first_width: usize) -> Vec<[usize; 3]> {
    let mut modules = MODULES.map(|[reduction, expansion, stride]| [reduction, expansion * width, stride]);
    modules[0][0] = first_width;
    modules.to_vec()
}

/// The first layer whose windows cannot be laid over what reaches it.
pub(super) fn misfit(keys: &ScnConfig, [_, height, width]: [usize; 3]) -> Option<Misfit> {
    let kernel = keys.kernel;
    if kernel.is_multiple_of(2) && keys.padding.is_none() {
        return Some(Misfit {
            key: "kernel".to_owned(),
            found: kernel.to_string(),
            with: "windows of an even side have no middle".to_owned(),
            expected: "an odd side, or model.padding with it".to_owned(),
        });
    }
    let mut sides = [height, width];
    for (index, Planned { placement, module, .. }) in plan(keys).into_iter().enumerate() {
        let [height, width] = sides;
        let Some(output) = windows(kernel, placement, sides) else {
            return Some(Misfit {
                key: "kernel".to_owned(),
                found: kernel.to_string(),
                with: format!(
                    "layer {}, in module {}, has an input of {height}×{width} and {placement}",
                    index + 1,
                    module + 1
                ),
                expected: "windows that fit, wider padding or fewer layers".to_owned(),
            });
        };
        sides = output;
    }
    None
}
