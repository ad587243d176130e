//! Residual networks (He, Zhang, Ren & Sun, arXiv:1512.03385) whose first layer is a sparse-coding layer of an SCN (Sun,
//! Nasrabadi & Tran, arXiv:1701.08349): SCN-18, which Dai et al. (arXiv:2210.12945) compare with SDNet-18.

use crate::Group;
use crate::family::{Family, Member};
use crate::initialization::Initializer;
use crate::layers::residual::{Frame, RESNET_18, Residual, Stages, StemKind, stem_doc};
use crate::layers::{Convolution, Lambda1Config, SolverConfig, SparseCoding2d};

/// A residual network behind a sparse-coding layer.
pub type ScnResNet = Residual<SparseCoding2d, Convolution>;

scn_keys::table! {
    /// The keys of residual networks behind a sparse-coding layer.
    #[derive(Copy)]
    pub struct ScnResNetConfig {
        #[doc = stem_doc!()]
        pub stem: StemKind = default(StemKind::Cifar),
        /// The solver of the sparse-coding layers.
        pub solver: SolverConfig = table(),
        /// The sparsity weight of the sparse-coding layers.
        pub lambda1: Lambda1Config = table(),
    }
}

impl Family for ScnResNet {
    type Plan = Stages;
    type Keys = ScnResNetConfig;

    const MEMBERS: &'static [Member<Stages>] = &[Member {
        name: "scn18",
        doc: "ResNet-18 whose first convolution is a sparse-coding layer of an SCN.",
        plan: RESNET_18,
    }];
    const GROUPS: &'static [Group] = &[
        Group::Weight,
        Group::Dictionary,
        Group::Classifier,
        Group::Sparsity,
        Group::Bias,
        Group::Norm,
    ];

    fn build(plan: &Stages, keys: &ScnResNetConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let frame = Frame {
            stages: *plan,
            stem: keys.stem,
            shortcuts: true,
        };
        Residual::new(&frame, &(keys.solver, keys.lambda1), &(), image, classes, init)
    }
}
