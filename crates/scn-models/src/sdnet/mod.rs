//! SDNet (Dai, Li, Zhai, Ma & Vidal, arXiv:2210.12945): residual networks with convolutional sparse-coding layers in the
//! place of the first convolution (SDNet-18 and -34) or of all (SDNet-18-all).

mod coding;
mod csc;
mod inner;

pub use coding::ConvolutionalCoding;
pub use csc::{CscConfig, ImplicitConfig};
pub use inner::Inner;

use crate::Group;
use crate::family::{Family, Member, Unused};
use crate::initialization::Initializer;
use crate::layers::residual::{Frame, RESNET_18, RESNET_34, Residual, Stages, StemKind, stem_doc};

/// A residual network behind a convolutional sparse-coding layer.
pub type Sdnet = Residual<ConvolutionalCoding, Inner>;

/// What tells members apart.
#[derive(Debug)]
pub struct Plan {
    stages: Stages,
    /// Whether the layers of the blocks code too.
    all: bool,
}

const MEMBERS: &[Member<Plan>] = &[
    Member {
        name: "sdnet18",
        doc: "ResNet-18 with a convolutional sparse-coding layer in front (Dai et al., arXiv:2210.12945).",
        plan: Plan {
            stages: RESNET_18,
            all: false,
        },
    },
    Member {
        name: "sdnet34",
        doc: "ResNet-34 with the same.",
        plan: Plan {
            stages: RESNET_34,
            all: false,
        },
    },
    Member {
        name: "sdnet18-all",
        doc: "ResNet-18 with convolutional sparse-coding layers for all its convolutions (Dai et al.).",
        plan: Plan {
            stages: RESNET_18,
            all: true,
        },
    },
];

fn coding_throughout() -> impl Iterator<Item = &'static str> {
    MEMBERS
        .iter()
        .filter(|member| member.plan.all)
        .map(|member| member.name)
}

scn_keys::table! {
    /// The keys of SDNets.
    #[derive(Copy)]
    pub struct SdnetConfig {
        #[doc = stem_doc!()]
        pub stem: StemKind = default(StemKind::Cifar),
        /// SDNet-18-all: whether blocks add their input.
        pub shortcuts: Option<bool> = of_kinds(coding_throughout(), Some(true)),
        /// The convolutional sparse-coding layers.
        pub csc: CscConfig = table(),
    }
}

impl Family for Sdnet {
    type Plan = Plan;
    type Keys = SdnetConfig;

    const MEMBERS: &'static [Member<Plan>] = MEMBERS;
    const GROUPS: &'static [Group] = &[
        Group::Weight,
        Group::Dictionary,
        Group::Classifier,
        Group::Bias,
        Group::Norm,
    ];

    fn unused(keys: &SdnetConfig) -> Vec<Unused> {
        let CscConfig { steps, implicit, .. } = keys.csc;
        if implicit.is_none() || steps == CscConfig::default().steps {
            return Vec::new();
        }
        vec![Unused {
            key: "csc.steps",
            found: steps.to_string(),
            because: "model.csc.implicit solves to its tolerance in as many steps as that takes",
            expected: "one of the two",
        }]
    }

    fn build(plan: &Plan, keys: &SdnetConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let frame = Frame {
            stages: plan.stages,
            stem: keys.stem,
            shortcuts: keys.shortcuts.unwrap_or(true),
        };
        let inner = plan.all.then_some(keys.csc);
        Residual::new(&frame, &keys.csc, &inner, image, classes, init)
    }
}
